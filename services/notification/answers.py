"""What a mail server's answers mean, and to whom they speak: to us all, or of a mailbox or domain to one mail. Pure.

RFC 5321, 4.2 (codes), RFC 3463 and the registry that follows it (enhanced codes), RFC 4954, 6 (log-in). A no before
a recipient is named speaks to us, whoever the mail is for. After it, nearly all speaks of this mail; but many servers
keep what they think of us until then, so what names the sender, our log-in, our domain or the order of our commands
speaks to us there too. A no for policy's sake may be either: a relay that is not to relay for us says it of every
recipient, a mailbox of its own wish; so it is final for nobody, and is tried for as long as any mail.
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
    | {(7, detail) for detail in (8, 9, 10, 11, 12, 13, 14)}  # our log-in, and what the server needs to trust us
    | {(7, detail) for detail in range(20, 30)}  # our domain: DKIM, SPF, reverse DNS, null MX, ARC (RFC 7372, 7505)
)
"""Enhanced codes (subject, detail) that speak of the sender, at whatever stage."""
OUT_OF_ORDER = frozenset({503})
"""The server does not know where we are in the session: no word about any mailbox."""
UNKNOWN_COMMAND = frozenset({500, 502})
"""To `RCPT`, of whose argument it says nothing."""
POLICY, NOT_OURS_TO_RELAY = 7, (7, 1)
OWN_WISH = frozenset({(7, 2), (7, 17), (7, 18), (7, 19)})
"""A policy that speaks of this mailbox: a closed list, an owner who has changed (RFC 7293)."""
SYSTEM = frozenset({3, 4})
"""Subjects of a system or network that is busy or full, for minutes at most; not a mailbox's own."""

_ENHANCED = re.compile(r"[245]\.(\d{1,3})\.(\d{1,3})(?!\S)")
_AT_THE_END = re.compile(r"\(#?[245]\.(\d{1,3})\.(\d{1,3})\)\s*\Z")
_NO_RELAY = re.compile(r"(?<![\w.@<-])relay(ing|ed)?(?![\w@-]|\.\w)", re.IGNORECASE)
"""The word, and not part of a host's name or of an address."""
Enhanced = tuple[int, int]


def enhanced(text: str) -> Enhanced | None:
    """Subject and detail of the enhanced code that an answer's text begins with (RFC 2034, 4). The class is left out:
    where it contradicts the code, the code holds. Without one: that which stands in brackets at the end, as qmail has
    it; or else, where the text speaks of relaying, the one for that.
    """
    found = _ENHANCED.match(text) or _AT_THE_END.search(text)
    if found:
        return int(found[1]), int(found[2])
    return NOT_OURS_TO_RELAY if _NO_RELAY.search(text) else None


def meaning(stage: Stage, code: int, more: Enhanced | None) -> Meaning:
    """What an answer comes to; `more` is its enhanced code. The first that fits, from the top, holds."""
    if 200 <= code <= 399:
        return Meaning.TAKEN
    if stage is Stage.BEFORE or code in LOG_IN | OUT_OF_ORDER or more in ABOUT_US:
        return Meaning.SERVER
    if stage is Stage.RECIPIENT and code in UNKNOWN_COMMAND:
        return Meaning.SERVER
    if code == 421 or not 400 <= code <= 599:
        return Meaning.UNCLEAR
    if code < 500 or (stage is Stage.RECIPIENT and _may_be_about_us(more)):
        return Meaning.NOT_YET
    return Meaning.NEVER


def _may_be_about_us(more: Enhanced | None) -> bool:
    """Of a 5yz to a recipient: whether it is a policy's, and not a mailbox's own; or a mail system's that is set up
    wrong, full or closed (RFC 3463, 3.4), save that this mail is too big for it.
    """
    if more is None:
        return False
    subject, detail = more
    return (subject == POLICY and more not in OWN_WISH) or (subject == 3 and detail != 4)


def code_class(code: int, more: Enhanced | None) -> str:
    """A word for metrics, of a few dozen: `4.2` for class and subject, `4yz` where there is no enhanced code."""
    first = code // 100 if 2 <= code // 100 <= 5 else 0
    return f"{first}.{more[0]}" if more and more[0] <= 7 else f"{first}yz"
