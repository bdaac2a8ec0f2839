"""The population register: the port, and its real adapter (SOAP 1.1, C06's service in namespace dancuquocgia.bca)."""

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from xml.sax.saxutils import escape

import aiohttp

from services.verification import reading
from services.verification.reading import Incomplete, Person, Unreadable
from shared.errors import DossierError, Transient
from shared.law.birth import Birth

DEPENDENCY = "register"
NAMESPACE = "http://dancuquocgia.bca"
MAX_ANSWER = 256 * 1024
REASONS = ("silent", "status", "unreadable", "fault", "record", "refused")
"""What can be wrong with an answer, as the metric counts it."""
RECORD_AGAIN_S = 300.0
"""A record that lacks what we compare is mended by people, if at all: it is asked for again so seldom."""
_NOT_THE_REQUEST = frozenset({401, 403, 407, 408, 425, 429, 502, 503, 504})
"""Our secret, our clock or the moment was wrong, whatever the body says: the same request may be answered later."""


@dataclass(frozen=True, slots=True)
class Enquiry:
    """What is asked: the request's id and purpose, and the person as the applicant states it."""

    request_id: str
    procedure: str
    id_number: str
    full_name: str
    date_of_birth: Birth


class EnquiryRefused(DossierError):
    """The register calls our request malformed (a SOAP fault of the client): a bug of ours, no use in repeating it."""

    code = "DOS-VER-021"


class Register(Protocol):
    """The port. Raises Transient when the register does not answer properly, EnquiryRefused when it calls our request
    wrong; None means it knows no such number.
    """

    async def look_up(self, enquiry: Enquiry) -> Person | None: ...


class SoapRegister:
    """TraCuuThongTinCongDan over HTTP: Basic with SHA-256(endpoint + user + timestamp + secret) as the password.

    `count` is told of every answer that does not help, by which of REASONS.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        user: str,
        secret: str,
        clock: Callable[[], float] = time.time,
        count: Callable[[str], object] = lambda reason: None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._user = user
        self._secret = secret
        self._clock = clock
        self._count = count

    async def look_up(self, enquiry: Enquiry) -> Person | None:
        """Ask the register for one citizen by number."""
        try:
            async with self._session.post(self._endpoint, data=_request(enquiry), headers=self._headers()) as answer:
                body = await _limited(answer.content)
                headers, status = answer.headers, answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise self._counted("silent", Transient(DEPENDENCY, f"no answer: {type(lost).__name__}")) from lost
        if len(body) > MAX_ANSWER:
            why = f"the answer is longer than {MAX_ANSWER} bytes"
            raise self._counted("unreadable", Transient(DEPENDENCY, why))
        return self._understood(status, headers, body, enquiry.id_number)

    def _understood(self, status: int, headers: Mapping[str, str], body: bytes, id_number: str) -> Person | None:
        """The citizen of a whole answer, or what is wrong with it; a fault is one under whatever status it comes."""
        again = Transient(DEPENDENCY, f"HTTP {status}", _seconds(headers.get("Retry-After", "")))
        if status in _NOT_THE_REQUEST:
            raise self._counted("status", again)
        try:
            root = reading.read(body, headers.get("Content-Type", ""))
            self._no_fault(reading.fault(root))
            if status == 200:
                return reading.person(root, id_number)
        except Unreadable as wrong:
            if status == 200:
                raise self._counted("unreadable", Transient(DEPENDENCY, f"the answer: {wrong}")) from wrong
        except Incomplete as wrong:
            odd = Transient(DEPENDENCY, f"the answer: {wrong}", RECORD_AGAIN_S, well=True)
            raise self._counted("record", odd) from wrong
        raise self._counted("status", again)

    def _no_fault(self, code: str | None) -> None:
        if code is None:
            return
        if reading.is_final(code):
            raise self._counted("refused", EnquiryRefused("the register calls the request malformed"))
        raise self._counted("fault", Transient(DEPENDENCY, "the register tells a fault of its own"))

    def _counted(self, reason: str, failure: DossierError) -> DossierError:
        self._count(reason)
        return failure

    def _headers(self) -> Mapping[str, str]:
        stamp = str(int(self._clock()))
        password = sha256(f"{self._endpoint}{self._user}{stamp}{self._secret}".encode()).hexdigest()
        basic = base64.b64encode(f"{self._user}:{password}".encode()).decode()
        return {
            "Content-Type": "text/xml; charset=utf-8",
            "SOAPAction": f"{NAMESPACE}/TraCuuThongTinCongDan",
            "Authorization": f"Basic {basic}",
            "timestamp": stamp,
        }


async def _limited(content: aiohttp.StreamReader) -> bytes:
    """The whole content, in however many pieces it comes; of one longer than MAX_ANSWER, a little more than that."""
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER:
            break
    return bytes(body)


def _seconds(retry_after: str) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3); None for a date, nonsense, or more than a task should be put off."""
    return float(retry_after) if re.fullmatch(r"[0-9]{1,3}", retry_after) else None


def _request(enquiry: Enquiry) -> bytes:
    """The request; the order of its elements is part of the contract."""
    fields = (
        ("MaYeuCau", enquiry.request_id),
        ("MaDVC", enquiry.procedure),
        ("MaTichHop", "003"),
        ("MaCanBo", "dossier-platform"),
        ("SoDinhDanh", enquiry.id_number),
        ("HoVaTen", enquiry.full_name),
    )
    elements = "".join(f"<dan:{name}>{escape(text)}</dan:{name}>" for name, text in fields)
    born = f"<dan:NgayThangNamSinh>{_born(enquiry.date_of_birth)}</dan:NgayThangNamSinh>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:dan="{NAMESPACE}">'
        "<soapenv:Header/><soapenv:Body>"
        f"<dan:TraCuuThongTinCongDan>{elements}{born}</dan:TraCuuThongTinCongDan>"
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()


def _born(born: Birth) -> str:
    """The day, or only the year: there is no third element in the contract."""
    if born.day is None:
        return f"<dan:Nam>{born.year:04d}</dan:Nam>"
    return f"<dan:NgayThangNam>{born.year:04d}{born.month:02d}{born.day:02d}</dan:NgayThangNam>"
