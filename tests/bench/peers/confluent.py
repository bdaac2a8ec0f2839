"""Plain confluent-kafka, for what the broker and librdkafka could do: `consume`, `produce`, `flush`, commit."""

from confluent_kafka import Consumer, Producer

from tests.bench.peers.step import BATCH, LINGER_MS, answer, asked, caused


def main() -> None:
    job = asked()
    consumer = Consumer({
        "bootstrap.servers": job.bootstrap, "group.id": job.group, "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })  # fmt: skip
    producer = Producer({"bootstrap.servers": job.bootstrap, "enable.idempotence": True, "linger.ms": LINGER_MS})
    consumer.subscribe([job.source])
    while True:
        records = consumer.consume(BATCH, 0.2)
        if not records:
            continue
        job.begin()
        for record in records:
            if record.error():
                raise RuntimeError(str(record.error()))
            value, headers = answer(record.value()), caused(record.headers())
            producer.produce(job.target, value, record.key(), record.partition(), headers=headers)
        producer.flush()
        consumer.commit(asynchronous=False)
        job.done(len(records))


if __name__ == "__main__":
    main()
