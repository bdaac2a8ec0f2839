"""Stock Faust: `take_events`, `send`, and the deliveries awaited before the batch is acknowledged."""

import asyncio
import logging
import tempfile
from typing import Any

import faust

from tests.bench.peers.step import BATCH, BATCH_BYTES, LINGER_MS, answer, asked, caused


def main() -> None:
    job = asked()
    app = faust.App(
        job.group, broker=f"kafka://{job.bootstrap}", datadir=tempfile.mkdtemp(), store="memory://",
        consumer_auto_offset_reset="earliest", broker_commit_interval=0.5, broker_max_poll_records=1000,
        producer_acks=-1, producer_linger=LINGER_MS / 1000, producer_max_batch_size=BATCH_BYTES,
        topic_allow_declare=False, topic_disable_leader=True, web_enabled=False, table_standby_replicas=0,
    )  # fmt: skip
    source = app.topic(job.source, value_serializer="raw", key_serializer="raw")
    target = app.topic(job.target, value_serializer="raw", key_serializer="raw")

    async def step(stream: Any) -> None:
        async for events in stream.take_events(BATCH, within=0.02):
            job.begin()
            sent = [
                await target.send(
                    key=event.key, value=answer(event.value), headers=caused(list(event.headers.items())),
                    partition=event.message.partition,
                )
                for event in events
            ]  # fmt: skip
            await asyncio.gather(*sent)
            job.done(len(events))

    app.agent(source)(step)
    faust.Worker(app, loglevel=logging.WARNING, quiet=True).execute_from_commandline()


if __name__ == "__main__":
    main()
