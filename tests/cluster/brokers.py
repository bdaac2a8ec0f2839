"""A cluster of several brokers on this machine, each a process, for tests in which one of them dies."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiokafka.errors import KafkaError

from deploy.kafka.topics import administrator
from deploy.local.kafka import Guarded, LocalKafka, new_cluster_id
from deploy.local.ports import answers, free_port
from deploy.local.server import Say


class Node(LocalKafka):
    """One broker and controller of a cluster; `voters` are the controllers' ports by node."""

    def __init__(
        self, home: Path, number: int, voters: Mapping[int, int], cluster: str, libs: Path, say: Say,
        guarded: Guarded | None = None,
    ) -> None:  # fmt: skip
        super().__init__(home, free_port(), libs, say, guarded)
        self.name = f"Kafka {number}"
        self.number = number
        self._voters = voters
        self._cluster = cluster

    def _cluster_id(self) -> str:
        return self._cluster

    def _controller_port(self) -> int:
        return self._voters[self.number]

    def _settings_besides(self) -> str:
        """Laid over server.properties: who else there is, and copies on all of them."""
        voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in self._voters.items())
        copies, acknowledging = str(len(self._voters)), str(len(self._voters) // 2 + 1)
        return "\n".join(
            [
                f"node.id={self.number}",
                f"controller.quorum.voters={voters}",
                f"default.replication.factor={copies}",
                f"min.insync.replicas={acknowledging}",
                f"offsets.topic.replication.factor={copies}",
                f"transaction.state.log.replication.factor={copies}",
                f"transaction.state.log.min.isr={acknowledging}",
                "",
            ]
        )

    async def _answers(self) -> bool:
        """Whether it has joined; partitions of its own may still be without a leader, for which others are needed."""
        if not answers(self.port):
            return False
        try:
            async with administrator(self.bootstrap_servers, timeout_ms=3000, login=self.admin) as admin:
                cluster = await admin.describe_cluster()
            return any(broker["node_id"] == self.number for broker in cluster["brokers"])
        except KafkaError as error:
            self._last_error = error
            return False


class Cluster:
    """`async with Cluster(home, libs) as cluster:` starts its brokers side by side and ends them; with `guarded` they
    let in only whom they know, and know each other by that certificate.
    """

    def __init__(
        self, home: Path, libs: Path, size: int = 3, say: Say = lambda _: None, guarded: Guarded | None = None
    ) -> None:
        voters = {number: free_port() for number in range(1, size + 1)}
        cluster = new_cluster_id()
        self.nodes = {n: Node(home / f"kafka-{n}", n, voters, cluster, libs, say, guarded) for n in voters}

    @property
    def bootstrap_servers(self) -> str:
        """All of them."""
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    async def __aenter__(self) -> "Cluster":
        try:
            await asyncio.gather(*(node.start() for node in self.nodes.values()))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not stop(): a controller that has lost its majority waits for it before it ends.
        await asyncio.gather(*(node.kill() for node in self.nodes.values()))
