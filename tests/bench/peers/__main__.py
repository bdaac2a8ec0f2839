"""`python -m tests.bench.peers [--records N] [--rounds N] [--smoke] [NAME …]`: every worker in turn, in one run.

One embedded broker, one input topic, filled once. Each round runs every worker as a process of its own, with a group
and an output topic of its own, and then reads that topic: every input must have its output. Prints the medians and
writes `build/bench-peers.json`. `--smoke`: few records, and only ours and plain aiokafka, from the environment at hand.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.local.kafka import LocalKafka
from deploy.local.machine import LIBS, ROOT
from deploy.local.ports import free_port
from shared.runtime.kafka.clients import Broker
from shared.topics import Topic
from tests.bench.peers.step import CAUSE, ID, PARTITIONS

OURS, PLAIN = "ours", "aiokafka_batches"
PEERS = ("aiokafka_send", "stock_faust", "faststream_aiokafka", "faststream_confluent", "quix", "confluent")
RIVALS = ("stock_faust", "faststream_aiokafka", "faststream_confluent", "quix")
ENVIRONMENT = ROOT / ".local/bench/venv/bin/python"
SMOKE_RECORDS, RECORDS, ROUNDS = 3_000, 160_000, 3
SOURCE = Topic("bench.peers", "bench", ())
LIMIT_S = 600.0
_GOLDEN = ROOT / "tests/contract/events/golden/vn.gov.dossier.supplement-requested.v1/1.1.0.json"
_BODY_BYTES = 435
_PACKAGES = ("aiokafka", "confluent-kafka", "faststream", "faust-streaming", "quixstreams", "pydantic")


@dataclass(frozen=True)
class Run:
    """One worker once: records and seconds from its first record to its last acknowledgement, CPU seconds of its
    process, its memory in MB, inputs without an output, and outputs beyond the first.
    """

    worker: str
    records: int
    seconds: float
    cpu_s: float
    mb: float
    lost: int
    repeated: int

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


async def main(arguments: Sequence[str]) -> int:
    """Measure and tell; 1 if any worker lost a record."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory() as home:
        kafka = LocalKafka(Path(home), free_port(), LIBS)
        await kafka.start()
        try:
            runs = await measure(kafka.bootstrap_servers, options.names, options.records, options.rounds)
        finally:
            await kafka.stop()
    _tell(options.names, runs)
    if not options.smoke:
        path = ROOT / "build/bench-peers.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(summary(runs) | {"versions": await _versions()}, indent=1) + "\n")
    return int(any(run.lost for run in runs))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("tests.bench.peers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these workers")
    parser.add_argument("--records", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(arguments)
    options.records = options.records or (SMOKE_RECORDS if options.smoke else RECORDS)
    options.rounds = options.rounds or (1 if options.smoke else ROUNDS)
    options.names = options.names or [OURS, PLAIN, *(() if options.smoke else PEERS)]
    return options


async def measure(bootstrap: str, names: Sequence[str], records: int, rounds: int) -> list[Run]:
    """Every worker once a round, in turn, on one input."""
    await ensure_topics(bootstrap, [SOURCE])
    await fill(bootstrap, records)
    runs = list[Run]()
    for n in range(rounds):
        for name in names:
            target = replace(SOURCE, name=f"{SOURCE.name}.{name}.{n}")
            await ensure_topics(bootstrap, [target])
            runs.append(await _run(bootstrap, name, target.name, records))
            await delete_topics(bootstrap, [target])
    return runs


async def fill(bootstrap: str, records: int) -> None:
    """Put so many events on the input topic, each with an id of its own, spread over the partitions."""
    golden = json.loads(_GOLDEN.read_text())
    golden["data"]["note"] += "O" * (_BODY_BYTES - len(_compact(golden["data"])))
    value, template = _compact(golden["data"]), [*golden["headers"].items()][:12]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=262_144) as producer:
        for first in range(0, records, 5_000):
            ids = [str(_id(n)) for n in range(first, min(records, first + 5_000))]
            sent = [
                await producer.send(
                    SOURCE.name, value, one.encode(), n % PARTITIONS,
                    headers=[(name, (one if name == ID else text).encode()) for name, text in template],
                )
                for n, one in enumerate(ids)
            ]  # fmt: skip
            await asyncio.gather(*sent)


def _compact(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def _id(n: int) -> UUID:
    return uuid5(UUID(int=0), str(n))


async def _run(bootstrap: str, name: str, target: str, records: int) -> Run:
    # Ours and plain aiokafka run on the product's own packages, which the peers' environment pins to the same versions.
    python = sys.executable if name in (OURS, PLAIN) else str(ENVIRONMENT)
    command = (
        python, "-m", f"tests.bench.peers.{name}", "--bootstrap", bootstrap, "--source", SOURCE.name,
        "--target", target, "--group", target, "--records", str(records),
    )  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=PIPE, env=environment)
    try:
        out, err = await asyncio.wait_for(process.communicate(), LIMIT_S)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{name} ended with {process.returncode}: {err.decode()[-2000:]}")
    spent = json.loads(out[out.rindex(b"{") :])  # behind whatever a framework says
    outputs = await _outputs(bootstrap, target)
    lost = records - len(outputs)
    run = Run(name, **{**spent, "records": records}, lost=lost, repeated=outputs.total() - len(outputs))
    print(f"{name:<22}{run.rate:>10,.0f}/s  {run.cpu_s:6.2f} CPU-s  {run.mb:4.0f} MB", flush=True)
    return run


async def _outputs(bootstrap: str, target: str) -> Counter[bytes]:
    """Id of an input → how many outputs name it as their cause."""
    causes = Counter[bytes]()
    partitions = [TopicPartition(target, n) for n in range(PARTITIONS)]
    async with Broker(bootstrap).reader("bench") as reader:
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        await reader.seek_to_beginning(*partitions)
        while any([await reader.position(one) < ends[one] for one in partitions]):
            for messages in (await reader.getmany(timeout_ms=200, max_records=5_000)).values():
                causes.update(dict(message.headers)[CAUSE] for message in messages)
    return causes


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """By worker the medians, the runs one by one, and how ours stands to the others."""
    workers = {name: _summed([run for run in runs if run.worker == name]) for name in {run.worker for run in runs}}
    against = {"plain": [PLAIN], "best rival": RIVALS}
    ours = workers.get(OURS, {}).get("rate")
    others = {name: [workers[one]["rate"] for one in against[name] if one in workers] for name in against}
    ratios = {name: ours / max(rates) for name, rates in others.items() if ours and rates}
    return {"workers": workers, "ratios": ratios}


def _summed(runs: Sequence[Run]) -> dict[str, Any]:
    per = 160_000 / runs[0].records
    return {
        "rate": statistics.median(run.rate for run in runs),
        "rates": [run.rate for run in runs],
        "cpu_s_per_160k": statistics.median(run.cpu_s for run in runs) * per,
        "mb": max(run.mb for run in runs),
        "lost": sum(run.lost for run in runs),
        "repeated": sum(run.repeated for run in runs),
        "records": runs[0].records,
    }


def _tell(names: Sequence[str], runs: Sequence[Run]) -> None:
    told = summary(runs)
    print(f"\n{'worker':<22}{'records/s':>10}{'CPU-s/160k':>12}{'MB':>6}{'lost':>6}{'repeated':>10}")
    for name in names:
        one = told["workers"][name]
        figures = f"{one['rate']:>10,.0f}{one['cpu_s_per_160k']:>12.1f}{one['mb']:>6.0f}"
        print(f"{name:<22}{figures}{one['lost']:>6}{one['repeated']:>10}")
    for name, ratio in told["ratios"].items():
        print(f"ours / {name}: {ratio:.2f}")


async def _versions() -> Mapping[str, str]:
    if not ENVIRONMENT.exists():
        return {"aiokafka": version("aiokafka"), "pydantic": version("pydantic")}
    ask = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {_PACKAGES!r}}}))"
    process = await asyncio.create_subprocess_exec(str(ENVIRONMENT), "-c", ask, stdout=PIPE)
    out, _ = await process.communicate()
    return dict(json.loads(out))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
