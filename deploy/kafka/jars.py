"""The jars of an Apache Kafka broker and of its storage tool, each pinned by SHA-256 in `jars.lock`.

`python -m deploy.kafka.jars fetch`  brings them into `.local/kafka/libs`, or nothing (exit 1 says why)
`python -m deploy.kafka.jars lock`   resolves ROOTS anew and writes `jars.lock`

PyPI `jgo` speaks with Maven repositories in pure Python: neither Maven nor a Java is needed. It asks the repositories
of its settings file (`~/.config/jgo.conf`, section `[repositories]`) before Maven Central. A jar that lies in `~/.m2`
or `M2_REPO` with the right digest is copied from there.
"""

import hashlib
import os
import re
import shutil
import ssl
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from jgo.config import GlobalSettings
from jgo.maven import MavenContext
from jgo.maven._core import DEFAULT_REMOTE_REPOS, Artifact, Dependency
from requests import RequestException
from rich.progress import Progress

from deploy.local.machine import KAFKA_VERSION, LIBS
from shared.command import run_command
from shared.errors import DossierError

LOCK = Path(__file__).with_name("jars.lock")
ROOTS = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}",
    # Without this binding the broker logs nothing at all, not even why it does not start.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)
_AT_ONCE = 6
_TIMEOUT_S = 60
_TRIES = 3
_NEEDED = ("compile", "runtime")


_PART = r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*"
_COORDINATE = re.compile(rf"{_PART}:{_PART}:{_PART}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class JarsError(DossierError):
    """A jar could not be had, or is not the one that `jars.lock` pins; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: `group:artifact:version`, and the SHA-256 of its bytes in hex."""

    coordinate: str
    sha256: str

    def __post_init__(self) -> None:
        """Raises JarsError for what names no jar: a file of that name could lie anywhere."""
        if not (_COORDINATE.fullmatch(self.coordinate) and _SHA256.fullmatch(self.sha256)):
            raise JarsError(f"{LOCK.name}: {self.coordinate} {self.sha256} is not group:artifact:version and a SHA-256")

    @property
    def file(self) -> str:
        """Its file name, as Maven gives it."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def pinned(lock: Path = LOCK) -> list[Jar]:
    """Every jar of the lock file, in its order. Raises JarsError for a line that names none, or a file twice."""
    lines = [line.split() for line in lock.read_text().splitlines() if line.strip() and not line.startswith("#")]
    jars = [Jar(words[0], " ".join(words[1:])) for words in lines]
    if twice := [file for file, times in Counter(jar.file.lower() for jar in jars).items() if times > 1]:
        raise JarsError(f"{LOCK.name} names more than one jar of the file name {twice[0]}")
    return jars


def fetch(jars: Sequence[Jar], libs: Path) -> None:
    """Bring `jars` into the folder `libs`, with a bar: all, or the folder stays as it was. Raises JarsError."""
    new = libs.with_name(f"{libs.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    with _repository() as context, Progress(transient=True) as bar, ThreadPoolExecutor(_AT_ONCE) as pool:
        task = bar.add_task("Kafka's jars", total=len(jars))
        for _ in pool.map(lambda jar: _bring(context, jar, new / jar.file), jars):
            bar.advance(task)
    if libs.is_symlink():
        libs.unlink()
    shutil.rmtree(libs, ignore_errors=True)
    new.rename(libs)


def resolve(roots: Iterable[str]) -> list[Jar]:
    """`roots` (group:artifact:version) and everything that they need to run, with their digests. Raises JarsError."""
    with _repository() as context:
        wanted = [Dependency(_artifact(context, root), scope="compile", raw=True) for root in roots]
        given, more = context.resolver.resolve(wanted)
        needed = (each.artifact for each in (*given, *more) if each.scope in _NEEDED)
        return sorted(
            (Jar(_coordinate(one), _digest(_download(one))) for one in needed), key=lambda jar: jar.coordinate
        )


@contextmanager
def _repository() -> Iterator[MavenContext]:
    """Where to ask, with a folder of its own for what comes: a broken download must not stay in somebody's `~/.m2`."""
    _trust_as_this_machine_does()
    own = GlobalSettings.load().repositories
    remote = {**own, **{name: url for name, url in DEFAULT_REMOTE_REPOS.items() if name not in own}}
    with TemporaryDirectory() as kept:
        yield MavenContext(repo_cache=Path(kept), remote_repos=remote, timeout=_TIMEOUT_S)


def _trust_as_this_machine_does() -> None:
    """`requests` knows only the authorities of its own package, not the one that an organisation's proxy signs with.
    They stand in where the machine has none: its folder for them may be there and empty.
    """
    paths = ssl.get_default_verify_paths()
    folder = paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else None
    if trusted := paths.cafile or folder:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", trusted)


def _bring(context: MavenContext, jar: Jar, target: Path) -> None:
    artifact = _artifact(context, jar.coordinate)
    here = _own_repository() / artifact.component.path_prefix / jar.file
    source = here if here.exists() and _digest(here) == jar.sha256 else _download(artifact)
    if _digest(source) != jar.sha256:
        raise JarsError(f"{jar.coordinate}: what came is not what {LOCK.name} pins; nothing of it is used")
    shutil.copyfile(source, target)


def _own_repository() -> Path:
    return Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")


def _artifact(context: MavenContext, coordinate: str) -> Artifact:
    group, name, version = coordinate.split(":")
    return context.project(group, name).at_version(version).artifact()


def _coordinate(artifact: Artifact) -> str:
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"


def _download(artifact: Artifact) -> Path:
    for left in reversed(range(_TRIES)):
        try:
            return artifact.resolve()
        except (RequestException, OSError, RuntimeError) as error:
            if artifact.cached_path is not None:
                artifact.cached_path.unlink(missing_ok=True)
            if not left:
                raise JarsError(
                    f"{_coordinate(artifact)} cannot be had from {', '.join(artifact.context.remote_repos)} "
                    f"({type(error).__name__}): is there a network? Repositories of your own: ~/.config/jgo.conf"
                ) from error
    raise AssertionError("unreachable")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_lock(jars: Iterable[Jar]) -> None:
    head = "# `make lock` writes this file: what the jars of deploy/kafka/jars.py need, resolved, with SHA-256.\n"
    LOCK.write_text(head + "".join(f"{jar.coordinate} {jar.sha256}\n" for jar in jars))


def main(arguments: Sequence[str]) -> int:
    """Does what is asked; returns 0, 1 if a jar could not be had, 2 for another call."""
    try:
        match arguments:
            case ["fetch"]:
                fetch(pinned(), LIBS)
            case ["lock"]:
                _write_lock(resolve(ROOTS))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except JarsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
