"""`python -m deploy.watcher`: every SYNTHETIC_PERIOD_S a dossier of nobody goes through the whole platform.

It is a client of the desk and a subscriber of the topics, and has no other way in. /metrics tells how old the last one
is that arrived, and how full the brokers' disks are; /readyz is green once the topics are heard.
"""

import asyncio
import signal
import sys
from functools import partial

import aiohttp
from aiohttp import web
from prometheus_client import generate_latest

from deploy.demo.players import Desk
from deploy.kafka.acls import WATCHER
from deploy.secrets import WATCHER_TOKEN
from deploy.watcher.certificates import Certificates
from deploy.watcher.disks import Disks
from deploy.watcher.ear import Ear
from deploy.watcher.metrics import Metrics
from deploy.watcher.settings import WatcherSettings
from deploy.watcher.way import CLIENT, STAGES, Way
from shared.errors import Misconfigured
from shared.law.synthetic import AGENCY
from shared.runtime.http.door import Client
from shared.runtime.observe import logs
from shared.runtime.service.settings import load


def main() -> int:
    """Watch until SIGTERM or SIGINT; exit 2 with a sentence for a wrong setting."""
    try:
        settings = load(WatcherSettings)
        logs.configure(WATCHER, settings.log_level)
        asyncio.run(_watch(settings))
    except Misconfigured as fault:
        sys.stderr.write(f"cannot start: {fault}\n")
        return 2
    return 0


async def _watch(settings: WatcherSettings) -> None:
    officer = Client(name=CLIENT, role="officer", unit=AGENCY, token=settings.secret(WATCHER_TOKEN))
    ear = Ear(settings.broker(WATCHER))
    metrics = Metrics([stage.name for stage in STAGES])
    if settings.database_disk_bytes:
        metrics.database_disk.set(settings.database_disk_bytes)
    applicant = settings.applicant()
    # Containers that are restarted may swap their addresses: a name is asked for with every new connection.
    connector = aiohttp.TCPConnector(use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as http:
        desk = Desk(http, settings.intake_urls.split(","), {CLIENT: officer})
        way = Way(desk, ear, metrics, applicant, settings.synthetic_patience_s)
        working = asyncio.create_task(_work(settings, ear, metrics, way))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, working.cancel)
        await asyncio.wait([working])
        if not working.cancelled():
            working.result()


async def _work(settings: WatcherSettings, ear: Ear, metrics: Metrics, way: Way) -> None:
    async with asyncio.TaskGroup() as work:
        work.create_task(_serve(settings, ear, metrics))
        work.create_task(ear.run())
        disks = Disks(settings.broker(WATCHER), metrics)
        work.create_task(disks.run())
        work.create_task(Certificates(settings.broker(WATCHER), metrics, disks.nodes).run())
        await ear.ready.wait()
        while True:
            work.create_task(way.go())
            await asyncio.sleep(settings.synthetic_period_s)


async def _serve(settings: WatcherSettings, ear: Ear, metrics: Metrics) -> None:
    app = web.Application()
    app.router.add_get("/livez", partial(_verdict, True))
    app.router.add_get("/readyz", lambda request: _verdict(ear.ready.is_set(), request))
    app.router.add_get("/metrics", partial(_metrics, metrics))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.probe_host, settings.probe_port).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _verdict(fine: bool, request: web.Request) -> web.Response:
    faults = {} if fine else {"kafka": "has not answered yet"}
    return web.json_response({"status": "ok" if fine else "fault", "faults": faults}, status=200 if fine else 503)


async def _metrics(metrics: Metrics, request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(metrics.registry), headers={"content-type": "text/plain; version=0.0.4"})


if __name__ == "__main__":
    sys.exit(main())
