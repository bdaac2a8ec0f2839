"""Ours: the consumer that every service runs, its records as the engine gets them, produced as the relay produces.

Left out is what stands between the two in a service: the database. So offsets are what Kafka holds, and are committed
after the body by the consumer's own timer.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Record
from tests.bench.peers.producing import produce
from tests.bench.peers.step import BATCH, asked


async def main() -> None:
    job = asked()
    broker = Broker(job.bootstrap)
    async with broker.producer("bench") as producer:

        async def handle(records: Sequence[Record]) -> None:
            job.begin()
            await produce(producer, job.target, records)
            job.done(len(records))

        async def next_offsets() -> Mapping[tuple[str, int], int]:
            return {}

        folder = Path(tempfile.mkdtemp())
        consumer = KafkaConsumer(job.group, broker, [job.source], handle, next_offsets, folder, size=BATCH)
        await consumer.start()
        while consumer.alive:
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main())
