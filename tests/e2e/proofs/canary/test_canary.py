"""Personal data are in clear nowhere: everything runs with marked people, and every place is searched for the marks."""

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from deploy.demo.players import Played, without_key
from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.waiting import until
from shared.runtime.kafka.clients import Broker
from shared.topics import Topic
from tests.e2e.proofs import people
from tests.e2e.proofs.canary.forms import DIGIT_DISGUISES, DISGUISES, Mark, found
from tests.e2e.proofs.canary.places import everywhere
from tests.e2e.proofs.people import cast
from tests.e2e.proofs.play import SOON_S, Play

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 24
WORDS = (Mark("name", people.NAME), Mark("e-mail", people.EMAIL), Mark("note", people.NOTE))
NUMBERS = (Mark("phone", people.PHONE, digits=True), Mark("identity number", people.NUMBER, digits=True))
GROUPS = tuple(Mark("waiver group", group) for group in people.GROUPS)
BIRTHS = tuple(
    Mark("birth date", f"{day:{form}}", alone="-" not in form and "/" not in form and "." not in form)
    for day in (people.BORN, people.STATED_BORN)
    for form in ("%Y-%m-%d", "%d/%m/%Y", "%-d/%-m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d%m%Y")
)
MARKS = (*WORDS, *NUMBERS, *GROUPS, *BIRTHS)


@pytest.mark.parametrize("mark", [*WORDS, *NUMBERS, *GROUPS, *BIRTHS], ids=lambda mark: f"{mark.what} {mark.text}")
@pytest.mark.parametrize("disguise", DISGUISES)
async def test_the_search_finds_every_mark_in_every_disguise(mark: Mark, disguise: str) -> None:
    assert found(b"before " + DISGUISES[disguise](mark.text) + b" behind", [mark])
    assert not found(b"before " + DISGUISES[disguise]("Nguyễn Văn Bình 2001") + b" behind", [mark])


@pytest.mark.parametrize("mark", NUMBERS, ids=lambda mark: mark.what)
@pytest.mark.parametrize("disguise", DIGIT_DISGUISES)
async def test_the_search_finds_digits_whatever_separates_them(mark: Mark, disguise: str) -> None:
    assert found(b"tel. " + DIGIT_DISGUISES[disguise](mark.text), [mark])


async def test_the_search_finds_what_is_planted_in_a_table_and_on_a_topic(play: Play, planted: None) -> None:
    places = Counter([place.split()[0] async for place, raw in everywhere(play) if found(raw, WORDS)])
    assert places["payment.public.canary_scratch"] == 1
    assert places["canary.scratch"] == 2, "in the value of one record and in a header of another"


async def test_marked_people_are_found_nowhere(play: Play) -> None:
    stubborn = f"{people.NUMBER}{people.UNKNOWN:02d}"
    await turned_away(play)
    async with dead_letter_of_a_task(play):
        played = await play.begin(cast(COUNT), stubborn)
        await play.filed(played)
        await play.all_well(played)
        assert_everything_happened(played)
        traces = [f"{place}: {what}" async for place, raw in everywhere(play) for what in found(raw, MARKS)]
        assert not traces, "\n".join(traces[:40])


def assert_everything_happened(played: list[Played]) -> None:
    """The canary sang: every outcome, fee kind, correction, supplement and refusal occurred."""
    said = {event.name for one in played for event in one.case.events}
    assert said >= {
        "CitizenVerified", "CitizenMismatched", "CitizenNotFound", "ApplicantCorrected", "SupplementRequested",
        "SupplementReceived", "FeeWaived", "FeeReduced", "FeePaid", "DossierRefused", "ResultReturned", "NoticeSent",
    }  # fmt: skip


async def turned_away(play: Play) -> None:
    """Requests full of personal data that are refused, each in another way."""
    good = without_key(cast(1, first=90).applications[0])
    person = good["applicant"]
    refused: list[Mapping[str, Any]] = [
        {**good, "applicant": {**person, "date_of_birth": people.STATED_BORN.replace(year=1958).isoformat()}},
        {**good, "applicant": {**person, "phone": f"{people.PHONE} {people.NAME}", "email": people.EMAIL}},
        {**good, "applicant": {**person, "id_number": f"{people.NUMBER}x", "full_name": f"{people.NAME}\u0000"}},
        {**good, "procedure": people.NAME, "case": people.NOTE, "agency": people.PHONE, "channel": people.EMAIL},
        {**good, "waiver_claim": {"group": people.NAME, "evidence_sha256": people.PHONE}},
        {**good, "papers": [{"code": people.NAME, "sha256": people.NUMBER, "size": people.PHONE, "media_type": ""}]},
        {**good, "submitted_at": people.NAME},
        {**good, "remark": f"{people.NAME} {people.PHONE}"},
    ]
    bodies = [json.dumps(body).encode() for body in refused]
    bodies += [json.dumps(good, ensure_ascii=False).encode()[:-9], json.dumps([[good]]).encode(), people.NAME.encode()]
    for body in bodies:
        assert 400 <= await sent(play, "POST", "/v1/dossiers", body) < 500
    number = people.truth(90)["id_number"]
    for path in (f"/v1/dossiers/{number}", f"/{people.EMAIL}@example.com", f"/v1/dossiers/{uuid.uuid4()}?id={number}"):
        assert await sent(play, "GET", path, None) == 404


async def sent(play: Play, method: str, path: str, body: bytes | None) -> int:
    """The status of one request by an importer."""
    token = play.stack.clients()["importer"].token
    headers = {
        "authorization": f"Bearer {token}",
        "idempotency-key": str(uuid.uuid4()),
        "content-type": "application/json",
    }
    url = play.stack.of("intake")[0].url + path
    async with play.http.request(method, url, data=body, headers=headers) as answer:
        return answer.status


@asynccontextmanager
async def dead_letter_of_a_task(play: Play) -> AsyncIterator[None]:
    """A dossier whose look-up failed for good: verification's copy of its data key is damaged while it waits. The
    register refuses all until then, for an attempt may have opened the key before. After the block the key is set
    right, whatever happened, and the operator redrives: the look-up runs again.
    """
    async with AsyncExitStack() as refusing:
        await refusing.enter_async_context(play.outside("register", mode="refuse"))
        (played,) = await play.begin(cast(1, first=91))

        async def reversed_key() -> bool:
            return bool(await in_database(play, f"UPDATE data_keys SET wrapped = reverse(wrapped) {OF_IT}", played))

        try:
            await play.filed([played])
            await until(reversed_key, seconds=SOON_S, what="the key to come")
            await until(lambda: is_dead(play, played), seconds=SOON_S, what="the look-up to fail for good")
            await refusing.aclose()
            yield
        finally:
            await reversed_key()
            code, answer = await play.operate("verification", "deadletters", "redrive", played.dossier_id)
    assert (code, answer["handled"], answer["parked"]) == (0, 1, False), answer
    await play.all_well([played])


OF_IT = "WHERE dossier_id = $1 RETURNING 1"


async def is_dead(play: Play, played: Played) -> bool:
    """Whether there is an open dead letter of a dossier."""
    query = "SELECT 1 FROM dead_letters WHERE dossier_id = $1 AND settled_at IS NULL"
    return bool(await in_database(play, query, played))


async def in_database(play: Play, sql: str, played: Played) -> list[Any]:
    """What a statement about a dossier returns in verification's database, as its administrator."""
    connection = await asyncpg.connect(play.stack.ground.databases().administrator_url("verification"))
    try:
        return list(await connection.fetch(sql, uuid.UUID(played.dossier_id)))
    finally:
        await connection.close()


SCRATCH = Topic("canary.scratch", "nobody", (), public=False, partitions=1)


@pytest_asyncio.fixture(loop_scope="session")
async def planted(play: Play) -> AsyncIterator[None]:
    """A mark in a scratch table and on a scratch topic, taken away again."""
    servers = play.stack.ground.bootstrap_servers
    connection = await asyncpg.connect(play.stack.ground.databases().administrator_url("payment"))
    await connection.execute("CREATE TABLE canary_scratch (found jsonb)")
    await connection.execute("INSERT INTO canary_scratch VALUES ($1)", json.dumps({"name": people.NAME}))
    await ensure_topics(servers, [SCRATCH])
    async with Broker(servers).producer("canary") as producer:
        await producer.send_and_wait(SCRATCH.name, DISGUISES["JSON-escaped"](people.NAME))
        await producer.send_and_wait(SCRATCH.name, b"{}", headers=[("name", DISGUISES["base64 one on"](people.NAME))])
    yield
    await delete_topics(servers, [SCRATCH])
    await connection.execute("DROP TABLE canary_scratch")
    await connection.close()
