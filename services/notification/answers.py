"""What a mail server's answers mean, and to whom they speak: to us all, or of a mailbox or domain to one mail. Pure.

RFC 5321, 4.2 (codes), RFC 3463 and the registry that follows it (enhanced codes), RFC 4954, 6 (log-in). A no before
a recipient is named speaks to us, whoever the mail is for. After it, nearly all speaks of this mail; but many servers
keep what they think of us until then, so what names the sender, our log-in or our domain speaks to us there too.
"""

import re
from enum import StrEnum, auto


class Stage(StrEnum):
    """What was answered: anything before a recipient is named; then the recipient; then the mail itself."""

    BEFORE = auto()
    RECIPIENT = auto()
    CONTENT = auto()


class Meaning(StrEnum):
    """What an answer, or none, comes to."""

    TAKEN = auto()
    """The server has the mail, or wants to hear more."""
    SERVER = auto()
    """The server does not want us or cannot: every mail waits until it or our settings are mended."""
    NOT_YET = auto()
    """This mailbox or domain does not take this mail now; no word about any other."""
    NEVER = auto()
    """It never will."""
    UNCLEAR = auto()
    """It may be the server or this mail: whether the server still lets us in tells."""


LOG_IN = frozenset({454, 530, 534, 535, 538})
"""We did not log in as the server wants it; it may say so to any command (RFC 4954, 6)."""
ABOUT_US = frozenset(
    {(1, 7), (1, 8)}  # our sender's address or domain is not known or cannot be answered
    | {(7, detail) for detail in (8, 9, 11, 12, 13)}  # our log-in
    | {(7, detail) for detail in range(20, 30)}  # our domain: DKIM, SPF, reverse DNS, null MX, ARC (RFC 7372, 7505)
)
"""Enhanced codes (subject, detail) that speak of the sender, at whatever stage."""
SYSTEM = frozenset({3, 4})
"""Subjects of a system or network that is busy or full, for minutes at most; not a mailbox's own."""

_ENHANCED = re.compile(r"[245]\.(\d{1,3})\.(\d{1,3})(?!\S)")
Enhanced = tuple[int, int]


def enhanced(text: str) -> Enhanced | None:
    """Subject and detail of the enhanced code that an answer's text begins with (RFC 2034, 4). The class is left out:
    where it contradicts the code, the code holds.
    """
    found = _ENHANCED.match(text)
    return (int(found[1]), int(found[2])) if found else None


def meaning(stage: Stage, code: int, more: Enhanced | None) -> Meaning:
    """What an answer comes to; `more` is its enhanced code. The first that fits, from the top, holds."""
    if 200 <= code <= 399:
        return Meaning.TAKEN
    if stage is Stage.BEFORE or code in LOG_IN or more in ABOUT_US:
        return Meaning.SERVER
    if code == 421 or not 400 <= code <= 599:
        return Meaning.UNCLEAR
    return Meaning.NOT_YET if code < 500 else Meaning.NEVER


def code_class(code: int, more: Enhanced | None) -> str:
    """A word for metrics, of a few dozen: `4.2` for class and subject, `4yz` where there is no enhanced code."""
    first = code // 100 if 2 <= code // 100 <= 5 else 0
    return f"{first}.{more[0]}" if more and more[0] <= 7 else f"{first}yz"
