"""What clients get wrong over HTTP: an RFC 9457 problem that lists every fault at once, and nothing is stored."""

import re
from collections.abc import Callable, Iterable
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from deploy.waiting import until
from tests.e2e.bad_input.applications import GOOD, but
from tests.e2e.bad_input.conftest import Scene
from tests.e2e.bad_input.rows import SUBMIT, Row
from tests.e2e.bad_input.table import TABLE
from tests.e2e.bad_input.wire import Answer, Request, half_sent, send

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ROWS = [pytest.param(row, id=row.name) for row in TABLE]
MEMBERS = {"type", "title", "status", "detail", "instance", "code", "trace_id", "errors"}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def at_rest(scene: Scene) -> None:
    """What the tests before these have set going has come to its end: from here on only these store anything."""
    await scene.stored.settle()


def said_in(text: str, words: Iterable[str]) -> list[str]:
    """Those of the words that stand in a text. A number has to stand alone: times and digests hold any few digits."""
    return sorted(word for word in words if word in text and (not _is_number(word) or _stands_alone(text, word)))


def _is_number(word: str) -> bool:
    return word.replace(".", "").isdecimal()


def _stands_alone(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) is not None


@pytest.mark.parametrize("text", ["192975", '{"size": 192975, "a": 1}', "size=192975.", "of 192975"])
async def test_a_number_that_stands_alone_is_found(text: str) -> None:
    assert said_in(text, ["192975", "absent"]) == ["192975"]


@pytest.mark.parametrize("text", ["2026-09-16T08:30:41.192975+00:00", "0f192975", "11929750", "4e-192975a"])
async def test_a_number_in_a_time_or_a_digest_is_not(text: str) -> None:
    assert said_in(text, ["192975"]) == []


async def test_a_procedures_code_in_a_time_is_none_and_a_word_is_found_anywhere() -> None:
    assert said_in("08:30:41.002755 xPersonx 1.002755x", ["1.002755", "Person"]) == ["Person"]


def assert_problem(answer: Answer, row: Row) -> None:
    """The answer is the problem that the row expects, and tells nothing of what was sent."""
    assert (answer.status, answer.headers["content-type"]) == (row.status, "application/problem+json"), answer.body
    if row.method == "HEAD":
        return
    problem = answer.content
    assert (problem["status"], problem["code"]) == (row.status, row.code)
    assert problem.keys() == MEMBERS | ({"possible"} if row.code == "DOS-INT-010" else set())
    assert row.possible is None or problem["possible"] == list(row.possible)
    found = [f"{fault['pointer']} {fault['code']}" for fault in problem["errors"]]
    assert sorted(found) == sorted(row.faults)
    assert all(fault["detail"] for fault in problem["errors"])
    assert said_in(answer.body.decode(), row.sent()) == []


@pytest.mark.parametrize("row", ROWS)
async def test_a_bad_request_is_answered_with_its_problem_and_nothing_is_stored(row: Row, scene: Scene) -> None:
    before = await scene.stored.everything()
    answer = await scene.ask(row)
    assert_problem(answer, row)
    assert await scene.stored.everything() == before


async def test_every_row_of_the_table_has_a_name_of_its_own() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)


async def test_nothing_at_all_came_of_the_whole_table_once_all_is_at_rest(scene: Scene) -> None:
    rest = await scene.stored.settle()
    for row in TABLE:
        await scene.ask(row)
    assert await scene.stored.settle() == rest


async def test_who_goes_away_in_the_middle_of_a_body_is_counted_as_gone_and_nothing_is_stored(scene: Scene) -> None:
    rest, counted = await scene.stored.settle(), await gone_away(scene)
    broken = Row("gone in the middle", 499, "none").request(scene.tokens, scene.dossiers)

    async def is_counted() -> bool:
        return await gone_away(scene) == counted + 1

    async with half_sent(scene.port, broken):
        pass
    await until(is_counted, seconds=60, what="the client's going to be counted")
    assert await scene.stored.settle() == rest


async def gone_away(scene: Scene) -> float:
    """How many clients went away in the middle of an application's body."""
    metrics = (await send(scene.stack.of("intake")[0].probe_port, Request("GET", "/metrics"))).body.decode()
    counter = 'dossier_http_requests_total{method="POST",route="/v1/dossiers",status="499"} '
    return sum(float(line.removeprefix(counter)) for line in metrics.splitlines() if line.startswith(counter))


async def test_no_log_names_what_bad_requests_sent(scene: Scene) -> None:
    for row in TABLE:
        await scene.ask(row)
    logs = "\n".join(process.log.read_text(errors="replace") for process in scene.stack.processes)
    sent = {text for row in TABLE for text in row.sent()} | set(scene.tokens.values())
    assert said_in(logs, sent) == []
    assert "request-failed" not in logs


async def test_the_same_key_and_body_get_the_first_answer_again_to_the_byte(scene: Scene) -> None:
    first = await scene.post("citizen-app-a", SUBMIT, "said-twice", GOOD)
    rest = await scene.stored.settle()
    again = await scene.post("citizen-app-a", SUBMIT, "said-twice", {name: GOOD[name] for name in sorted(GOOD)})
    assert (again.status, again.body) == (first.status, first.body)
    assert await scene.stored.settle() == rest


async def test_the_first_answer_stands_though_the_dossier_has_gone_on(scene: Scene) -> None:
    dossier = await scene.file("going-on")
    path, body = f"{SUBMIT}/{dossier}/refuse", {"reason": "not-competent"}
    first = await scene.post("officer", path, "refused-once", body)
    filed_again = await scene.post("citizen-app-a", SUBMIT, "scene-going-on", GOOD)
    refused_again = await scene.post("officer", path, "refused-once", body)
    assert refused_again.body == first.body
    assert filed_again.content["status"] == 1


async def test_another_clients_key_is_another_key_and_its_answer_does_not_leak(scene: Scene) -> None:
    mine = await scene.post("citizen-app-a", SUBMIT, "our-key", GOOD)
    theirs = await scene.post("citizen-app-b", SUBMIT, "our-key", but({"/copies": 2}))
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.content["dossier_id"] != theirs.content["dossier_id"]
    assert mine.content["code"] != theirs.content["code"]


async def test_a_problem_names_its_occurrence_and_says_it_in_the_language_that_is_asked_for(scene: Scene) -> None:
    answer = await scene.ask(Row("an occurrence", 401, "DOS-SEC-001", client=None))
    problem = answer.content
    assert problem["type"] == "urn:dossier:problem:DOS-SEC-001"
    assert (problem["title"], answer.headers["content-language"]) == ("Chưa xác thực", "vi")
    english = await scene.ask(Row("in English", 401, "DOS-SEC-001", client=None, headers={"accept-language": "en"}))
    assert (english.content["title"], english.headers["content-language"]) == ("No or wrong token", "en")
    assert re.fullmatch(r"[0-9a-f]{32}", problem["trace_id"])
    assert answer.headers["x-request-id"] == problem["trace_id"]
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_method_that_is_not_offered_is_told_which_are(scene: Scene) -> None:
    answer = await scene.ask(Row("no PUT here", 405, "DOS-INT-405", method="PUT"))
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("spelt", [str.upper, str.title], ids=["capitals", "mixed"])
async def test_a_dossiers_id_in_capitals_is_the_same_dossier_and_gives_the_first_answer(
    spelt: Callable[[str], str], scene: Scene
) -> None:
    dossier = await scene.file(f"spelt-{spelt.__name__}")
    key, body = f"refused-{spelt.__name__}", {"reason": "not-competent"}
    first = await scene.post("officer", f"{SUBMIT}/{dossier}/refuse", key, body)
    again = await scene.post("officer", f"{SUBMIT}/{spelt(dossier)}/refuse", key, body)
    escaped = await scene.post("officer", f"{SUBMIT}/%{ord(dossier[0]):x}{dossier[1:]}/refuse", key, body)
    assert (first.status, again.status, again.body, escaped.body) == (200, 200, first.body, first.body)


@pytest.mark.parametrize(
    "spelling", ["{id.hex}", "{{{id}}}", "{id.urn}", "{id}/", "/{id}", "{id}%20", "%20{id}", "{id}%0A", "{id}%00"]
)
async def test_a_dossiers_id_has_no_other_spelling(spelling: str, scene: Scene) -> None:
    dossier = scene.dossiers["registered"]
    answer = await scene.post("officer", f"{SUBMIT}/{spelling.format(id=UUID(dossier))}/refuse", str(uuid4()), {})
    assert answer.status in (400, 404), answer.body
