"""FastStream over aiokafka: a batch subscriber whose parameter is the model; a failed batch is not acknowledged."""

import asyncio

from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker, KafkaMessage

from shared.events.intake import SupplementRequested
from tests.bench.peers.step import BATCH, BATCH_BYTES, LINGER_MS, asked, caused, decide


async def main() -> None:
    job = asked()
    broker = KafkaBroker(
        job.bootstrap, acks="all", enable_idempotence=True, linger_ms=LINGER_MS, max_batch_size=BATCH_BYTES, logger=None
    )

    async def step(heard: list[SupplementRequested], message: KafkaMessage) -> None:
        job.begin()
        raw = message.raw_message
        records = raw if isinstance(raw, tuple) else (raw,)
        sent = [
            await broker.publish(
                decide(event), job.target, key=record.key, partition=record.partition, no_confirm=True,
                headers={name: content.decode() for name, content in caused(record.headers)},
            )
            for event, record in zip(heard, records, strict=True)
        ]  # fmt: skip
        await asyncio.gather(*sent)
        job.done(len(heard))

    broker.subscriber(
        job.source, group_id=job.group, batch=True, max_records=BATCH, auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
    )(step)  # fmt: skip
    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    asyncio.run(main())
