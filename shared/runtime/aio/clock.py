"""The time of messages that begin here. Whole milliseconds, as on the wire: a state folded live equals one rebuilt."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, UTC, cut to milliseconds (the precision of `ce_time`)."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
