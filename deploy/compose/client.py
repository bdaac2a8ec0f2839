"""`python -m deploy.compose.client`: citizens and officers who carry COUNT dossiers of round ROUND to their end.

It hears as `subscriber` if the cluster asks who it is. Exit 0 only if every one ended as it should and no public topic
had a gap. Prints one line of JSON at the end.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import aiohttp
from pydantic import TypeAdapter

from deploy.demo.data import Line, generate
from deploy.demo.players import Desk, Played, Theatre, stubborn
from deploy.demo.report import ended_well, notices_owed, notices_sent
from deploy.demo.watch import Watcher
from deploy.kafka.acls import SUBSCRIBERS
from shared.runtime.http.door import Client
from shared.runtime.service.settings import KafkaSettings, load

AT_ONCE = 64
NOTICES_S = 300.0
_CLIENTS = TypeAdapter(list[Client])


@dataclass(frozen=True)
class Register:
    """The control side of the register's simulator."""

    http: aiohttp.ClientSession
    url: str

    async def enter_person(self, person: Mapping[str, str]) -> str:
        """Enter a person as the police would. Raises aiohttp.ClientError."""
        async with self.http.post(f"{self.url}/control/people", json=person, raise_for_status=True) as answer:
            return str((await answer.json())["outcome"])


async def play(settings: Mapping[str, str]) -> int:
    """Play the round that the settings name; the exit code."""
    data = generate(int(settings["COUNT"]), datetime.now(UTC), int(settings["ROUND"]))
    played = [Played(Line(number, line)) for number, line in enumerate(data.applications, start=1)]
    truth = {person["id_number"]: person for person in data.register}
    kafka = load(KafkaSettings)
    entries = _CLIENTS.validate_json(kafka.secret("clients.json"))
    broker = kafka.broker(SUBSCRIBERS[0])
    watcher = Watcher(broker.bootstrap, login=broker.login)
    await watcher.start()
    began = time.monotonic()
    # Containers that are restarted may swap their addresses: a name is asked for with every new connection.
    connector = aiohttp.TCPConnector(use_dns_cache=False)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as http:
        desk = Desk(http, settings["INTAKE_URLS"].split(","), {one.name: one for one in entries})
        register = Register(http, settings["REGISTER_CONTROL_URL"])
        theatre = Theatre(desk, watcher, register, truth, asyncio.Semaphore(AT_ONCE), stubborn(played, truth))
        await asyncio.gather(*(theatre.play(one) for one in played))
        told = await _notices(watcher, played)
    await watcher.stop()
    return _report(played, watcher, time.monotonic() - began, told)


async def _notices(watcher: Watcher, played: list[Played]) -> str:
    try:
        await watcher.until(
            lambda: all(notices_owed(one) == notices_sent(one) for one in played), NOTICES_S, "the last notices"
        )
    except TimeoutError as late:
        return str(late)
    return ""


def _report(played: list[Played], watcher: Watcher, seconds: float, told: str) -> int:
    well = sum(map(ended_well, played))
    faults = [one.fault for one in played if one.fault][:5]
    figures = {
        "dossiers": len(played), "ended_well": well, "seconds": round(seconds, 2),
        "rate": round(len(played) / seconds, 1), "repeats": watcher.repeats, "read_again": watcher.read_again,
        "gaps": watcher.gaps, "events": sum(watcher.counts.values()), "faults": faults, "late": told,
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0 if well == len(played) and not watcher.gaps else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(play(os.environ)))
