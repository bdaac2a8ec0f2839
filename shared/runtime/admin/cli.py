"""What an operator can type at every service: run, deadletters, heard, topic, keys, rebuild."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

from shared.errors import KekNotHere, Misconfigured, Unavailable
from shared.runtime.admin import operator
from shared.runtime.admin.deadletters import discard
from shared.runtime.engine.engine import Engine
from shared.runtime.keys import rewrapping
from shared.runtime.keys.sealing import seal_kept
from shared.runtime.observe import logs
from shared.runtime.process.garbage import spare_the_collector
from shared.runtime.process.wiring import connection, database, lone_engine
from shared.runtime.recovery.rebuild import check
from shared.runtime.recovery.reshaping import Ground, reshape
from shared.runtime.service.service import Service
from shared.runtime.service.settings import CommitSettings, OperatorSettings, load
from shared.runtime.store.lost import LOST_CONNECTION
from shared.runtime.store.shapes import other_shapes, take_shape
from shared.topics import KEYS, SHARDS, heard_by

Extra = Mapping[str, Callable[[list[str]], int]]


def main(make: Callable[[], Service], arguments: Sequence[str], extra: Extra | None = None) -> int:
    """Run a service or one of its operator's commands; returns the exit code: 2 for a wrong setting or call."""
    if extra and arguments and arguments[0] in extra:
        return _guarded(partial(extra[arguments[0]], list(arguments[1:])))
    service = make()
    asked = _parser(service.name, sorted(extra or {})).parse_args(arguments)
    return _guarded(lambda: _dispatch(service, asked))


def _guarded(work: Callable[[], int]) -> int:
    try:
        return work()
    except Misconfigured as fault:
        sys.stderr.write(f"cannot start: {fault}\n")
        return 2
    except (Unavailable, *LOST_CONNECTION) as lost:
        sys.stderr.write(f"the database or broker does not answer: {type(lost).__name__}: {lost}\n")
        return 1


def _parser(name: str, extra: Sequence[str]) -> argparse.ArgumentParser:
    more = f" Also: {', '.join(extra)}." if extra else ""
    parser = argparse.ArgumentParser(f"python -m services.{name}", description=f"The {name} service.{more}")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="run one process of the service (the default)")
    letters = commands.add_parser("deadletters", help="what could not be handled").add_subparsers(
        dest="act", required=True
    )
    letters.add_parser("list", help="open dead letters and what waits behind them")
    letters.add_parser("show", help="one dead letter, without its value").add_argument("id", type=UUID)
    _add_redrive(letters)
    letters.add_parser("discard", help="settle a dead letter that can never be handled").add_argument("id", type=UUID)
    skip = commands.add_parser("heard", help="positions heard").add_subparsers(dest="act", required=True)
    skip.add_parser("list", help="how far each writer's shard is heard")
    one = skip.add_parser("skip", help="go on behind a gap or fork; recorded with your name")
    one.add_argument("source", help="the writer, such as intake")
    one.add_argument("shard", type=int, choices=range(SHARDS), metavar="shard")
    one.add_argument("sequence", type=int, help="the sequence to go on from: the next one heard is this + 1")
    _add_topic(commands)
    _add_keys(commands)
    rebuild = commands.add_parser("rebuild", help="states made anew out of what was said and heard")
    how = rebuild.add_mutually_exclusive_group(required=True)
    how.add_argument("--check", action="store_true", help="compare them with the live ones")
    how.add_argument(
        "--apply", action="store_true", help="make all states anew out of the topics, in this release's shape"
    )
    rebuild.add_argument("--needed", action="store_true", help="with --apply: only if they have another shape")
    return parser


def _add_topic(commands: Any) -> None:
    topic = commands.add_parser("topic", help="the service's own topic").add_subparsers(dest="act", required=True)
    one = topic.add_parser("disown", help="leave out a forged record that keeps the service from its work; recorded")
    one.add_argument("partition", type=int, choices=range(SHARDS), metavar="partition")
    one.add_argument("offset", type=int, help="where it lies, as /readyz says")


def _add_keys(commands: Any) -> None:
    keys = commands.add_parser("keys", help="data keys and what they lie under").add_subparsers(
        dest="act", required=True
    )
    keys.add_parser("status", help="how many lie under which key-encryption key; exit 1 while any is not the newest")
    keys.add_parser("rewrap", help="wrap all under the newest, while services run; may be ended and typed again")


def _add_redrive(letters: Any) -> None:
    redrive = letters.add_parser("redrive", help="handle dead letters and parked messages again, in order")
    which = redrive.add_mutually_exclusive_group(required=True)
    which.add_argument("dossier", type=UUID, nargs="?", help="those of this dossier")
    which.add_argument("--all", action="store_true", help="those of every dossier, one dossier at a time")
    redrive.add_argument("--reason", help="with --all: only dossiers with a dead letter of this reason, code or type")


def _dispatch(service: Service, asked: argparse.Namespace) -> int:
    if asked.command in (None, "run"):
        from shared.runtime.process.run import serve  # all that a process is made of, which a command does not need

        settings = load(service.settings)
        logs.configure(service.name, settings.log_level)
        uvloop.run(serve(service, settings))
        return 0
    needed = load(CommitSettings if getattr(asked, "act", None) == "redrive" else OperatorSettings)
    # What an act answers is JSON on standard output, for machines too: logs go elsewhere.
    logs.configure(service.name, needed.log_level, sys.stderr)
    return asyncio.run(_operate(service, needed, asked))


async def _operate(service: Service, settings: OperatorSettings, asked: argparse.Namespace) -> int:
    if asked.command == "rebuild":
        spare_the_collector()
        return await (apply(service, settings, asked.needed) if asked.apply else check(service, settings, _say))
    async with database(settings, service.name, waits=False) as pool:
        acts: Mapping[tuple[str, str], Callable[[], Awaitable[Any]]] = {
            ("deadletters", "list"): lambda: operator.list_dead_letters(pool),
            ("deadletters", "show"): lambda: operator.show_dead_letter(pool, asked.id),
            ("deadletters", "redrive"): lambda: _redrive(lone_engine(service, settings, pool), settings, asked),
            ("deadletters", "discard"): lambda: _discard(service, pool, settings, asked.id),
            ("heard", "list"): lambda: operator.list_heard(pool),
            ("heard", "skip"): lambda: _skip(service.name, pool, settings, asked),
            ("topic", "disown"): lambda: operator.disown(
                pool, settings.broker(service.name), service.name, asked.partition, asked.offset
            ),
            ("keys", "status"): lambda: rewrapping.status(pool, settings.kek()),
            ("keys", "rewrap"): lambda: _rewrap(service, pool, settings),
        }
        answer = await acts[asked.command, asked.act]()
    _say(json.dumps(answer, ensure_ascii=False, indent=1, default=str))
    return 1 if answer in (None, False) or _failed(answer) else 0


def _failed(answer: Any) -> bool:
    """Whether an act says that it came to nothing, as a redrive at whose first message nothing has changed, or that
    something remains to be done.
    """
    return isinstance(answer, Mapping) and (answer.get("failure") is not None or bool(answer.get("remaining")))


async def apply(service: Service, settings: OperatorSettings, needed: bool = False) -> int:
    """Make all states of `service` anew while it runs; with `needed` only if some have another shape. The exit code."""
    broker = settings.broker(service.name) if settings.kafka_bootstrap_servers else None
    hears = tuple(topic.writer for topic in heard_by(service.name)) if service.hears_events else ()
    ground = Ground(service.decider, broker, partial(connection, settings, service.name), hears)
    async with database(settings, service.name, waits=False) as pool:
        await take_shape(pool, service.decider.shape)
        if needed and not await other_shapes(pool, service.decider.shape):
            _say(f"{service.name}: all states have the shape of this release")
            return 0
        made = await reshape(ground, pool, lambda what, done, total: _bar(done, total, what))
    _say(f"{service.name}: {made} states made anew, of shape {service.decider.shape}")
    return 0


async def _redrive(engine: Engine, settings: OperatorSettings, asked: argparse.Namespace) -> Any:
    opened = seal_kept(settings.kept_key())[1]
    if not asked.all:
        if asked.reason is not None:
            raise Misconfigured("--reason goes with --all")
        return await operator.redrive_dossier(engine, opened, asked.dossier)
    return await operator.redrive_all(engine, opened, asked.reason, lambda text: sys.stderr.write(text + "\n"))


async def _discard(
    service: Service, pool: "asyncpg.Pool[asyncpg.Record]", settings: OperatorSettings, letter: UUID
) -> bool:
    return await discard(pool, letter, seal_kept(settings.kept_key())[1], service.decider.given_up)


async def _skip(
    service: str, pool: "asyncpg.Pool[asyncpg.Record]", settings: OperatorSettings, asked: argparse.Namespace
) -> Any:
    broker = settings.broker(service) if settings.kafka_bootstrap_servers else None
    return await operator.skip_heard(pool, asked.source, asked.shard, asked.sequence, broker)


async def _rewrap(service: Service, pool: "asyncpg.Pool[asyncpg.Record]", settings: OperatorSettings) -> Any:
    if not service.makes_keys:
        raise Misconfigured(f"data keys are rewrapped at {KEYS.writer}, their one writer; {service.name} hears them")
    try:
        return await rewrapping.rewrap(pool, settings.kek(), _bar)
    except KekNotHere as missing:
        raise Misconfigured(str(missing)) from missing


def _bar(done: int, total: int, what: str = "data keys") -> None:
    """How far it has come, on standard error: a bar for a person, lines for a file."""
    filled = 40 if done >= total else 40 * done // total
    end = "\r" if sys.stderr.isatty() and done < total else "\n"
    sys.stderr.write(f"[{'#' * filled}{'.' * (40 - filled)}] {done}/{total} {what}{end}")
    sys.stderr.flush()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
