"""Three brokers that know each other by their certificates and everybody else by name and password."""

from pathlib import Path

from deploy.kafka.acls import ADMIN
from deploy.kafka.provision import provision
from deploy.local.kafka import Guarded
from deploy.local.machine import LIBS
from deploy.secrets import Secrets
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker
from shared.runtime.service.settings import AUTHORITY
from shared.topics import TOPICS, topic_of
from tests.cluster.brokers import Cluster


async def test_what_a_service_writes_is_copied_and_outlives_a_broker(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path / "secrets")
    secrets.ensure()
    certificate = secrets.ensure_broker("kafka", ["127.0.0.1"])
    admin = secrets.broker("", "SASL_SSL", ADMIN).login
    assert admin is not None
    guarded = Guarded(secrets.path(AUTHORITY), certificate, admin)
    async with Cluster(tmp_path, LIBS, say=print, guarded=guarded) as cluster:
        told = await provision(
            Broker(cluster.bootstrap_servers, admin), secrets.kafka_password, replication_factor=len(cluster.nodes)
        )
        assert "audit" in told
        broker = secrets.broker(cluster.bootstrap_servers, "SASL_SSL", "intake")
        await _write_to_every_partition(broker)
        await cluster.nodes[3].kill()

        async def all_led() -> bool:
            return not await broker.without_leader([topic_of("intake")])

        await until(all_led, seconds=60, what="a leader for every partition")
        await _write_to_every_partition(broker)


async def _write_to_every_partition(broker: Broker) -> None:
    """Acknowledged by two of the three."""
    topic = TOPICS[topic_of("intake")]
    async with broker.producer("test") as producer:
        for partition in range(topic.partitions):
            await producer.send_and_wait(topic.name, b"{}", partition=partition)
