"""The toy at work on its tasks, as a process: python -m tests.integration.guards.working [WORD].

With a WORD its view has a bug: it raises for a dossier of which that word was said. DATABASE_URL comes from the
environment: it has a password, and arguments are for all to read.
"""

import asyncio
import os
import sys
from functools import partial

import asyncpg

from shared.runtime.observe import logs
from tests.integration.runtime.stage import Stage, drawing, work
from tests.integration.runtime.toy import NAME, Tally

PRIVATE = "what an exception may quote"


def _row(word: str, state: Tally) -> None:
    if word and any(word in text for text in state.notification.texts):
        raise ZeroDivisionError(PRIVATE)


async def _work(word: str = "") -> None:
    logs.configure(NAME, "INFO")
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4) as pool:
        stage = Stage(pool, None)
        worker = stage.worker(work, stage.engine(drawing(stage.toy.decider, partial(_row, word))), instance="only")
        await worker.run()


if __name__ == "__main__":
    asyncio.run(_work(*sys.argv[1:]))
