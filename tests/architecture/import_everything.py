"""Imports every module under the folders named, and prints what touched the world meanwhile, one fault a line.

A program of its own, for only a fresh process imports anything: `python import_everything.py ROOT FOLDER...`. What a
library does for itself (reading its own switches, say) is not held against us; only our own files are.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WORLD = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec",
    "os.fork", "os.mkdir", "os.remove", "os.rename", "os.kill", "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp",
}  # fmt: skip


class Watch:
    """Notes what our own files do to the world."""

    def __init__(self, root: Path, folders: Sequence[str]) -> None:
        self.homes = tuple(f"{root / folder}{os.sep}" for folder in folders)
        self.faults: list[str] = []

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """A hook for `sys.addaudithook`."""
        if event in WORLD:
            self.note(event)
        elif event == "open" and _writes(*arguments):
            self.note(f"open {arguments[0]} to write")

    def note(self, what: str) -> None:
        """Note `what`, if a line of ours has caused it and not a library that is being imported."""
        for frame in reversed(traceback.extract_stack()):
            if frame.filename.startswith(self.homes):
                self.faults.append(f"{frame.filename}:{frame.lineno}: {what}")
                return
            if "<frozen importlib" in frame.filename:
                return

    def note_reading(self, name: str) -> None:
        """Note that a variable of the environment was read, if a line of ours has done it itself."""
        between = (__file__, os.__file__, "<frozen os>")
        callers = (frame for frame in reversed(traceback.extract_stack()) if frame.filename not in between)
        nearest = next(callers, None)
        if nearest is not None and nearest.filename.startswith(self.homes):
            self.faults.append(f"{nearest.filename}:{nearest.lineno}: reads {name}")


def _writes(path: Any, mode: Any, flags: int) -> bool:
    writing = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return bool(writing) and not str(path).endswith(".pyc") and "__pycache__" not in str(path)


class Environment(dict[str, str]):
    """The environment, telling on who reads it."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(os.environ)
        self._tell = tell

    def __getitem__(self, name: str) -> str:
        self._tell(str(name))
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dict."""
        self._tell(str(name))
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self._tell(str(name))
        return super().__contains__(name)


def names(root: Path, folders: Sequence[str]) -> list[str]:
    """The dotted names of all modules under the folders."""
    files = sorted(file for folder in folders for file in (root / folder).rglob("*.py"))
    dotted = (".".join(file.relative_to(root).with_suffix("").parts) for file in files)
    return [name.removesuffix(".__init__") for name in dotted]


def main(root: Path, folders: Sequence[str]) -> int:
    """Import all; 1 if anything touched the world."""
    sys.path.insert(0, str(root))
    watch = Watch(root, folders)
    sys.addaudithook(watch.audit)
    os.environ = Environment(watch.note_reading)  # type: ignore[assignment]  # noqa: B003 (it is to be watched, not emptied)
    for name in names(root, folders):
        importlib.import_module(name)
    print(*watch.faults, sep="\n")
    return 1 if watch.faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
