"""Append-only JSON lines, written so that a reader finds every line even after the writer was killed."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class Journal:
    """One JSONL file, opened for appending; its folder is made with mode 0700, for it may hold personal data.

    Each line goes to the operating system in a single write, so kill -9 loses no line that `append` returned from
    (a power cut may). A torn last line, left by a kill inside the write, is cut off when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        _cut_torn_line(self._fd)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Writes one line; returns once the operating system has it. Raises OSError when it cannot be written."""
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        written = os.write(self._fd, line)
        if written != len(line):
            raise OSError(f"{self.path}: {written} of {len(line)} bytes written")

    def close(self) -> None:
        os.close(self._fd)


class History(Journal):
    """What reached a simulator, in the order of arrival: each line has `n`, `at` (RFC 3339, UTC) and `kind`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._count = sum(1 for _ in read_lines(path))

    def record(self, kind: str, **facts: object) -> None:
        """Appends one line of `kind` with `facts`; the count `n` goes on over a restart."""
        self._count += 1
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.append({"n": self._count, "at": at, "kind": kind, **facts})


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a journal from the first on; nothing if there is no file. A torn last line is left out."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _cut_torn_line(fd: int) -> None:
    size = end = os.fstat(fd).st_size
    while end > 0 and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    if end != size:
        os.ftruncate(fd, end)
