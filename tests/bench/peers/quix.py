"""Quix Streams, at least once as it is by default: a checkpoint flushes the producer and then commits."""

from quixstreams import Application

from tests.bench.peers.step import LINGER_MS, answer, asked, caused


def main() -> None:
    job = asked()
    app = Application(
        job.bootstrap, consumer_group=job.group, auto_offset_reset="earliest", auto_create_topics=False,
        loglevel="WARNING", producer_extra_config={"linger.ms": LINGER_MS},
    )  # fmt: skip
    source = app.topic(job.source, value_deserializer="bytes", key_deserializer="bytes")
    target = app.topic(job.target, value_serializer="bytes", key_serializer="bytes")

    def step(value: bytes) -> bytes:
        job.begin()
        return answer(value)

    frame = app.dataframe(source).apply(step)
    frame = frame.set_headers(lambda value, key, timestamp, headers: caused(headers)).to_topic(target)
    app.run(count=job.records, collect=False)  # its end is a checkpoint
    job.done(job.records)


if __name__ == "__main__":
    main()
