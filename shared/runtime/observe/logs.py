"""JSON logs, one object a line, with dossier, event and request ids; no personal data.

Only fields on the list are written: whatever a library hands over besides never reaches a log file.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import ExcInfo

from shared.errors import DossierError

PERIOD_S = 10.0
AGAIN_S = 60.0
"""A warning or error of our own that is the same in all its fields is written so seldom, however often it is tried."""
MOST_MESSAGES = 1000
"""Messages remembered at most: a library may write its values into them."""

_ALLOWED = frozenset(
    {
        "timestamp", "level", "logger", "event", "service", "request_id", "dossier_id", "event_id", "why", "error",
        "kind", "writer", "shard", "shards", "offset", "sequence", "expected", "items", "task", "exception", "point",
        "topic", "partition", "seconds", "signal", "port", "reason", "reference", "status", "dependency", "held_back",
        "error_code", "asked_vnd", "reported_vnd", "currency", "transaction_no", "bank", "response_code", "rsp_code",
        "parameter", "partitions",
    }
)  # fmt: skip


_ONE_THING = frozenset({"dossier_id", "event_id", "reference", "task", "offset", "sequence", "transaction_no"})


def _only_allowed(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: value for name, value in event.items() if name in _ALLOWED or name.startswith("_")}


def _without_data(exc_info: ExcInfo) -> str:
    """The chain of an exception, the first cause first: where and of what type. Only our own errors tell their text,
    for a library's may quote the data that it failed on.
    """
    told: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None:
        text = f": {error}" if isinstance(error, DossierError) else ""
        told.insert(0, "".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__ + text)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(told)


class Sparing(logging.Filter):
    """Of a library's lines with the same message (before its values are filled in), one in PERIOD_S; the next one that
    passes tells in `held_back` how many did not. While the broker is down aiokafka says the same sixty times a second.

    Our own lines, and those with an exception, all pass.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if not isinstance(record.msg, str) or record.exc_info:
            return True
        key, now = (record.name, record.msg), self._clock()
        at, held_back = self._passed.get(key, (now - PERIOD_S, 0))
        if now < at + PERIOD_S:
            self._passed[key] = at, held_back + 1
            return False
        if len(self._passed) >= MOST_MESSAGES:
            self._passed.clear()
        self._passed[key] = now, 0
        if held_back:
            record.held_back = held_back
        return True


class Repeats:
    """Of our own warnings and errors that are the same in all their fields but the request's id, one in AGAIN_S; the
    next one that passes tells in `held_back` how many did not. A fault that lasts is met by every loop and request.

    What names one thing (`_ONE_THING`) or bears an exception, and what is told at INFO, all passes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed: dict[tuple[str, ...], tuple[float, int]] = {}

    def __call__(self, _: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The line. Raises structlog.DropEvent for one that is not written."""
        if method not in ("warning", "error", "critical") or event.get("exc_info") or not _ONE_THING.isdisjoint(event):
            return event
        key = tuple(f"{name}={value!r}" for name, value in sorted(event.items()) if name != "request_id")
        now = self._clock()
        at, held_back = self._passed.get(key, (now - AGAIN_S, 0))
        if now < at + AGAIN_S:
            self._passed[key] = at, held_back + 1
            raise structlog.DropEvent
        if len(self._passed) >= MOST_MESSAGES:
            self._passed.clear()
        self._passed[key] = now, 0
        return {**event, "held_back": held_back} if held_back else event


def configure(service: str, level: str, stream: TextIO = sys.stdout) -> None:
    """Log as JSON lines on `stream`, our own and the libraries' alike."""
    chain = _chain(service)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            Repeats(),
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_handler(stream, chain)]
    root.setLevel(level)
    # These say at INFO what they do with every fetch and commit; their warnings are kept ("abc" is Faust's consumer).
    for chatty in ("aiokafka", "faust", "mode", "uvicorn.access", "uvicorn.error", "asyncio", "abc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _chain(service: str) -> list[Any]:
    """What every line goes through, whoever writes it."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_without_data),
        lambda _, __, event: {**event, "service": service},
        _only_allowed,
    ]


def _handler(stream: TextIO, chain: list[Any]) -> logging.Handler:
    """Writes lines as JSON; a library's go through the chain here, ours have been through it."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(Sparing())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(["held_back"]), *chain],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    return handler
