"""A data key that was destroyed is gone for good, and a task knows the three cases: here, not yet, destroyed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
import pytest_asyncio

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from services.verification.__main__ import service
from services.verification.gateways import Enquiry
from services.verification.reading import Person
from services.verification.tasks import kinds
from shared.errors import KeyDestroyed
from shared.events.envelope import Envelope, headers
from shared.events.intake import DossierSubmitted
from shared.events.verification import CitizenVerified, VerificationAbandoned
from shared.law.birth import birth_in_digits
from shared.runtime.engine.batcher import Batcher
from shared.runtime.engine.listener import Listener
from shared.runtime.kafka.clients import Broker
from shared.runtime.kernel.message import Record
from shared.runtime.kernel.sharding import shard_of
from shared.runtime.keys.heard import SOURCE, KeyListener
from shared.runtime.keys.judged import Judge
from shared.runtime.keys.keyring import KeyRing
from shared.runtime.keys.sealing import Kek, Keks, new_data_key, seal
from shared.runtime.observe.metrics import Metrics
from shared.runtime.tasks.queue import Worker
from shared.topics import KEYS, topic_of
from tests.controls import AT, DOSSIER, applicant, dossier_submitted
from tests.ground import empty_topics
from tests.integration.runtime.stage import Stage, staged
from tests.integration.runtime.wire import put, running, soon

KEK, KEY = Kek(bytes(range(32))), new_data_key()
SHARD = shard_of(DOSSIER)
PEOPLE = {"001190000001": Person("Nguyễn Thị Mẫu", birth_in_digits("19900228"))}


@dataclass
class Register:
    """A register of few people, which remembers what it was asked."""

    asked: list[Enquiry] = field(default_factory=list)

    async def look_up(self, enquiry: Enquiry) -> Person | None:
        self.asked.append(enquiry)
        return PEOPLE.get(enquiry.id_number)


@pytest_asyncio.fixture
async def verification(ground: Ground, module_databases: Databases) -> AsyncIterator[Stage]:
    """Verification's own database, empty, and empty topics."""
    await empty_topics(ground)
    async with staged(module_databases, "verification") as stage:
        yield stage


def _key(dossier: UUID = DOSSIER) -> Record:
    wrapped = KEK.wrap(dossier, KEY)
    value = orjson.dumps({"kek_id": wrapped.kek_id, "wrapped": wrapped.wrapped.hex()})
    return Record(KEYS.name, shard_of(dossier), 0, AT, str(dossier).encode(), (), value)


def _destruction() -> Record:
    return Record(KEYS.name, SHARD, 0, AT, str(DOSSIER).encode(), (), None)


def _application() -> Record:
    clear = {"id_number": "001190000001", "full_name": "Nguyễn Thị Mẫu", "date_of_birth": "1990-02-28"}
    person = applicant(**{name: seal(KEY, DOSSIER, f"applicant.{name}", text) for name, text in clear.items()})
    now = datetime.now(UTC)  # so that the alarm for a silent register is far away
    envelope = Envelope(UUID(int=1), DossierSubmitted.TYPE, now, DOSSIER, "intake", SHARD, 1, None)
    wire = tuple((name, text.encode()) for name, text in headers(DossierSubmitted, envelope, UUID(int=1)).items())
    body = dossier_submitted(applicant=person).model_dump_json().encode()
    return Record(topic_of("intake"), SHARD, 0, AT, str(DOSSIER).encode(), wire, body)


async def _heard(stage: Stage, records: int) -> None:
    async def so_many() -> bool:
        return await stage.count("heard", f"source = '{SOURCE}' AND next_offset = {records}") == 1

    await soon(so_many, f"{records} records of the keys topic to be heard")


def _ring(stage: Stage) -> KeyRing:
    return KeyRing(stage.pool, KEK, patience_s=0.2)


def _hearing(ground: Ground, stage: Stage, ring: KeyRing) -> KeyListener:
    judge = Judge(Keks([KEK]), Metrics("verification"))
    return KeyListener("verification", stage.pool, Broker(ground.bootstrap_servers), judge, ring.arrived)


async def test_a_destroyed_key_stays_destroyed_when_its_old_record_is_heard_again(
    ground: Ground, verification: Stage
) -> None:
    ring, bootstrap = _ring(verification), ground.bootstrap_servers
    async with running(_hearing(ground, verification, ring).run()):
        await put(bootstrap, _key())
        await _heard(verification, 1)
        assert await ring.data_key(DOSSIER) == KEY
        await put(bootstrap, _destruction())
        await _heard(verification, 2)
        await put(bootstrap, _key())
        await _heard(verification, 3)
    with pytest.raises(KeyDestroyed):
        await ring.data_key(DOSSIER)
    assert await verification.count("data_keys", "wrapped IS NULL AND destroyed_at IS NOT NULL") == 1


async def test_a_key_and_its_destruction_heard_at_once_leave_no_key(ground: Ground, verification: Stage) -> None:
    await put(ground.bootstrap_servers, _key(), _destruction(), _key())
    ring = _ring(verification)
    async with running(_hearing(ground, verification, ring).run()):
        await _heard(verification, 3)
    with pytest.raises(KeyDestroyed):
        await ring.data_key(DOSSIER)


async def _told(stage: Stage) -> Sequence[str]:
    return [row["type"] for row in await stage.admin.fetch("SELECT type FROM events ORDER BY shard, position")]


async def _applied(stage: Stage, register: Register, ring: KeyRing) -> Worker:
    """Verification has heard the application; the worker that will look it up."""
    engine = stage.engine(service().decider)
    listener = Listener("verification", stage.pool, engine, Broker("127.0.0.1:1"), Metrics("verification"))
    await listener.prepare()
    await listener.handle([_application()])
    outcomes = Batcher(engine.handle)
    return Worker(kinds(register, ring), stage.pool, outcomes, Metrics("verification"), look_s=0.02)


async def test_a_task_waits_for_a_key_that_has_not_come_and_is_done_when_it_has(
    ground: Ground, verification: Stage
) -> None:
    register, ring = Register(), _ring(verification)
    worker = await _applied(verification, register, ring)

    async def put_back() -> bool:
        return await verification.count("tasks", "kind = 'look-up' AND last_error LIKE 'KeyNotHere%'") == 1

    async def verified() -> bool:
        return await _told(verification) == [CitizenVerified.TYPE]

    async with running(worker.run(), _hearing(ground, verification, ring).run()):
        await soon(put_back, "the task to be put back")
        assert (await _told(verification), register.asked) == ([], [])
        await put(ground.bootstrap_servers, _key())
        await soon(verified, "the citizen to be verified")
    assert len(register.asked) == 1


async def test_a_destroyed_key_is_the_outcome_of_a_task_and_no_reason_to_try_again(
    ground: Ground, verification: Stage
) -> None:
    register, ring = Register(), _ring(verification)
    await put(ground.bootstrap_servers, _key(), _destruction())
    async with running(_hearing(ground, verification, ring).run()):
        await _heard(verification, 2)
    worker = await _applied(verification, register, ring)

    async def ended_or_put_back() -> bool:
        return await verification.count("tasks", "kind = 'look-up' AND last_error IS NULL") == 0

    async with running(worker.run()):
        await soon(ended_or_put_back, "the look-up to end")
    assert await verification.count("tasks", "kind = 'look-up'") == 0
    assert await _told(verification) == [VerificationAbandoned.TYPE]
    assert not register.asked
