"""What people type or paste, brought into one form; what cannot be is named by character and place. Pure.

Nobody sees a zero-width mark, a no-break space or a soft hyphen, and everybody writes a telephone number in groups. So
these are cleaned. What stays refused is named: the character by its Unicode name, never the text around it.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import dropwhile

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Stands before a text that some editors wrote; a reader may pass it over (RFC 8259, 8.1; RFC 3629, 6)."""

_TURNS_AROUND = "\u202e"  # shows what follows backwards: nobody could tell which text was meant
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and signs that show as an empty place
_JOINER = "\u034f"
_VARIANTS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_UNPRINTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CONTROLS = {"\0": "NULL", "\t": "TAB", "\n": "LINE FEED", "\r": "CARRIAGE RETURN", "\x1b": "ESCAPE", "\x7f": "DELETE"}
_NAMELESS = {"Cc": "CONTROL CHARACTER", "Cs": "SURROGATE", "Co": "PRIVATE USE", "Cn": "NOT A CHARACTER"}


def is_space(character: str) -> bool:
    """Whether it is a space of any width or a tab; line ends are none."""
    return character == "\t" or unicodedata.category(character) == "Zs" or character in _FILLERS


def is_unseen(character: str) -> bool:
    """Whether it leaves no trace of its own in the text, save that which turns the text around."""
    if character.isascii():
        return False
    if character == _JOINER or _VARIANTS.match(character) is not None:
        return True
    return unicodedata.category(character) == "Cf" and character != _TURNS_AROUND


def seen(text: str) -> str:
    """The text without marks that nobody sees, its spaces plain ones and none around it."""
    plain = "".join(" " if is_space(one) else one for one in text if not is_unseen(one))
    return plain.strip(" ")


def inside(text: str) -> Iterator[tuple[int, str]]:
    """Every character that `seen` leaves, with its index in the text as it was sent."""
    kept = [(n, one) for n, one in enumerate(text) if not is_unseen(one)]
    while kept and is_space(kept[-1][1]):
        kept.pop()
    return dropwhile(lambda each: is_space(each[1]), kept)


def one_line(text: str) -> str:
    """The text composed (NFC), as `seen`, with single spaces."""
    return re.sub(" +", " ", unicodedata.normalize("NFC", seen(text)))


def unprinted(text: str) -> tuple[str, str] | None:
    """The first character that no line for people may hold, by place and name; marks that nobody sees, and spaces, are
    cleaned instead.
    """
    for n, one in enumerate(text):
        if unicodedata.category(one) in _UNPRINTED and not is_space(one) and not is_unseen(one):
            return placed(n, one)
    return None


def placed(n: int, character: str) -> tuple[str, str]:
    """The place of a character, counted from 1, and its name: what a fault may tell of a text."""
    return str(n + 1), named(character)


def named(character: str) -> str:
    """A character by number and name, such as `U+202E RIGHT-TO-LEFT OVERRIDE`."""
    name = _CONTROLS.get(character) or unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name or _NAMELESS.get(unicodedata.category(character), 'WITHOUT A NAME')}"
