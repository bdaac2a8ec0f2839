"""What several units are looked at with."""

import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import structlog

from shared.runtime.observe import logs
from tests.lawbook import edit, folder

__all__ = ["edit", "folder"]

LogLines = Callable[[], list[dict[str, Any]]]
"""The lines that a process has written so far, as an operator's log holds them."""


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    """Logs as in production, into memory; pytest's own handlers and levels come back."""
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = StringIO()
    logs.configure("payment", "INFO", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers, root.level = before
    structlog.reset_defaults()
