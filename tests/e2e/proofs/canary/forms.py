"""A mark in all its disguises: as is, in other letters, escaped, encoded, with separators; and the search for it."""

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote, unquote

_BETWEEN_DIGITS = re.compile(r"(?<=[0-9])[ .\-/]{1,2}(?=[0-9])")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def folded(text: str) -> str:
    """`text` in small letters without diacritics, whatever its normal form was."""
    parts = unicodedata.normalize("NFD", text.casefold())
    return "".join(one for one in parts if not unicodedata.combining(one)).replace("đ", "d")


@dataclass(frozen=True)
class Mark:
    """A word to look for. `digits`: also with separators between them. `alone`: only where no letter or digit is
    beside it, for a short number that could be a part of any digest.
    """

    what: str
    text: str
    digits: bool = False
    alone: bool = False

    @cached_property
    def plain(self) -> str:
        """The mark as it stands in folded text."""
        return folded(self.text)

    @cached_property
    def encoded(self) -> Sequence[bytes]:
        """What is left of it in base64 (whatever stands before it) and hexadecimal."""
        spelt = {unicodedata.normalize(form, self.text).encode() for form in ("NFC", "NFD")}
        spelt |= {self.plain.encode(), self.text.casefold().encode(), self.text.upper().encode()}
        found = {code for raw in spelt for code in (*in_base64(raw), raw.hex().encode(), raw.hex().upper().encode())}
        return sorted(found)

    @cached_property
    def bounded(self) -> re.Pattern[str]:
        """The mark alone."""
        return re.compile(rf"(?<![0-9a-z]){re.escape(self.plain)}(?![0-9a-z])")

    def stands_in(self, text: str) -> bool:
        """Whether it is in a folded text."""
        return self.plain in text and (not self.alone or self.bounded.search(text) is not None)


def in_base64(raw: bytes) -> Iterator[bytes]:
    """The characters that `raw` alone decides, for each of its three alignments, in both alphabets."""
    for before in range(3):
        code = base64.b64encode(bytes(before) + raw + bytes(3))
        inner = code[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def found(raw: bytes, marks: Iterable[Mark]) -> list[str]:
    """The marks that are in `raw`, each with the disguise in which it was found first."""
    views = dict(_views(raw))
    return [f"{mark.what} ({disguise})" for mark in marks if (disguise := _disguise(raw, views, mark)) is not None]


def _views(raw: bytes) -> Iterator[tuple[str, str]]:
    text = raw.decode(errors="replace")
    yield "plain", folded(text)
    if "\\u" in text:
        yield "JSON-escaped", folded(_unescaped(text))
    if "%" in text:
        yield "percent-encoded", folded(unquote(text))
    yield "with separators", _BETWEEN_DIGITS.sub("", text)


def _unescaped(text: str) -> str:
    units = _ESCAPE.sub(lambda unit: chr(int(unit[1], 16)), text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _disguise(raw: bytes, views: Mapping[str, str], mark: Mark) -> str | None:
    for disguise, view in views.items():
        if (mark.digits or disguise != "with separators") and mark.stands_in(view):
            return disguise
    return "encoded" if any(code in raw for code in mark.encoded) else None


DISGUISES: Mapping[str, Callable[[str], bytes]] = {
    "as is": lambda text: text.encode(),
    "in capitals": lambda text: text.upper().encode(),
    "in small letters": lambda text: text.casefold().encode(),
    "without diacritics": lambda text: folded(text).encode(),
    "decomposed": lambda text: unicodedata.normalize("NFD", text).encode(),
    "JSON-escaped": lambda text: json.dumps({"name": f"{text} An"}).encode(),
    "percent-encoded": lambda text: f"/find?name={quote(text)}".encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 one on": lambda text: base64.b64encode(f"x{text}y".encode()),
    "base64 two on": lambda text: base64.b64encode(f"xx{text}yy".encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"??{text}??".encode()),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "hexadecimal in capitals": lambda text: text.encode().hex().upper().encode(),
}
"""Ways in which a careless program could write a text down."""

DIGIT_DISGUISES: Mapping[str, Callable[[str], bytes]] = {
    "with spaces": lambda digits: " ".join(re.findall(".{1,3}", digits)).encode(),
    "with dots": lambda digits: ".".join(re.findall(".{1,2}", digits)).encode(),
    "with dashes": lambda digits: "-".join(re.findall(".{1,4}", digits)).encode(),
}
