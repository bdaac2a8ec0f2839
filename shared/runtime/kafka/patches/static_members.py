"""Members of consumer groups that come back under their name are given every topic that they hear.

Kafka keeps what a group's leader has assigned. A member with a name (`group.instance.id`) that returns within its
session gets its place back without a rebalance, and as far as it can tell it follows: of those who speak JoinGroup up
to version 5, as aiokafka does, the broker hides from one that took its own place that it leads (KAFKA-13435; KIP-814
mended that in version 9). Only a leader watches whether topics come to be known, and assigns. So what a leader left
out, because a topic was missing from its metadata for a moment or its release did not hear it, nobody heard for ever:
not after a restart, nor after a kill, only after an absence longer than the session.

So whoever joins under a name and follows joins once more, before it takes anything up: to one that leads in truth the
broker then answers so, with a rebalance; to one that follows in truth it repeats its answer.

Upstream: KAFKA-13435, mended by KIP-814 in Kafka 3.2 for who speaks JoinGroup 9 (pull request 11688). aiokafka speaks
it up to 5, since it has named members (its issue 680); that it lacks 9 has no issue of its own.
Looked at: aiokafka 0.14.0, which is also its main branch of 2026-04-29; Kafka 4.3.1.
Goes when: aiokafka speaks JoinGroup 9, or lets the broker assign (KIP-848). The names of aiokafka that this rests on
are private: its version is pinned, and tests on a real Kafka come back so.
"""

from typing import Any
from weakref import WeakKeyDictionary

from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance, GroupCoordinator
from aiokafka.coordinator.protocol import ConsumerProtocol

_join = CoordinatorGroupRebalance.perform_group_join
_joined_again: "WeakKeyDictionary[GroupCoordinator, str]" = WeakKeyDictionary()
"""The id under which a member has joined once more; the broker gives it another with each place that it takes."""


def rejoin_under_a_name() -> None:
    """From now on every named member in this process, Faust's too, does so."""
    CoordinatorGroupRebalance.perform_group_join = _joined


async def _joined(self: Any) -> tuple[str, bytes] | None:
    """The protocol and what it is given; None where that has to be tried again."""
    given = await _joined_once(self)
    coordinator = self._coordinator
    if given is not None and _follows_anew(coordinator):
        _joined_again[coordinator] = coordinator.member_id
        given = await _joined_once(self)
    return given


async def _joined_once(self: Any) -> tuple[str, bytes] | None:
    self._coordinator._group_subscription = None  # set by whoever leads; an attempt before may have led
    given = await _join(self)
    return None if given is None else (given[0], _subscribed(given[1], self._subscription.topics))


def _follows_anew(coordinator: Any) -> bool:
    follows = coordinator._group_instance_id is not None and coordinator._group_subscription is None
    return follows and _joined_again.get(coordinator) != coordinator.member_id


def _subscribed(given: bytes, topics: Any) -> bytes:
    """What is given of these topics. A release that hears fewer than the one before it finds in its place some that it
    has not subscribed to, and aiokafka ends at them.
    """
    assigned = ConsumerProtocol.ASSIGNMENT.decode(given)
    ours = [(topic, partitions) for topic, partitions in assigned.assignment if topic in topics]
    encoded: bytes = ConsumerProtocol.ASSIGNMENT(assigned.version, ours, assigned.user_data).encode()
    return encoded
