"""A real Prometheus (Debian's `prometheus`) that scrapes the processes of a stack, on a port of its own."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import aiohttp
import yaml

from deploy.local.ports import free_port
from deploy.stack import Process
from deploy.waiting import until


@dataclass(frozen=True)
class Prometheus:
    """Where it answers, and what it writes."""

    url: str
    http: aiohttp.ClientSession

    async def ready(self) -> bool:
        """Whether it takes queries."""
        try:
            async with self.http.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def ask(self, expression: str) -> Sequence[dict[str, Any]]:
        """What an expression gives now; fails if it is not understood."""
        async with self.http.get(f"{self.url}/api/v1/query", params={"query": expression}) as answer:
            told = await answer.json()
        assert told["status"] == "success", f"{expression}: {told}"
        result: Sequence[dict[str, Any]] = told["data"]["result"]
        return result


def _configured(processes: Sequence[Process]) -> str:
    """As `deploy/prometheus/prometheus.yml`, with the addresses of a local stack; asked every second."""
    targets = [
        {"targets": [urlparse(process.probes).netloc], "labels": {"service": process.service}} for process in processes
    ]
    return yaml.safe_dump({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "dossier", "static_configs": targets}],
    })  # fmt: skip


@asynccontextmanager
async def prometheus(
    folder: Path, processes: Sequence[Process], http: aiohttp.ClientSession
) -> AsyncIterator[Prometheus]:
    """A Prometheus that watches these processes, while the block lasts."""
    program = shutil.which("prometheus")
    assert program is not None, "prometheus is missing: apt-get install prometheus"
    config, port = folder / "prometheus.yml", free_port()
    config.write_text(_configured(processes), encoding="utf-8")
    with (folder / "prometheus.log").open("wb") as log:
        child = subprocess.Popen(  # noqa: ASYNC220, S603 - the command is ours
            [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            server = Prometheus(f"http://127.0.0.1:{port}", http)
            await until(server.ready, seconds=60, what="Prometheus to take queries")
            yield server
        finally:
            child.send_signal(signal.SIGTERM)
            await asyncio.to_thread(child.wait, 30)
