"""What Kafka and PostgreSQL have in common as children of ours: start, stop, kill, restart, and dying with us."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from deploy.local.ports import is_free
from deploy.waiting import until
from shared.errors import DossierError

Say = Callable[[str], None]

_LEASH = Path(__file__).with_name("leash.py")
_START_SECONDS = 120.0
_LAST_LINES = 12


class GroundError(DossierError):
    """A server of the ground did not start, stop or answer in time; the message quotes the end of its log."""


class Server(ABC):
    """One server process and what it started. `home` holds its data and `server.log`; the port stays the same.

    Start it in a thread that lives as long as the server shall, such as the main thread: see `leash.py`.
    """

    name: str
    asks_to_end = signal.SIGTERM
    when_parent_dies = signal.SIGKILL
    stop_seconds = 20.0

    def __init__(self, home: Path, port: int, say: Say = lambda _: None) -> None:
        self.home = home
        self.port = port
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._last_error: Exception | None = None

    @property
    def log(self) -> Path:
        """Where the server writes what it has to say."""
        return self.home / "server.log"

    @property
    def running(self) -> bool:
        """True while the process that `start` made is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The server's process id. Raises GroundError if it does not run."""
        if self._process is None or not self.running:
            raise GroundError(f"{self.name} is not running")
        return self._process.pid

    async def start(self) -> None:
        """Starts the server and returns when it answers; does nothing if it runs. Raises GroundError."""
        if self.running:
            return
        if not is_free(self.port):
            raise GroundError(f"{self.name}: port {self.port} is taken by another program")
        begun = time.monotonic()
        self._say(f"{self.name}: starting on port {self.port}")
        self.home.mkdir(parents=True, exist_ok=True)
        await self._prepare()
        self._process = self._spawn(self._command())
        try:
            await self._until_it_answers()
        except BaseException:
            await self.kill()
            raise
        self._say(f"{self.name}: ready after {time.monotonic() - begun:.1f} s (pid {self.pid})")

    async def stop(self) -> int | None:
        """Asks the server to end, insists after `stop_seconds`; its exit status, None if it was never started."""
        if self._process is not None and self.running:
            self._process.send_signal(self.asks_to_end)
            try:
                await until(self._ended, seconds=self.stop_seconds, what=f"{self.name} to stop")
            except TimeoutError:
                return await self.kill()
        return None if self._process is None else self._process.poll()

    async def kill(self) -> int | None:
        """SIGKILL for the server and everything it started, at once; returns when all are gone (status -9)."""
        if self._process is None or not self.running:
            return None if self._process is None else self._process.poll()
        offspring = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for process in offspring:
            _kill(process)
        await until(self._ended, seconds=self.stop_seconds, what=f"{self.name} to die")

        async def all_gone() -> bool:
            return not any(map(_alive, offspring))

        await until(all_gone, seconds=self.stop_seconds, what=f"the children of {self.name} to die")
        return self._process.returncode

    async def restart(self) -> None:
        """Stops the server if it runs and starts it again on the same port and data."""
        await self.stop()
        await self.start()

    async def run_tool(self, command: Sequence[str]) -> None:
        """Runs one of the server's own tools to its end. Raises GroundError with what it said if it fails."""
        process = self._spawn(command, output=subprocess.PIPE)
        output, _ = await asyncio.to_thread(process.communicate, timeout=_START_SECONDS)
        if process.returncode != 0:
            raise GroundError(f"{Path(command[0]).name}: exit {process.returncode}: {output.decode().strip()[-1500:]}")

    @abstractmethod
    async def _prepare(self) -> None:
        """Makes the data directory if it is new and writes the settings."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The server's program and its arguments."""

    @abstractmethod
    async def _answers(self) -> bool:
        """True if a client can work with the server now; may raise what its client raises."""

    def _spawn(self, command: Sequence[str], output: int | None = None) -> subprocess.Popen[bytes]:
        leash = [sys.executable, "-I", "-S", str(_LEASH), str(int(self.when_parent_dies)), str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (the command is ours)
                [*leash, *command],
                stdin=subprocess.DEVNULL,
                stdout=output or log,
                stderr=subprocess.STDOUT,
                # Not C: Java would read the letters of a path such as `hồ-sơ` as question marks.
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                cwd=self.home,
                start_new_session=True,
            )

    async def _until_it_answers(self) -> None:
        try:
            await until(self._answers_or_died, seconds=_START_SECONDS, what=f"{self.name} to answer")
        except TimeoutError as late:
            raise GroundError(f"{late} ({self._last_error!r}); {self.log} ends:\n{self._last_words()}") from late

    async def _answers_or_died(self) -> bool:
        if not self.running:
            raise GroundError(f"{self.name} ended at its start; {self.log} ends:\n{self._last_words()}")
        try:
            return await self._answers()
        except (OSError, TimeoutError) as error:
            self._last_error = error
            return False

    async def _ended(self) -> bool:
        return not self.running

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
