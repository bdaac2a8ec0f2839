"""The population register: the port, and its real adapter (SOAP 1.1, C06's service in namespace dancuquocgia.bca)."""

import base64
import re
import time
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Protocol
from xml.sax.saxutils import escape

import aiohttp

from shared.errors import DossierError, Transient

DEPENDENCY = "register"
NAMESPACE = "http://dancuquocgia.bca"
MAX_ANSWER = 256 * 1024
_BORN = re.compile(r"[0-9]{4}([0-9]{4})?")


@dataclass(frozen=True, slots=True)
class Enquiry:
    """What is asked: the request's id and purpose, and the person as the applicant states it."""

    request_id: str
    procedure: str
    id_number: str
    full_name: str
    date_of_birth: date


@dataclass(frozen=True, slots=True)
class Person:
    """What the register holds. `born` is yyyyMMdd, or yyyy where only the year is known."""

    full_name: str
    born: str

    def is_called(self, name: str) -> bool:
        """Whether `name` is this person's: NFC, whatever the case of letters and the space between words."""
        return _plain(self.full_name) == _plain(name)

    def is_born(self, day: date) -> bool:
        """Whether `day` is the birth date, as exactly as the register knows it."""
        return f"{day:%Y%m%d}".startswith(self.born)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


class EnquiryRefused(DossierError):
    """The register calls our request malformed (a SOAP Client fault): a bug of ours, no use in repeating it."""

    code = "DOS-VER-021"


class Register(Protocol):
    """The port. Raises Transient when the register does not answer properly; None means it knows no such number."""

    async def look_up(self, enquiry: Enquiry) -> Person | None: ...


class SoapRegister:
    """TraCuuThongTinCongDan over HTTP: Basic with SHA-256(endpoint + user + timestamp + secret) as the password."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: str,
        user: str,
        secret: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._user = user
        self._secret = secret
        self._clock = clock

    async def look_up(self, enquiry: Enquiry) -> Person | None:
        """Ask the register for one citizen by number."""
        try:
            async with self._session.post(self._endpoint, data=_request(enquiry), headers=self._headers()) as answer:
                body = await _limited(answer.content)
                retry_after = answer.headers.get("Retry-After", "")
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as lost:
            raise Transient(DEPENDENCY, f"no answer: {type(lost).__name__}") from lost
        if status == 500 and b":Client<" in body:
            raise EnquiryRefused("the register calls the request malformed")
        if status != 200:
            raise Transient(DEPENDENCY, f"HTTP {status}", _seconds(retry_after))
        if len(body) > MAX_ANSWER:
            raise Transient(DEPENDENCY, f"the answer is longer than {MAX_ANSWER} bytes")
        return _person(body, enquiry.id_number)

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
    day = f"<dan:NgayThangNam>{enquiry.date_of_birth:%Y%m%d}</dan:NgayThangNam>"
    born = f"<dan:NgayThangNamSinh>{day}</dan:NgayThangNamSinh>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:dan="{NAMESPACE}">'
        "<soapenv:Header/><soapenv:Body>"
        f"<dan:TraCuuThongTinCongDan>{elements}{born}</dan:TraCuuThongTinCongDan>"
        "</soapenv:Body></soapenv:Envelope>"
    ).encode()


def _person(body: bytes, id_number: str) -> Person | None:
    """The citizen in an answer. Anything that is not a well-formed answer about this number is the register's fault."""
    if b"<!DOCTYPE" in body:
        raise Transient(DEPENDENCY, "the answer has a document type")
    try:
        root = ET.fromstring(body)  # noqa: S314 - no document type, size limited
    except ET.ParseError as error:
        raise Transient(DEPENDENCY, "the answer is not XML") from error
    # Published sources show answers in another namespace than requests; local names fit both.
    collection = next((element for element in root.iter() if _local(element) == "CongdanCollection"), None)
    if collection is None:
        raise Transient(DEPENDENCY, "the answer is not a collection of citizens")
    citizen = next((element for element in collection if _local(element) == "CongDan"), None)
    if citizen is None:
        return None
    if _text(citizen, "SoDinhDanh") != id_number:
        raise Transient(DEPENDENCY, "the answer is about somebody else")
    born = _text(citizen, "NgayThangNamSinh", "NgayThangNam") or _text(citizen, "NgayThangNamSinh", "Nam")
    if not _BORN.fullmatch(born):
        raise Transient(DEPENDENCY, "the answer has no proper birth date")
    name = [_text(citizen, "HoVaTen", part) for part in ("Ho", "ChuDem", "Ten")]
    return Person(" ".join(part for part in name if part), born)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ET.Element, *path: str) -> str:
    """The text below `element` along local names, empty where there is none."""
    found: ET.Element | None = element
    for step in path:
        found = next((child for child in found if _local(child) == step), None) if found is not None else None
    return (found.text or "").strip() if found is not None else ""
