"""What an answer of the register comes to, under whatever label, encoding or prefix it comes. Pure.

Servers and the gateways before them differ: a multipart label (SOAP Messages with Attachments, MTOM), a line feed or a
byte-order mark before `<?xml`, another declared encoding, faults of SOAP 1.1 (4.4: `Client`, `Client.Something`) or 1.2
(5.4.6: `Sender`) under any prefix, a name in parts or as one text. A document type is refused whatever else is right.
"""

import codecs
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser

from shared.law.birth import Birth, birth_in_digits
from shared.law.names import same_name

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_ENCODINGS = frozenset({"utf-8", "utf-16", "utf-16-le", "utf-16-be", "iso8859-1", "iso8859-15", "cp1252", "cp1258"})
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{1,100}?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,40})["']""")
_BEFORE = "\ufeff \t\r\n"
_FINAL = frozenset({"client", "sender", "versionmismatch", "mustunderstand", "dataencodingunknown"})
"""Faults of the request itself: the same request gets the same answer (SOAP 1.1, 4.4.1; SOAP 1.2, 5.4.6)."""
_LETTING_IN = "auth"
"""In a sub-code, such as `Client.Authentication` (SOAP 1.1, 4.4) or `FailedAuthentication` (WS-Security): not what we
ask is wrong, but our secret or our clock, which can be mended.
"""


@dataclass(frozen=True, slots=True)
class Person:
    """What the register holds: a name, and the birth as exactly as it is known there."""

    full_name: str
    born: Birth

    def is_called(self, name: str) -> bool:
        """Whether `name` is this person's, in whatever spelling of the same letters and tones."""
        return same_name(self.full_name, name)

    def is_born(self, born: Birth) -> bool:
        """Whether `born` can be this person's birth, as far as both it and the register know."""
        return self.born.agrees(born)


class Unreadable(Exception):
    """The answer is none that anybody could read; the message says what of it, without anything that stands in it."""


class Incomplete(Exception):
    """The answer is well-formed, but its record lacks what we compare, or is about somebody else."""


def read(body: bytes, content_type: str) -> ET.Element:
    """The outermost element of an answer. Raises Unreadable."""
    text = _text_of(body, content_type).lstrip(_BEFORE)
    if "<!DOCTYPE" in text:
        raise Unreadable("a document type")
    try:
        return ET.fromstring(text)  # noqa: S314 - no document type, size limited
    except ET.ParseError as error:
        raise Unreadable("no XML") from error


def fault(root: ET.Element) -> str | None:
    """The code of a SOAP fault without its prefix and with its sub-code, such as `Client.Data` or `Receiver`; None
    where there is none.
    """
    found = next((element for element in root.iter() if _local(element) == "Fault"), None)
    if found is None:
        return None
    codes = (_text(found, "faultcode") or _text(found, "Code", "Value"), _text(found, "Code", "Subcode", "Value"))
    return ".".join(code.rpartition(":")[2] for code in codes if code)


def is_final(code: str) -> bool:
    """Whether this fault says that the request itself is wrong, whatever sub-code stands behind the first dot, save
    that we are not let in.
    """
    what, _, sub_code = code.casefold().partition(".")
    return what in _FINAL and _LETTING_IN not in sub_code


def person(root: ET.Element, id_number: str) -> Person | None:
    """The citizen of this number; None if the register knows none. Raises Unreadable if it is no answer to a look-up,
    Incomplete if its record has no name or no birth that can be, or is of somebody else.
    """
    # Published sources show answers in another namespace than requests; local names fit both.
    collection = next((element for element in root.iter() if _local(element) == "CongdanCollection"), None)
    if collection is None:
        raise Unreadable("no collection of citizens")
    citizens = [element for element in collection if _local(element) == "CongDan"]
    if not citizens:
        return None
    asked = [citizen for citizen in citizens if _text(citizen, "SoDinhDanh") == id_number]
    if not asked:
        raise Incomplete("a record of somebody else")
    return Person(_name(asked[0]), _born(asked[0]))


def _name(citizen: ET.Element) -> str:
    """The name: its parts, or all that stands there as text."""
    parts = [_text(citizen, "HoVaTen", part) for part in ("Ho", "ChuDem", "Ten")]
    whole = next((child for child in citizen if _local(child) == "HoVaTen"), None)
    name = " ".join(part for part in parts if part) or " ".join(_texts(whole))
    if not any(character.isalpha() for character in name):
        raise Incomplete("a record without a name")
    return name


def _born(citizen: ET.Element) -> Birth:
    day, year = (_text(citizen, "NgayThangNamSinh", part) for part in ("NgayThangNam", "Nam"))
    whole = next((child for child in citizen if _local(child) == "NgayThangNamSinh"), None)
    try:
        return birth_in_digits((day if day.strip("0") else year) or " ".join(_texts(whole)))
    except ValueError as wrong:
        raise Incomplete("a record without a proper birth date") from wrong


def _texts(element: ET.Element | None) -> Iterator[str]:
    return filter(None, (text.strip() for text in element.itertext())) if element is not None else iter(())


def _text_of(body: bytes, content_type: str) -> str:
    label = Message()
    label["Content-Type"] = content_type or "text/xml"
    body, charset = _root_part(body, label)
    declared = _DECLARED.match(body)
    names = ("utf-8", charset, declared[1].decode("ascii") if declared else None)
    for encoding in _marked(body) or (name for name in names if name and _known(name)):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Unreadable("in no encoding that we know")


def _marked(body: bytes) -> tuple[str, ...]:
    """The encoding that the first bytes tell (XML 1.0, appendix F); nothing where they fit many."""
    marked = tuple(encoding for mark, encoding in _MARKS if body.startswith(mark))[:1]
    if marked or b"\0" not in body[:2]:
        return marked
    return ("utf-16-be",) if body[0] == 0 else ("utf-16-le",)


def _known(name: str) -> bool:
    try:
        return codecs.lookup(name).name in _ENCODINGS
    except LookupError:
        return False


def _root_part(body: bytes, label: Message) -> tuple[bytes, str | None]:
    """The part that holds the envelope, and the encoding that it is labelled with; the body itself where it has no
    parts, whatever its label says (RFC 2387: `start` names the root, else it is the first).
    """
    boundary = label.get_boundary() or _first_line(body)
    if not boundary or b"--" + boundary.encode() not in body:
        return body, label.get_content_charset()
    head = f'Content-Type: multipart/related; boundary="{boundary}"\r\n\r\n'.encode()
    parts = [part for part in BytesParser().parsebytes(head + body).walk() if not part.is_multipart()]
    if not parts:
        raise Unreadable("parts without an end")
    start = label.get_param("start")
    root = next((part for part in parts if start and part.get("Content-ID") == start), parts[0])
    content = root.get_payload(decode=True)
    return content if isinstance(content, bytes) else b"", root.get_content_charset()


def _first_line(body: bytes) -> str:
    """The boundary that a body without a label for it begins with."""
    found = re.match(rb"\s*--([A-Za-z0-9'()+_,./:=?-]{1,70})\r?\n", body)
    return found[1].decode() if found else ""


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ET.Element, *path: str) -> str:
    """The text below `element` along local names, empty where there is none."""
    found: ET.Element | None = element
    for step in path:
        found = next((child for child in found if _local(child) == step), None) if found is not None else None
    return (found.text or "").strip() if found is not None else ""
