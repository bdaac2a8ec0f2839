"""Officers' lists and finding, at the real door of the desk on a real database."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest_asyncio
from starlette.types import ASGIApp

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from deploy.stack import without_password
from services.intake.__main__ import service
from services.intake.acts import APPLICANT
from services.intake.api import routes
from services.intake.finding import FIND_KEY, Refill
from services.intake.operations import EXAMPLE
from services.intake.settings import IntakeSettings
from services.intake.state import State
from services.intake.views import BY_CODE, BY_NUMBER, OVERDUE, QUEUE, UNREACHED
from shared.runtime.kernel.message import Digest
from shared.runtime.process.run import application
from shared.runtime.process.wiring import PLANS, Runtime, database, wire
from shared.runtime.service.callers import strangers
from shared.runtime.store.digests import Digests
from shared.runtime.store.reading import StateReader
from shared.runtime.store.shapes import take_shape
from tests.asgi import Answer, ask
from tests.deciders import LAW
from tests.ground import empty_topics

UNIT, OTHER = str(EXAMPLE["agency"]), "H26.33.04"
ID, PHONE = APPLICANT["id_number"], APPLICANT["phone"]
NEW_PHONE = "0900999777"


@dataclass
class Door:
    """The desk's door, and the tokens of who may come in."""

    app: ASGIApp
    tokens: dict[str, str]
    runtime: Runtime
    admin: Any

    def head(self, client: str) -> dict[str, str]:
        """Who asks."""
        return {"authorization": f"Bearer {self.tokens[client]}", "content-type": "application/json"}

    async def post(self, client: str, path: str, body: Mapping[str, Any]) -> Answer:
        """A command, under a key of its own."""
        head = {**self.head(client), "idempotency-key": str(uuid4())}
        return await ask(self.app, "POST", f"/v1/dossiers{path}", head, orjson.dumps(body))

    async def file(self, **applicant: Any) -> UUID:
        """Somebody files online; the dossier."""
        body = {**EXAMPLE, "applicant": {**APPLICANT, **applicant}}
        filed = await self.post("citizen-app-a", "", body)
        assert filed.status == 201, filed.content
        return UUID(filed.content["dossier_id"])

    async def find(self, unit: str = UNIT, **body: Any) -> set[UUID]:
        """What an officer of this unit finds."""
        answer = await ask(self.app, "POST", "/v1/dossiers/find", self.head(f"officer-{unit}"), orjson.dumps(body))
        assert answer.status == 200, answer.content
        assert answer.content["total"] == len(answer.content["dossiers"])
        return {UUID(one["dossier_id"]) for one in answer.content["dossiers"]}

    async def queue(self, query: str = "", client: str = f"officer-{UNIT}") -> Answer:
        """What waits for a unit."""
        return await ask(self.app, "GET", "/v1/dossiers/queue", self.head(client), query=query)

    def refill(self) -> Refill:
        """The job's work."""
        parts = self.runtime.resources
        return Refill(Digests(parts.pool, State), parts.keys, parts.settings.key(FIND_KEY))


@pytest_asyncio.fixture
async def door(ground: Ground, fresh_databases: Databases) -> AsyncIterator[Door]:
    """The desk's process; nothing of it but the door runs."""
    await empty_topics(ground)
    settings = IntakeSettings(
        kafka_bootstrap_servers=ground.bootstrap_servers,
        database_url=without_password(fresh_databases.url("intake")),
        secrets_dir=ground.secrets.directory,
        http_port=1,
    )
    clients = json.loads(ground.secrets.read("clients.json"))
    async with database(settings, "intake") as pool:
        await take_shape(pool, service().decider.shape)
        runtime = wire(service(), settings, pool)
        await runtime.guard.ready()
        app = application(runtime, routes(runtime.resources, LAW), strangers(settings))
        async with pool_of(fresh_databases) as admin:
            yield Door(app, {client["name"]: client["token"] for client in clients}, runtime, admin)


def pool_of(databases: Databases) -> Any:
    """An administrator's one connection, planned for as a service's are."""
    return asyncpg.create_pool(databases.administrator_url("intake"), min_size=1, max_size=1, server_settings=PLANS)


async def test_a_dossier_is_found_by_code_and_by_its_numbers_however_typed_by_its_own_unit(door: Door) -> None:
    mine, theirs = await door.file(), await door.file(id_number="022095999456", phone="0900999456")
    code = (await door.queue()).content["dossiers"][0]["code"]
    first = {UUID(one["dossier_id"]): one["code"] for one in (await door.queue()).content["dossiers"]}
    assert await door.find(code=first[mine].lower()) == {mine}
    assert await door.find(id_number="022 095 999 123") == await door.find(phone="+84 900 999 123") == {mine}
    assert await door.find(phone="0900.999.456") == {theirs}
    assert await door.find(phone="0900999000") == await door.find(id_number="022095999000") == set()
    assert await door.find(OTHER, code=code) == await door.find(OTHER, phone=PHONE) == set()


async def test_what_is_found_changes_nothing_and_needs_no_key_and_only_officers_find(door: Door) -> None:
    await door.file()
    before = await door.admin.fetchval("SELECT count(*) FROM requests")
    assert len(await door.find(phone=PHONE)) == 1
    assert await door.admin.fetchval("SELECT count(*) FROM requests") == before
    body = orjson.dumps({"phone": PHONE})
    refused = await ask(door.app, "POST", "/v1/dossiers/find", door.head("citizen-app-a"), body)
    assert (refused.status, refused.content["code"]) == (403, "DOS-SEC-003")
    wrong = await ask(door.app, "POST", "/v1/dossiers/find", door.head(f"officer-{UNIT}"), b"{}")
    assert (wrong.status, [one["code"] for one in wrong.content["errors"]]) == (422, ["not-one"])


async def test_corrected_data_are_found_by_the_new_number_and_not_by_the_old(door: Door) -> None:
    dossier = await door.file()
    body = {"applicant": {**APPLICANT, "phone": NEW_PHONE}}
    assert (await door.post("citizen-app-a", f"/{dossier}/correction", body)).status == 200
    assert await door.find(phone=NEW_PHONE) == await door.find(id_number=ID) == {dossier}
    assert await door.find(phone=PHONE) == set()


async def test_no_number_lies_in_clear_in_any_table(door: Door) -> None:
    await door.file()
    tables = await door.admin.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert await door.admin.fetchval("SELECT count(*) FROM digests") == 2
    for (table,) in tables:
        rows = await door.admin.fetch(f"SELECT t::text AS text FROM {table} t")
        texts = " ".join(row["text"] for row in rows)
        for number in (ID, PHONE):
            assert number not in texts, table
            assert number.encode().hex() not in texts, table


async def test_with_the_data_key_the_digests_are_gone_and_stay_so(door: Door) -> None:
    dossier, other = await door.file(), await door.file()
    await door.admin.execute(
        "UPDATE data_keys SET kek_id = NULL, wrapped = NULL, destroyed_at = now() WHERE dossier_id = $1", dossier
    )
    assert await door.find(phone=PHONE) == {other}
    key = [Digest(dossier, "phone", b"late")]
    await door.refill().store.fill(key)
    await door.refill().run(datetime.now(UTC))
    assert await door.admin.fetchval("SELECT count(*) FROM digests WHERE dossier_id = $1", dossier) == 0


async def test_digests_that_are_not_there_are_made_again_of_the_newest_data(door: Door) -> None:
    corrected, plain = await door.file(), await door.file(phone="0900999456")
    body = {"applicant": {**APPLICANT, "phone": NEW_PHONE}}
    assert (await door.post("citizen-app-a", f"/{corrected}/correction", body)).status == 200
    before = await door.admin.fetch("SELECT * FROM digests ORDER BY 1, 2")
    await door.admin.execute("DELETE FROM digests")
    await door.refill().run(datetime.now(UTC))
    assert await door.admin.fetch("SELECT * FROM digests ORDER BY 1, 2") == before
    assert (await door.find(phone=NEW_PHONE), await door.find(phone="0900999456")) == ({corrected}, {plain})
    await door.refill().store.fill([Digest(plain, "phone", b"older")])
    assert await door.find(phone="0900999456") == {plain}, "what is there is newer"


async def test_the_queue_is_the_units_by_urgency_in_pages_that_lose_nothing(door: Door) -> None:
    filed = {await door.file(phone=f"09009991{n:02}") for n in range(5)}
    seen, cursor = list[dict[str, Any]](), ""
    while True:
        page = (await door.queue(f"limit=2&order=urgency{cursor}")).content
        assert page["total"] == 5
        seen += page["dossiers"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert {UUID(one["dossier_id"]) for one in seen} == filed
    assert [one["act_by"] for one in seen] == sorted(one["act_by"] for one in seen)
    assert {(one["awaited"], one["status"], one["identity"]) for one in seen} == {("unit", 1, None)}
    assert (await door.queue(client=f"officer-{OTHER}")).content["total"] == 0
    refused = await door.queue("order=age&limit=0")
    assert (refused.status, refused.content["code"]) == (400, "DOS-INT-015")
    assert (await door.queue(client="citizen-app-a")).status == 403


MANY = """INSERT INTO queue
        (dossier_id, unit, status, procedure, channel, filed_at, accept_by, urgent_at, awaited, fee_settled, code)
    SELECT gen_random_uuid(), 'H02.' || n % 300, 1, '1.002755', 'online', now(), now() + (n - 3600) * interval '1 s',
           now() + (n - 3600) * interval '1 s', 'unit', true, 'H02-' || n FROM generate_series(1, 100000) AS n;
    INSERT INTO unreached (dossier_id, unit, since, notices) SELECT dossier_id, unit, filed_at, 1 FROM queue;
    INSERT INTO states (dossier_id, version, state) SELECT dossier_id, 1, '{}' FROM queue;
    INSERT INTO digests SELECT dossier_id, 'phone', sha256(code::bytea) FROM queue;
    INSERT INTO digests SELECT dossier_id, 'id_number', sha256(('i' || code)::bytea) FROM queue"""


TOTALS = {QUEUE: 333, OVERDUE: 12, UNREACHED: 333, BY_CODE: 1, BY_NUMBER: 1}


async def test_with_a_hundred_thousand_dossiers_a_page_costs_a_page(door: Door) -> None:
    await door.admin.execute(MANY)
    await door.admin.execute("VACUUM ANALYZE queue, unreached, states, digests")
    code, reader = "H02-1500", StateReader(door.admin, State)
    digest = await door.admin.fetchval("SELECT sha256($1::text::bytea)", code)
    for query, total in TOTALS.items():
        asked = ["H02.0", *([code] if query is BY_CODE else []), *([digest] if query is BY_NUMBER else [])]
        for read in (reader.rows, reader.states):
            before = await _blocks(door)
            page = await read(query, asked, None, "20")
            assert await _blocks(door) - before < 1_500, f"{query.name}: the tables have several thousands"
            assert (page.total, len(page.rows)) == (total, min(total, 20)), query.name


async def _blocks(door: Door) -> int:
    """How many pages of tables and indexes were looked at so far."""
    await door.admin.execute("SELECT pg_stat_force_next_flush()")
    read = """SELECT sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read)::bigint
        FROM pg_statio_user_tables WHERE relname = ANY (ARRAY['queue', 'unreached', 'states', 'digests'])"""
    blocks: int = await door.admin.fetchval(read)
    return blocks
