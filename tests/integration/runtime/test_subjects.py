"""What an event, a task and a state is about has a kind and an id; a dossier is the first kind."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from shared.events.base import Event
from shared.events.envelope import open_record, read_envelope
from shared.events.notification import NoticeSent
from shared.runtime.kernel.decider import Decider, Evolve
from shared.runtime.kernel.hearing import classify
from shared.runtime.kernel.message import Item, Record
from tests.integration.runtime.log import record_of
from tests.integration.runtime.stage import Stage, command, work
from tests.integration.runtime.toy import Said, Tally, Toy, dossiers
from tests.integration.runtime.wire import running, soon

SETTLEMENT, DOSSIER = dossiers(4, 2)


class Ledger(Tally):
    """What is remembered of a settlement file."""

    balance_vnd: int = 0


def _entered(state: Any, event: Any) -> Any:
    texts = (*state.notification.texts, event.body.message_id)
    folded = state.model_copy(update={"notification": Said(texts=texts)})
    return folded.model_copy(update={"balance_vnd": folded.balance_vnd + 1}) if event.kind == "settlement" else folded


def two_kinds(toy: Toy) -> Decider[Any]:
    """The toy, of dossiers and of settlement files."""
    folds: Mapping[type[Event], Evolve] = {**toy.decider.folds, NoticeSent: _entered}
    return replace(toy.decider, folds=folds, others={"settlement": Ledger()})


def about(kind: str, item: Item) -> Item:
    """The same command, about a subject of this kind."""
    assert item.message is not None
    return replace(item, message=replace(item.message, kind=kind), kind=kind)


@pytest.fixture
def two_kinds_may_be_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's event may be about either."""
    monkeypatch.setattr(NoticeSent, "SUBJECTS", ("dossier", "settlement"))


@pytest.mark.usefixtures("two_kinds_may_be_spoken_of")
async def test_each_kind_has_its_own_state_and_its_events_and_tasks_say_so(stage: Stage) -> None:
    engine = stage.engine(two_kinds(stage.toy))
    await engine.handle([about("settlement", command(SETTLEMENT, "work")), command(DOSSIER, "work too")])
    await engine.handle([about("settlement", command(SETTLEMENT, "more"))])
    rows = await stage.admin.fetch("SELECT dossier_id, subject, state FROM states")
    kept = {row["dossier_id"]: (row["subject"], orjson.loads(row["state"]).get("balance_vnd")) for row in rows}
    assert kept == {SETTLEMENT: ("settlement", 2), DOSSIER: ("dossier", None)}
    tasks = {row["dossier_id"]: row["subject"] for row in await stage.admin.fetch("SELECT * FROM tasks")}
    assert tasks == {SETTLEMENT: "settlement", DOSSIER: "dossier"}
    heads = [orjson.loads(row["headers"]) for row in await stage.admin.fetch("SELECT headers FROM events")]
    subjects = {head["ce_subject"] for head in heads}
    assert subjects == {f"settlement/{SETTLEMENT}", f"dossier/{DOSSIER}"}
    for head in heads:
        read = read_envelope(open_record([(name, text.encode()) for name, text in head.items()], b"{}")[0])
        assert f"{read.kind}/{read.dossier_id}" == head["ce_subject"]


@pytest.mark.usefixtures("two_kinds_may_be_spoken_of")
async def test_what_comes_of_a_task_is_about_what_the_task_is_about(stage: Stage) -> None:
    engine = stage.engine(two_kinds(stage.toy))
    await engine.handle([about("settlement", command(SETTLEMENT, "work"))])

    async def done() -> bool:
        return await stage.count("tasks") == 0

    async with running(stage.worker(work, engine).run()):
        await soon(done, "the task to be done")
    heads = [
        orjson.loads(row["headers"])["ce_subject"] for row in await stage.admin.fetch("SELECT headers FROM events")
    ]
    assert heads == [f"settlement/{SETTLEMENT}"] * 2


def about_something_else(kind: str) -> Record:
    """An application that says to be about something that is no dossier."""
    record = record_of(DOSSIER, "one", 1, 0)
    headers = tuple(
        (name, f"{kind}/{DOSSIER}".encode() if name == "ce_subject" else content) for name, content in record.headers
    )
    return replace(record, headers=headers)


@pytest.mark.parametrize("kind", ["settlement", "seal"])
def test_an_event_about_what_its_type_is_not_about_is_poison(kind: str) -> None:
    found = classify(about_something_else(kind), {})
    assert isinstance(found, Item)
    assert "is about no" in str(found.failure)


@pytest.mark.parametrize("kind", ["", "Dossier", "dossier ", "sổ", "a" * 33])
def test_a_kind_is_a_short_word_in_small_letters(kind: str) -> None:
    found = classify(about_something_else(kind), {})
    assert isinstance(found, Item)
    assert "ce_subject is missing or malformed" in str(found.failure)
