"""What is fetched reaches the body in order and once, whatever befalls the group."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import uuid4

from aiokafka.errors import KafkaError

from deploy.local.ground import Ground
from shared.runtime.kafka.clients import Broker
from shared.runtime.kafka.consumer import KafkaConsumer
from shared.runtime.kernel.message import Record
from shared.topics import SHARDS
from tests.ground import empty_topics
from tests.integration.runtime.log import TOPIC
from tests.integration.runtime.wire import committed, soon

SIZE = 10


@dataclass
class Body:
    """What members of one group handle, each batch only after `go_on`; where they begin is what is handled."""

    delivered: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, records: Sequence[Record]) -> None:
        self.begun.set()
        await self.go_on.wait()
        for record in records:
            self.delivered[record.partition].append(record.offset)

    async def next_offsets(self) -> Mapping[tuple[str, int], int]:
        return {(TOPIC, shard): len(self.delivered[shard]) for shard in range(SHARDS)}

    @property
    def count(self) -> int:
        return sum(map(len, self.delivered.values()))

    async def all_of(self, each: int) -> None:
        """Wait until so many of each partition are handled, each once and in order."""

        async def handled() -> bool:
            return self.count >= each * SHARDS

        await soon(handled, f"{each} records of each partition")
        assert self.delivered == {shard: list(range(each)) for shard in range(SHARDS)}


async def _put(ground: Ground, each: int) -> None:
    async with Broker(ground.bootstrap_servers).producer("test") as producer:
        sent = [await producer.send(TOPIC, b"{}", partition=n % SHARDS) for n in range(each * SHARDS)]
        await asyncio.gather(*sent)


def _member(ground: Ground, group: str, folder: Path, body: Body) -> KafkaConsumer:
    return KafkaConsumer(
        group, Broker(ground.bootstrap_servers), [TOPIC], body.handle, body.next_offsets, folder, size=SIZE
    )


@asynccontextmanager
async def _working(ground: Ground, group: str, folder: Path, body: Body) -> AsyncIterator[KafkaConsumer]:
    """A member of the group, with its first batch in work."""
    member = _member(ground, group, folder, body)
    await member.start()
    try:
        await asyncio.wait_for(body.begun.wait(), 60)
        yield member
    finally:
        body.go_on.set()
        await member.stop()


async def _suspended(member: KafkaConsumer) -> None:
    async def suspended() -> bool:
        return not member.app.flow_control.is_active()

    await soon(suspended, "the member to be told")


async def test_a_member_that_joins_while_a_batch_is_in_work_gets_nothing_that_is_handled(
    ground: Ground, tmp_path: Path
) -> None:
    await empty_topics(ground)
    await _put(ground, 40)
    group, body = f"joins-{uuid4()}", Body()
    async with _working(ground, group, tmp_path / "first", body) as first:
        second = _member(ground, group, tmp_path / "second", body)
        joining = asyncio.create_task(second.start())
        await _suspended(first)
        assert body.count == 0
        body.go_on.set()
        await joining
        await body.all_of(40)
        assert 0 < len(second.app.consumer.assignment()) < SHARDS
        await _put(ground, 10)
        await body.all_of(50)
        await second.stop()
        await _put(ground, 10)
        await body.all_of(60)


async def test_a_stop_while_a_batch_is_in_work_ends_that_batch_acknowledges_it_and_begins_no_other(
    ground: Ground, tmp_path: Path
) -> None:
    await empty_topics(ground)
    await _put(ground, 10)
    group, body = f"stops-{uuid4()}", Body()
    async with _working(ground, group, tmp_path, body) as member:
        stopping = asyncio.create_task(member.stop())
        await _suspended(member)
        body.go_on.set()
        await asyncio.wait_for(stopping, 20)
    assert body.count == SIZE == await committed(ground.bootstrap_servers, group)


async def test_a_member_whose_coordinator_is_still_loading_asks_again_instead_of_ending(
    ground: Ground, tmp_path: Path
) -> None:
    await empty_topics(ground)
    await _put(ground, 1)
    body = Body()
    body.go_on.set()
    async with _working(ground, f"loading-{uuid4()}", tmp_path, body) as member:
        await body.all_of(1)
        coordinator = member.app.consumer._thread._consumer._coordinator
        # What aiokafka makes of a SyncGroup that is answered with LOAD_IN_PROGRESS, on the way that it takes there.
        refused = asyncio.create_task(coordinator._push_error_to_user(KafkaError("GroupLoadInProgressError()")))
        await soon(partial(_is_done, refused), "the member to be told")
        await _put(ground, 1)
        await body.all_of(2)
        assert member.alive


async def _is_done(task: "asyncio.Task[object]") -> bool:
    return task.done()
