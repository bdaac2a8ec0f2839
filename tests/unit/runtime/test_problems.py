"""What a client is told that asked for something wrong: everything at once, in its language, and what to do."""

import ast
import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.intake.commands import StartProcessing, SupplementBody
from shared.errors import Fault, Poison, Refused, Unavailable
from shared.forms import MAX_KEY
from shared.law.__main__ import main as law
from shared.registry import BUGS, CODES, OUTAGES, POISONS, Failure
from shared.runtime.engine.batcher import Batcher
from shared.runtime.http.door import Client, Door, parse, read_body
from shared.runtime.http.observed import observed
from shared.runtime.kernel.message import Handled, Item
from shared.runtime.observe.metrics import Metrics
from shared.topics import TOPICS
from shared.wording import FAULTS, Text, language_of
from tests.asgi import Answer, ask
from tests.controls import DOSSIER, officer

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "applications.jsonl"
CLIENT = Client(name="app", role="citizen", token="t" * 32)
JSON = {"content-type": "application/json"}
KEYED = {**JSON, "idempotency-key": "k" * MAX_KEY}
FAULTY = b'{"papers": [{"code": "x", "sha256": "no", "size": 0, "media_type": "application/pdf"}], "more": 1}'


def words(text: str) -> set[str]:
    """The places of a template that are filled in."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


# --- the registry and the wording


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_class_both_languages_and_what_to_do(code: str) -> None:
    entry = CODES[code]
    assert re.fullmatch(r"DOS-(INT|VER|PAY|NOT|AUD|KAF|SEC)-[0-9]{3}", code)
    assert isinstance(entry.failure, Failure)
    assert all((*entry.title, *entry.action))
    assert entry.title.vi != entry.title.en
    assert entry.action.vi != entry.action.en


@pytest.mark.parametrize("code", CODES)
def test_a_client_meets_only_what_has_a_status_and_its_class_fits_it(code: str) -> None:
    entry = CODES[code]
    met = {Failure.REFUSED: range(400, 500), Failure.UNAVAILABLE: [503], Failure.BUG: [500, None]}
    assert entry.status in met.get(entry.failure, [None])


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_is_said_in_both_languages_with_the_same_facts(kind: str) -> None:
    text = FAULTS[kind]
    assert text.vi
    assert text.en
    assert text.vi != text.en
    assert words(text.vi) == words(text.en) <= {"0", "1"}


def test_every_reason_outside_system_and_service_has_a_code_of_its_class() -> None:
    assert {CODES[code].failure for code in POISONS.values()} == {Failure.POISON}
    assert {CODES[code].failure for code in OUTAGES.values()} == {Failure.TRANSIENT}
    assert {CODES[code].failure for code in BUGS.values()} == {Failure.BUG}
    assert BUGS.keys() == {topic.writer for topic in TOPICS.values()}


def constants(name: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Every call of `name` in the sources: its place and its constant texts."""
    for path in [*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                yield f"{path.name}:{node.lineno}", texts


def test_whatever_the_sources_say_is_in_the_tables() -> None:
    kinds = [(place, texts[1]) for place, texts in constants("Fault") if len(texts) > 1]
    kinds += [(place, texts[0]) for place, texts in constants("_wrong")]
    poisons = [(place, texts[0]) for place, texts in constants("Poison")]
    codes = [(place, texts[0]) for place, texts in constants("Refused") if texts]
    assert len(kinds) > 30
    assert len(poisons) > 7
    assert len(codes) > 20
    assert [one for one in kinds if one[1] not in FAULTS] == []
    assert [one for one in poisons if one[1] not in POISONS] == []
    assert [one for one in codes if one[1] not in CODES] == []


def test_a_fault_tells_the_word_before_the_dot() -> None:
    fault = Fault("/papers", "missing.paper", ("residence-papers",))
    assert fault.code == "missing"
    assert fault.said("vi") == "còn thiếu giấy tờ: residence-papers"
    assert fault.said("en") == fault.message == "missing: residence-papers"


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "vi"), ("*", "vi"), ("vi", "vi"), ("en", "en"), ("en-GB", "en"), ("EN", "en"), ("fr", "vi"),
        ("en-US,en;q=0.9,vi;q=0.8", "en"), ("vi,en;q=0.9", "vi"), ("vi;q=0.5, en;q=0.8", "en"), ("en;q=0", "vi"),
        ("en, vi", "vi"), ("*;q=0.1, en", "en"), ("vi;q=0, *", "en"), ("en;q=x", "vi"), ("en;q=2", "vi"),
        ("en;q=nan", "vi"), (",;=,", "vi"), ("fr, en;q=0.1", "en"),
    ],
)  # fmt: skip
def test_english_is_spoken_where_it_is_wanted_more_than_vietnamese(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_whatever_stands_in_the_header_some_language_is_spoken(accepted: str) -> None:
    assert language_of(accepted) in ("vi", "en")


def test_a_record_that_nobody_can_read_has_the_code_of_its_reason() -> None:
    assert Poison("schema", "code: missing").code == "DOS-KAF-008"


# --- answers


class Engine:
    """Answers every command as it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def handle(self, items: Sequence[Item]) -> list[Handled]:
        """What becomes of each."""
        if isinstance(self.error, ConnectionError):
            raise Unavailable("database: ConnectionError")
        return [Handled("failed", error=self.error) if self.error else Handled("ok", {"done": True}) for _ in items]


def application(error: Exception | None = None) -> Starlette:
    """A door with one route, behind which everything is as an engine says."""
    door = Door(Batcher(Engine(error).handle), b"k")

    async def route(request: Request) -> Response:
        body = await read_body(request)
        parse(SupplementBody, body)
        asked = door.asked(request, CLIENT, body.content, 200, lambda state: {})
        return await door.command(asked, DOSSIER, StartProcessing(by=officer()), request)

    return observed([Route("/", route, methods=["POST"])], Metrics("intake"))


async def post(headers: Mapping[str, str] = KEYED, body: bytes = b"{}", error: Exception | None = None) -> Answer:
    """The answer to one POST."""
    return await ask(application(error), "POST", "/", headers, body)


def found(answer: Answer) -> list[str]:
    """Status, code and the faults of a problem."""
    problem = answer.content
    assert problem["status"] == answer.status
    faults = [f"{fault['pointer']} {fault['code']}" for fault in problem["errors"]]
    return [f"{problem['status']} {problem['code']}", *sorted(faults)]


async def test_the_same_faults_are_told_in_vietnamese_and_in_english() -> None:
    vietnamese = await post(body=FAULTY)
    english = await post({**KEYED, "accept-language": "en-GB,en;q=0.9"}, FAULTY)
    assert found(vietnamese) == found(english) == [
        "422 DOS-INT-001", "/more unknown-field", "/papers/0/sha256 malformed", "/papers/0/size out-of-range",
    ]  # fmt: skip
    assert (vietnamese.headers["content-language"], english.headers["content-language"]) == ("vi", "en")
    assert english.headers["vary"] == "Accept-Language"
    said = [(answer.content["title"], answer.content["detail"]) for answer in (vietnamese, english)]
    assert said == [
        ("Dữ liệu không hợp lệ", "Sửa mọi lỗi được kê."),
        ("The application has faults", "Mend every fault listed."),
    ]
    details = [[fault["detail"] for fault in answer.content["errors"]] for answer in (vietnamese, english)]
    assert details == [
        ["không có trường này", "không đúng dạng quy định", "ít nhất là 1"],
        ["there is no such field", "not in the required form", "at least 1"],
    ]


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        (JSON, b"{}", ["400 DOS-INT-002", " idempotency-key"]),
        (JSON, b'{"more": 1}', ["422 DOS-INT-001", " idempotency-key", "/more unknown-field"]),
        (JSON, b'{"a": 1, "a": 1}',
         ["422 DOS-INT-001", " idempotency-key", "/a duplicate-field", "/a unknown-field"]),
        (JSON, b"[]", ["422 DOS-INT-001", " idempotency-key", " wrong-type"]),
        (JSON, b"{", ["400 DOS-INT-005", " idempotency-key"]),
        (JSON, b" " * (256 * 1024 + 1), ["413 DOS-INT-006", " idempotency-key"]),
        ({}, b"{}", ["415 DOS-INT-008", " idempotency-key"]),
        (KEYED, b"{", ["400 DOS-INT-005"]),
        (KEYED, b'{"more": 1}', ["422 DOS-INT-001", "/more unknown-field"]),
        ({**JSON, "idempotency-key": "k" * (MAX_KEY + 1)}, b"{}", ["400 DOS-INT-002", " idempotency-key"]),
        ({**JSON, "idempotency-key": "two words"}, b"[]", ["422 DOS-INT-001", " idempotency-key", " wrong-type"]),
    ],
    ids=range(11),
)  # fmt: skip
async def test_a_missing_key_and_a_bad_body_are_told_in_one_answer(
    headers: Mapping[str, str], body: bytes, told: list[str]
) -> None:
    assert found(await post(headers, body)) == told


async def test_a_right_request_under_the_longest_key_is_answered() -> None:
    assert (await post()).content == {"done": True}


@pytest.mark.parametrize(("length", "exit_code"), [(MAX_KEY, 0), (MAX_KEY + 1, 1)])
def test_a_file_may_hold_the_keys_that_the_door_takes_and_no_longer_ones(
    length: int, exit_code: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8").splitlines()[0])
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({**line, "idempotency_key": "k" * length}))
    assert law(["quote", str(file)]) == exit_code
    assert ("/idempotency_key" in capfd.readouterr().err) == (exit_code == 1)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionError(), "503 DOS-INT-503"),
        (Unavailable("parked", "DOS-INT-504"), "503 DOS-INT-504"),
    ],
)
async def test_whoever_is_told_to_come_again_is_told_when(error: Exception, told: str) -> None:
    answer = await post(error=error)
    assert found(answer) == [told]
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_refusal_tells_when_to_come_again_only_if_that_would_help() -> None:
    assert "retry-after" not in (await post(body=b"{")).headers


async def test_what_helps_to_act_on_a_refusal_stands_in_the_problem() -> None:
    status = Text("Yêu cầu bổ sung giấy tờ", "Supplement requested")
    refused = Refused("DOS-INT-010", [Fault("/status", "illegal-step", (status,))], {"possible": ("supplement",)})
    answer = await post(error=refused)
    assert found(answer) == ["409 DOS-INT-010", "/status illegal-step"]
    assert answer.content["possible"] == ["supplement"]
    assert answer.content["errors"][0]["detail"] == "hồ sơ đang ở trạng thái “Yêu cầu bổ sung giấy tờ”"
