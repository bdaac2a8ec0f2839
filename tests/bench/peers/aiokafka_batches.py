"""Plain aiokafka doing the same as ours: `getmany`, batches made by hand, commit."""

import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.peers.producing import produce
from tests.bench.peers.step import BATCH, BATCH_BYTES, LINGER_MS, asked


async def main() -> None:
    job = asked()
    consumer = AIOKafkaConsumer(
        job.source, bootstrap_servers=job.bootstrap, group_id=job.group, enable_auto_commit=False,
        auto_offset_reset="earliest",
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=job.bootstrap, acks="all", enable_idempotence=True, linger_ms=LINGER_MS,
        max_batch_size=BATCH_BYTES,
    )  # fmt: skip
    async with producer, consumer:
        while True:
            got = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
            records = [record for messages in got.values() for record in messages]
            if records:
                job.begin()
                await produce(producer, job.target, records)
                await consumer.commit()
                job.done(len(records))


if __name__ == "__main__":
    asyncio.run(main())
