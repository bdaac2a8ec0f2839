"""Whether two ways of writing a person's name are one name. Pure.

The same name comes in any Unicode form, in capitals or not, with the tone mark in its old or new place (Hòa, Hoà), with
letters, apostrophes, hyphens and spaces that look alike, and with marks that nobody sees. It compares in one folded
form, which is never shown. What differs in a letter or a tone is another name: Hoà, Hoá, Hoa, Hoă.

Unicode Standard Annex 15 (NFD, NFKD) and Technical Standard 39 (confusables); Decision 1989/QĐ-BGDĐT of 2018 for the
tone mark's place.
"""

import re
import unicodedata

from shared.cleaning import seen

_TONES = "\u0300\u0301\u0303\u0309\u0323"
_VOWELS = "aeiouy"
_APOSTROPHES = (
    "\u0060\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd\u1fbf\u1fef\u1ffd\u1ffe"
    "\u2018\u2019\u201a\u201b\u2032\u2035\ua78c\uff07\uff40"
)
_HYPHENS = "\u02d7\u058a\u05be\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"
_LOOK_ALIKES = {
    # Đ: Latin eth and African d, and a d that a stroke was put through
    "Ð": "Đ", "Ɖ": "Đ", "ð": "đ", "ɖ": "đ",
    "ı": "i", "ȷ": "j", "ɑ": "a", "ɡ": "g",
    # Cyrillic
    **dict(zip("АВЕЅІЈКМНОРСТУХҮԌԚԜӀЬ", "ABESIJKMHOPCTYXYGQWIb", strict=True)),
    **dict(zip("аеѕіјорсухһԁԛԝ", "aesijopcyxhdqw", strict=True)),
    # Greek
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    **dict(zip("ονϲϳ", "ovcj", strict=True)),
}  # fmt: skip
_ALIKE = str.maketrans({**_LOOK_ALIKES, **dict.fromkeys(_APOSTROPHES, "'"), **dict.fromkeys(_HYPHENS, "-")})
_STROKE = re.compile("d[\u0335-\u0338]")
_DOTTED = re.compile("([ij])\u0307")
_CARON = str.maketrans(
    "\u030c", "\u0306"
)  # of the two, Vietnamese has the breve only, and they can hardly be told apart
_VOWELS_WITH_MARKS = re.compile(f"(?:[{_VOWELS}][\u0300-\u036f]*)+")
_TONE = re.compile(f"[{_TONES}]")


def same_name(one: str, other: str) -> bool:
    """Whether two texts are the same person's name."""
    return folded(one) == folded(other)


def folded(name: str) -> str:
    """The form in which names compare: small letters decomposed, look-alikes put for one another, single spaces, and
    the one tone mark of neighbouring vowels behind the last of them.
    """
    alike = unicodedata.normalize("NFKD", seen(name).translate(_ALIKE)).translate(_ALIKE)
    small = unicodedata.normalize("NFD", alike.casefold()).translate(_CARON)
    letters = _DOTTED.sub(r"\1", _STROKE.sub("đ", small))
    return " ".join(_VOWELS_WITH_MARKS.sub(_tone_behind, letters).split())


def _tone_behind(vowels: "re.Match[str]") -> str:
    """Vowels that stand together, their tone mark behind them; as they are where there is none, or more than one: no
    syllable has two.
    """
    tones = _TONE.findall(vowels[0])
    return vowels[0] if len(tones) != 1 else _TONE.sub("", vowels[0]) + tones[0]
