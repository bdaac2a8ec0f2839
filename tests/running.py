"""A plugin of pytest that says which test runs: `-p tests.running --running FILE`.

Whoever has to end a run that does not end reads there what it hung in, however it ended; and SIGINT is heard.
"""

import signal
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option, without which nothing is written."""
    parser.addoption("--running", type=Path, help="file that names the test that runs")


def pytest_configure(config: pytest.Config) -> None:
    """From here on the file is written."""
    file: Path | None = config.getoption("--running")
    if file is None:
        return
    config.pluginmanager.register(_Running(file))
    # A shell has what it runs in the background ignore it, and all that is started from there.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class _Running:
    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._file.write_text(nodeid, encoding="utf-8")
