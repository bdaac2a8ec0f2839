"""`python -m deploy.demo`: everything from nothing, dossiers through all services, audited; `--stay` keeps it up."""

import argparse
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.demo import report
from deploy.demo.asked import People, arguments, given
from deploy.demo.players import IDENTITY, Desk, Played, Theatre, stubborn
from deploy.demo.upkeep import keep_up
from deploy.demo.watch import Watcher
from deploy.kafka.acls import SUBSCRIBERS
from deploy.local.ground import External, wipe
from deploy.local.machine import LOCAL, ROOT
from deploy.simulators.process import NotStarted
from deploy.stack import Stack
from shared.command import INTERRUPTED, run_command
from shared.errors import DossierError
from shared.services import DOORS

AT_ONCE = 64
NOTICES_S = 120.0
ROLES = "(database and role dossier_<service>; role auditor reads all five)"
_STAGES: tuple[tuple[str, Callable[[Played], bool]], ...] = (
    ("submitted", lambda one: bool(one.dossier_id)),
    ("identity answered", lambda one: bool(one.case.all(*IDENTITY))),
    ("fee settled", lambda one: bool(one.case.all("FeePaid", "FeeWaived")) or _free(one)),
    ("accepted or refused", lambda one: bool(one.case.all("DossierAccepted", "DossierRefused"))),
    ("ended", lambda one: bool(one.case.all("ResultReturned", "DossierRefused"))),
    ("all notices sent", lambda one: one.finished and report.notices_owed(one) == report.notices_sent(one)),
)


def _free(one: Played) -> bool:
    fee = one.case.last("FeeAssessed")
    return fee is not None and fee.data["kind"] == "none"


def main() -> int:
    """Run what the command line asks for; exit code 0 only if every line given was good, every dossier ended as it
    should and the audit is clean. Raises BrokenPipeError once nobody reads what it prints.
    """
    asked = arguments(sys.argv[1:])
    try:
        return asyncio.run(_until_told(_stay(asked), 0) if asked.stay else _until_told(_demo(asked), INTERRUPTED))
    except BrokenPipeError:
        _tell("nobody reads this any more: everything that was started has been ended")
        raise
    except (DossierError, NotStarted, OSError) as wrong:
        _tell(str(wrong))
        return 2


async def _until_told(work: Coroutine[Any, Any, int], told: int) -> int:
    """What `work` comes to; `told` if Ctrl-C or SIGTERM came before, once all that it had started has ended. A second
    Ctrl-C changes nothing: the servers end in order.
    """
    working = asyncio.ensure_future(work)

    def end() -> None:
        if not working.cancelling():
            _tell("ending what was started")
            working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    try:
        return await working
    except asyncio.CancelledError:
        return told


def _tell(text: str) -> None:
    """On standard error, which a pipe leaves to the terminal."""
    sys.stderr.write(f"{text}\n")


class _Printed(Console):
    """Standard output. Whoever began it ends everything in order if nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


async def _demo(asked: argparse.Namespace) -> int:
    console = _Printed()
    say = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    folder = (asked.folder or LOCAL / "demo").resolve()
    external = External.from_environment()
    _begin_anew(folder, external)
    for warning in warnings(asked.input, external):
        say(warning)
    cast = given(asked, folder)
    if cast.fault:
        say(cast.fault)
    async with Stack(folder, cast.register, asked.replicas, say, external=external) as stack:
        watcher = Watcher(stack.ground.bootstrap_servers, login=stack.ground.broker(SUBSCRIBERS[0]).login)
        await watcher.start()
        began = time.monotonic()
        played = [Played(line) for line in cast.lines]
        try:
            await _unless_it_falls(stack, say, _play(stack, watcher, played, cast.people, console))
        finally:
            await watcher.stop()
        seconds = time.monotonic() - began
        audit = await asyncio.to_thread(_verify, stack, say)
        figures = {**report.totals(played, watcher, seconds, audit), "replicas": asked.replicas}
    report.write(asked.build, played, figures)
    report.show(say, figures, played, _places(folder, asked.build))
    if cast.fault:
        say(cast.fault)
    well = audit == 0 and figures["not_ended_well"] == 0 and watcher.gaps == 0 and not cast.fault
    return 0 if well else 1


async def _unless_it_falls(stack: Stack, say: Callable[[str], None], playing: Coroutine[Any, Any, None]) -> None:
    """Play, while the stack is kept up. Raises GroundError if that is no longer possible."""
    tasks = [asyncio.ensure_future(playing), asyncio.ensure_future(keep_up(stack, say))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                return task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _begin_anew(folder: Path, external: External) -> None:
    """Nothing of an earlier demonstration: who was entered in the register then is unknown to it again. Only a database
    that outlives it needs its secrets: what lies there is under that key-encryption key.
    """
    wipe(folder, keep=("secrets",) if external.database_url else ())
    for name in ("outside", "logs", "faust"):
        shutil.rmtree(folder / name, ignore_errors=True)


def warnings(given: Path | None, external: External) -> Iterator[str]:
    """What to know of servers that remember an earlier demonstration; `given` is the file to be played, if there is
    one.
    """
    if external.database_url and given is not None:
        yield (
            f"{given}: its idempotency keys are sent as they are. A database that has seen them gives the first "
            "answer again, or refuses another body (DOS-INT-003): then use new keys in the file, or an empty database."
        )
    if (external.bootstrap_servers is None) != (external.database_url is None):
        yield (
            "Of Kafka and PostgreSQL one is external, the other begins empty: after an earlier demonstration they do "
            "not fit, and the services refuse to start. Set both KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL, or neither."
        )


def _places(folder: Path, build: Path) -> Sequence[str]:
    mail = folder / "outside" / "smtp" / "mail" / "new"
    return (
        f"e-mails      {_shown(mail)}/*.eml ({len(list(mail.glob('*.eml')))})",
        f"logs         {_shown(folder / 'logs')}/*.log",
        f"results      {_shown(build)}/demo.json, {_shown(build)}/dossiers.jsonl",
    )


def _shown(path: Path) -> Path:
    """Short where it lies in the project."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


async def _play(stack: Stack, watcher: Watcher, played: list[Played], truth: People, console: Console) -> None:
    desk = Desk(stack.http, [process.url for process in stack.of("intake")], stack.clients())
    theatre = Theatre(desk, watcher, stack.outside, truth, asyncio.Semaphore(AT_ONCE), stubborn(played, truth))
    with _bars(console) as progress:
        bars = {stage: progress.add_task(stage, total=len(played)) for stage, _ in _STAGES}
        playing = asyncio.gather(*(theatre.play(one) for one in played))
        showing = asyncio.create_task(_show(progress, bars, played))
        await playing
        await _notices(watcher, played)
        showing.cancel()
        _update(progress, bars, played)


async def _notices(watcher: Watcher, played: Sequence[Played]) -> None:
    """Wait for the last mails; what is missing after that is told in the report."""
    try:
        await watcher.until(
            lambda: all(report.notices_owed(one) == report.notices_sent(one) for one in played),
            NOTICES_S,
            "the last notices",
        )
    except TimeoutError as late:
        Console(stderr=True).print(str(late), markup=False)


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


async def _show(progress: Progress, bars: dict[str, Any], played: Sequence[Played]) -> None:
    while True:
        _update(progress, bars, played)
        await asyncio.sleep(0.5)


def _update(progress: Progress, bars: dict[str, Any], played: Sequence[Played]) -> None:
    for stage, reached in _STAGES:
        progress.update(bars[stage], completed=sum(1 for one in played if reached(one)))


def _verify(stack: Stack, say: Callable[[str], None]) -> int:
    """`python -m services.audit verify`, as an operator runs it."""
    done = subprocess.run(  # noqa: S603 - the command is ours
        [sys.executable, "-m", "services.audit", "verify"],
        cwd=ROOT, env=stack.environment("audit"), capture_output=True, text=True, check=False,
    )  # fmt: skip
    say((done.stdout + done.stderr).rstrip())
    return done.returncode


async def _stay(asked: argparse.Namespace) -> int:
    say = partial(_Printed().print, markup=False, highlight=False, soft_wrap=True)
    folder = (asked.folder or LOCAL / "run").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    cast = given(asked, folder)
    if cast.fault:
        say(cast.fault)
    async with Stack(folder, cast.register, asked.replicas, say, watched=True) as stack:
        say("\n".join(_where(stack)))
        say(f"up (pid {os.getpid()}); Ctrl-C ends it")
        await keep_up(stack, say)


def _where(stack: Stack) -> Iterator[str]:
    """Everything that an operator must know, without a secret."""
    for process in stack.processes:
        door = f"{process.url}  " if process.service in DOORS else ""
        yield f"{process.service:<13} {door}(probes {process.probes}, pid {process.pid}, log {_shown(process.log)})"
    secrets = stack.ground.secrets
    yield f"Kafka         {stack.ground.bootstrap_servers}"
    yield f"PostgreSQL    {urlsplit(stack.ground.admin_url).netloc.rpartition('@')[2]}  {ROLES}"
    yield f"secrets       {_shown(secrets.directory)}  (SECRETS_DIR; a file per role: <service>_db_password)"
    yield f"tokens        {_shown(secrets.path('clients.json'))}"
    yield f"bank page     {stack.outside.payment_page}\nmails         {stack.outside.mail_folder}/new"
    file = _shown(stack.environment_file("intake"))
    yield f"a command     (set -a; . {file}; set +a; python -m services.intake deadletters list)"


if __name__ == "__main__":
    run_command(main)
