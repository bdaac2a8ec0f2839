"""How a process ends by itself at a bug of ours, and what may be written of one."""

import os
from typing import NoReturn

import structlog

log = structlog.get_logger(__name__)

EX_SOFTWARE = 70
"""sysexits.h: an internal fault. The operator's restart policy starts the process again."""


def end_at_once(bug: BaseException) -> NoReturn:
    """Leave without a drain: whoever went on would acknowledge what is not committed, or tell nobody that it is not."""
    log.critical("engine-bug", error=type(bug).__name__, exc_info=trace_only(bug))
    os._exit(EX_SOFTWARE)


def trace_only(bug: BaseException) -> BaseException:
    """The stack without the message: an exception of a library may quote the data it failed on."""
    return RuntimeError(type(bug).__name__).with_traceback(bug.__traceback__)
