"""SOAP 1.1 messages of the population register (C06): reading a request, writing an answer or a fault."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
REGISTER = "http://dancuquocgia.bca"
OPERATIONS = ("TraCuuThongTinCongDan", "XacThucThongTinCongDan")
"""Look a citizen up; confirm that a citizen exists."""

SEQUENCE = (
    "MaYeuCau",  # id of this request, unique
    "MaDVC",  # the public service it is for
    "MaTichHop",  # the integration it comes through
    "MaCanBo",  # the officer who asks
    "MaDonVi",  # his unit
    "TaiKhoan",  # his account
    "SoDienThoai",  # his telephone
    "SoDinhDanh",  # the citizen's 12-digit number
    "SoCMND",  # or his old 9-digit one
    "HoVaTen",  # his full name
    "NgayThangNamSinh",  # his birth: NgayThangNam (yyyyMMdd) or Nam (yyyy)
)
"""The elements of a request; their order matters."""
OPTIONAL = frozenset({"MaDonVi", "TaiKhoan", "SoDienThoai", "SoDinhDanh", "SoCMND"})


class BadRequest(Exception):
    """The message is not a request of this service; its text says why, without personal data."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the operation, and the text of each element. `born` is yyyyMMdd or yyyy."""

    operation: str
    fields: Mapping[str, str]
    born: str


def read(body: bytes) -> Request:
    """Reads a request from the bytes of an HTTP body (UTF-8). Raises BadRequest.

    A document type is refused before anything is parsed, so no entity is ever expanded.
    """
    try:
        text = body.decode()
        if "<!DOCTYPE" in text:
            raise BadRequest("a document type is not allowed")
        return _request(_only_child(ET.fromstring(text)))  # noqa: S314 (no document type, no entities)
    except UnicodeDecodeError as error:
        raise BadRequest("not UTF-8") from error
    except ET.ParseError as error:
        raise BadRequest("not well-formed XML") from error


def _only_child(envelope: ET.Element) -> ET.Element:
    if envelope.tag != f"{{{ENVELOPE}}}Envelope":
        raise BadRequest("not a SOAP 1.1 envelope")
    body = envelope.find(f"{{{ENVELOPE}}}Body")
    if body is None or len(body) != 1:
        raise BadRequest("the SOAP body does not hold exactly one operation")
    return body[0]


def _request(operation: ET.Element) -> Request:
    name = _local(operation)
    if name not in OPERATIONS:
        raise BadRequest("unknown operation")
    names = [_local(element) for element in operation]
    _check_sequence(names)
    fields = {_local(element): (element.text or "").strip() for element in operation}
    for required in ("MaYeuCau", "MaDVC", "MaTichHop", "MaCanBo", "HoVaTen"):
        if not fields[required]:
            raise BadRequest(f"{required} is empty")
    _check_number(fields)
    return Request(name, fields, _born(operation[-1]))


def _check_sequence(names: list[str]) -> None:
    places = [SEQUENCE.index(name) if name in SEQUENCE else -1 for name in names]
    if -1 in places:
        raise BadRequest("unknown element")
    if any(one >= other for one, other in zip(places, places[1:], strict=False)):
        raise BadRequest("elements repeated or out of order")
    missing = [name for name in SEQUENCE if name not in names and name not in OPTIONAL]
    if missing:
        raise BadRequest(f"missing {', '.join(missing)}")


def _check_number(fields: Mapping[str, str]) -> None:
    given = [(name, length) for name, length in (("SoDinhDanh", 12), ("SoCMND", 9)) if name in fields]
    if len(given) != 1:
        raise BadRequest("exactly one of SoDinhDanh and SoCMND is needed")
    name, length = given[0]
    _check_digits(fields[name], length, name)


def _born(birth: ET.Element) -> str:
    lengths = {"NgayThangNam": 8, "Nam": 4}
    if len(birth) != 1 or _local(birth[0]) not in lengths:
        raise BadRequest("NgayThangNamSinh holds exactly one of NgayThangNam and Nam")
    name, value = _local(birth[0]), (birth[0].text or "").strip()
    _check_digits(value, lengths[name], name)
    return value


def _check_digits(value: str, length: int, name: str) -> None:
    if len(value) != length or not value.isascii() or not value.isdigit():
        raise BadRequest(f"{name} is not {length} digits")


def _local(element: ET.Element) -> str:
    namespace, _, name = element.tag.rpartition("}")
    if namespace != f"{{{REGISTER}":
        raise BadRequest("an element outside the namespace of the register")
    return name


def envelope(content: str) -> bytes:
    """A SOAP 1.1 envelope around `content`, which is XML already."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<soapenv:Envelope xmlns:soapenv="{ENVELOPE}"><soapenv:Header/>'
        f"<soapenv:Body>{content}</soapenv:Body></soapenv:Envelope>"
    ).encode()


def element(name: str, content: str) -> str:
    """`<dan:name>` around `content`, which is XML already; the prefix is declared by `root`."""
    return f"<dan:{name}>{content}</dan:{name}>" if content else f"<dan:{name}/>"


def text(name: str, value: str) -> str:
    """`<dan:name>` with a plain text, escaped."""
    return element(name, escape(value))


def root(name: str, content: str) -> bytes:
    """The envelope of an answer whose outermost element is `name`, in the register's namespace."""
    return envelope(f'<dan:{name} xmlns:dan="{REGISTER}">{content}</dan:{name}>')


def fault(code: str, reason: str) -> bytes:
    """A SOAP 1.1 fault; `code` is `Client` (the caller is at fault) or `Server` (SOAP 1.1, section 4.4)."""
    return envelope(
        f"<soapenv:Fault><faultcode>soapenv:{code}</faultcode><faultstring>{escape(reason)}</faultstring></soapenv:Fault>"
    )
