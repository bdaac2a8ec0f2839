"""A member of a consumer group that is there before a service, under its very name, and ends without taking leave."""

from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from tests.integration.runtime.wire import soon

SESSION_MS = 300_000
"""So long Kafka keeps the place of one that has ended, on however busy a machine."""


class _Nothing(RoundRobinPartitionAssignor):  # type: ignore[misc]
    """As a leader in whose metadata the topics are missing: it gives nobody anything."""

    @classmethod
    def assign(
        cls, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Everybody gets an empty list."""
        return {member: ConsumerProtocolMemberAssignment(0, [], b"") for member in members}


async def led_the_group(bootstrap: str, group: str, instance: str, topics: Sequence[str], gives: bool = True) -> None:
    """Let a member of this name lead the group, hear these topics (or, unless it `gives`, assign nothing to anybody),
    and end as if killed.
    """
    member = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap, group_id=group, group_instance_id=instance, enable_auto_commit=False,
        partition_assignment_strategy=[RoundRobinPartitionAssignor if gives else _Nothing],
        session_timeout_ms=SESSION_MS, request_timeout_ms=SESSION_MS + 5_000,
    )  # fmt: skip
    await member.start()

    async def has_joined() -> bool:
        coordinator, current = member._coordinator, member._subscription.subscription
        leads = coordinator._group_subscription is not None
        return leads and current.assignment is not None and {tp.topic for tp in member.assignment()} == wanted

    wanted = set(topics) if gives else set()
    try:
        await soon(has_joined, "the member to lead the group")
    finally:
        await member.stop()
