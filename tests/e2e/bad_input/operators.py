"""What an operator types, in a process of its own."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.local.machine import ROOT

PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


async def typed(environment: Mapping[str, str], *words: str) -> Ended:
    """`python -m <words>` with exactly this environment. Raises subprocess.TimeoutExpired."""

    def run() -> Ended:
        command = [sys.executable, "-m", *words]
        done = subprocess.run(
            command, env=dict(environment), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(run)
