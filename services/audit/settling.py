"""The operator's act that ends the alarm about a discrepancy: somebody has looked into it, and answers for it.

The evidence stays as it was stored, and `verify` goes on naming what is wrong.
"""

import argparse
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO
from uuid import UUID

import asyncpg

from services.audit import trail_store
from shared.runtime.process.wiring import database
from shared.runtime.service.settings import OperatorSettings

MAX_REASON = 500


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line. Exits 2 on a wrong one."""
    parser = argparse.ArgumentParser("python -m services.audit discrepancies", description=__doc__.partition("\n")[0])
    acts = parser.add_subparsers(dest="act", required=True)
    acts.add_parser("list", help="what was found and nobody has settled")
    settle = acts.add_parser("settle", help="somebody has looked into it; recorded with your name and the reason")
    which = settle.add_mutually_exclusive_group(required=True)
    which.add_argument("id", type=UUID, nargs="*", default=[], help="these, as `list` names them")
    which.add_argument("--all", action="store_true", help="all that are open")
    settle.add_argument("--reason", required=True, type=_reason, help="what it was, and what was done about it")
    return parser.parse_args(arguments)


def _reason(text: str) -> str:
    if not 1 <= len(text.strip()) <= MAX_REASON or "\0" in text:
        raise argparse.ArgumentTypeError(f"1 to {MAX_REASON} characters")
    return text.strip()


async def discrepancies(settings: OperatorSettings, asked: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """List or settle; 1 if nothing was there to be settled. Raises Unavailable, Misconfigured."""
    async with database(settings, "audit", waits=False) as pool:
        answer = await (_list(pool) if asked.act == "list" else _settle(pool, asked))
    out.write(json.dumps(answer, ensure_ascii=False, indent=1, default=str) + "\n")
    return 1 if answer == {"settled": 0} else 0


async def _list(pool: "asyncpg.Pool[asyncpg.Record]") -> Sequence[Mapping[str, Any]]:
    return [dict(row) for row in await trail_store.list_open(pool)]


async def _settle(pool: "asyncpg.Pool[asyncpg.Record]", asked: argparse.Namespace) -> Mapping[str, int]:
    ids = None if asked.all else asked.id
    return {"settled": await trail_store.settle(pool, ids, getpass.getuser(), asked.reason)}
