"""`.v2` beside `.v1`: what was said in an old version is read as the newest, and nothing else about it changes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import Poison
from shared.events import catalogue, schema
from shared.events.__main__ import FOLDER, main
from shared.events.base import Event, Model
from shared.events.catalogue import BY_TYPE, READINGS, SAID_BY, WRITER, as_written, readings, types_read_as
from shared.events.envelope import read_body
from shared.events.intake import DossierSubmitted
from shared.events.upcasters import UPCASTERS, Upcaster
from shared.runtime.kernel.decider import Command, Decider, Decision, Message, Numbered
from shared.runtime.kernel.hearing import Positions, classify, reread
from shared.runtime.kernel.message import Item
from shared.runtime.kernel.work import Work
from tests.any_event import valid
from tests.controls import citizen_verified, dossier_submitted, message
from tests.overlay import (
    STEPS,
    DossierSubmittedV2,
    DossierSubmittedV3,
    counter_told,
    later_release,
    paper_count_left_out,
    papers_counted,
    written_as,
)
from tests.unit.runtime.records import SHARD, genuine, wire
from tests.unit.runtime.records import WRITER as INTAKE

EVENTS = sorted(BY_TYPE.values(), key=lambda event: event.TYPE)
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
OLD = DossierSubmitted.TYPE
HALF_WAY = (STEPS[0], replace(STEPS[1], back=paper_count_left_out))


@pytest.fixture
def tomorrow() -> Iterator[None]:
    with later_release():
        yield


# The registry


def test_every_type_that_is_said_is_read_as_itself_and_every_older_one_leads_there() -> None:
    assert {kind for kind, one in READINGS.items() if one.written is one.newest} == set(BY_TYPE)
    for kind, one in READINGS.items():
        assert (one.newest in SAID_BY[one.writer], one.written.TYPE) == (True, kind)
    assert {one.old.TYPE for one in UPCASTERS} == set(READINGS) - set(BY_TYPE)


def test_steps_are_chained_to_the_newest_version_in_whatever_order_they_are_listed() -> None:
    said: dict[type[Event], str] = {DossierSubmittedV3: "intake"}
    for steps in (STEPS, STEPS[::-1]):
        found = readings(said, steps)
        assert found[OLD].steps == (counter_told, papers_counted)
        assert found[DossierSubmittedV2.TYPE].steps == (papers_counted,)
        assert {one.newest for one in found.values()} == {DossierSubmittedV3}
        assert {one.writer for one in found.values()} == {"intake"}


@pytest.mark.parametrize(
    ("said", "steps"),
    [
        (DossierSubmitted, STEPS),
        (DossierSubmittedV3, STEPS[:1]),
        (DossierSubmittedV3, (*STEPS, STEPS[0])),
        (DossierSubmittedV3, (Upcaster(DossierSubmitted, DossierSubmittedV3, papers_counted),)),
        (DossierSubmittedV2, (Upcaster(type(citizen_verified()), DossierSubmittedV2, counter_told),)),
    ],
    ids=["still-said", "leads-nowhere", "twice", "leaps", "another-event"],
)
def test_a_step_that_is_out_of_place_stops_the_start(said: type[Event], steps: tuple[Upcaster, ...]) -> None:
    with pytest.raises(ValueError, match="is still said, has two steps, or one that leads nowhere"):
        readings({said: "intake"}, steps)


@pytest.mark.usefixtures("tomorrow")
def test_whoever_asks_for_events_by_their_type_is_told_every_version() -> None:
    kinds = {OLD, DossierSubmittedV2.TYPE, DossierSubmittedV3.TYPE}
    assert set(types_read_as([DossierSubmittedV3])) == kinds
    assert set(types_read_as([DossierSubmittedV3, type(citizen_verified())])) == {*kinds, citizen_verified().TYPE}


# Any event of any version


@pytest.mark.parametrize("event", EVENTS)
@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_whatever_a_schema_allows_is_read_and_written_again_as_it_says(event: type[Event], data: st.DataObject) -> None:
    content = data.draw(valid(schema.schema(event)))
    read = read_body(event.TYPE, WRITER[event], orjson.dumps(content))
    assert read is not None
    assert read_body(event.TYPE, WRITER[event], read.model_dump_json().encode()) == read


@pytest.mark.parametrize("step", [*UPCASTERS, *STEPS], ids=lambda one: one.old.TYPE)
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_any_valid_event_of_an_old_version_is_a_valid_one_of_the_next(step: Upcaster, data: st.DataObject) -> None:
    old = step.old.model_validate_json(orjson.dumps(data.draw(valid(schema.schema(step.old)))))
    before = old.model_copy(deep=True)
    new = step.step(old)
    assert type(new) is step.new
    assert (old, step.step(old)) == (before, new)
    assert step.new.model_validate_json(new.model_dump_json()) == new


@pytest.mark.parametrize("step", [one for one in (*UPCASTERS, *HALF_WAY) if one.back], ids=lambda one: one.old.TYPE)
@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_what_is_still_written_as_the_old_version_is_read_as_what_was_to_be_said(
    step: Upcaster, data: st.DataObject
) -> None:
    new = step.step(step.old.model_validate_json(orjson.dumps(data.draw(valid(schema.schema(step.old))))))
    assert step.back is not None
    old = step.back(new)
    assert type(old) is step.old
    assert step.old.model_validate_json(old.model_dump_json()) == old
    assert step.step(old) == new


# The one place where bodies are read


@pytest.mark.usefixtures("tomorrow")
def test_all_versions_are_heard_as_the_newest_and_place_id_and_time_are_those_that_were_written() -> None:
    positions: Positions = {}
    kinds: list[type[Event]] = [DossierSubmitted, DossierSubmittedV2, DossierSubmittedV3]
    for sequence, kind in enumerate(kinds, 1):
        written = genuine(sequence, offset=sequence)
        text = {name: content.decode() for name, content in written.headers if content is not None}
        head, body = written_as(kind, text, written.value or b"")
        record = replace(written, headers=wire(head), value=body)
        for item in (classify(record, positions), reread(record)):
            assert isinstance(item, Item)
            assert item.message is not None
            read = item.message.body
            assert isinstance(read, DossierSubmittedV3)
            assert (read.at_counter, read.paper_count) == (False, 2)
            assert str(item.message.id) == text["ce_id"]
            assert item.record is record
    assert positions[INTAKE, SHARD].position == 3


@pytest.mark.usefixtures("tomorrow")
def test_an_old_version_is_still_closed_to_other_writers_and_still_has_its_schema() -> None:
    with pytest.raises(Poison, match="is not for payment to say"):
        read_body(OLD, "payment", dossier_submitted().model_dump_json().encode())
    with pytest.raises(Poison, match="code: missing"):
        read_body(OLD, "intake", b"{}")


@pytest.mark.usefixtures("tomorrow")
def test_an_old_version_with_a_word_or_a_field_of_tomorrow_is_read_too() -> None:
    content = {**dossier_submitted().model_dump(mode="json"), "channel": "kiosk", "mood": "fine"}
    read = read_body(OLD, "intake", orjson.dumps(content))
    assert isinstance(read, DossierSubmittedV3)
    assert (read.channel, read.at_counter) == ("kiosk", False)


def test_a_step_with_a_bug_is_told_without_what_it_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(old: Event) -> Event:
        raise KeyError(old)

    said: dict[type[Event], str] = {DossierSubmittedV2: "intake"}
    step = Upcaster(DossierSubmitted, DossierSubmittedV2, broken)
    monkeypatch.setattr(catalogue, "READINGS", readings(said, [step]))
    with pytest.raises(Poison, match=r"^\S+ cannot be read as its next version: KeyError$") as poison:
        read_body(OLD, "intake", dossier_submitted().model_dump_json().encode())
    assert poison.value.code == "DOS-KAF-009"


def test_a_release_that_does_not_know_a_version_passes_over_it() -> None:
    assert read_body(DossierSubmittedV2.TYPE, "intake", b"anything") is None


# A release that reads a version and does not write it yet


class Ask(Command):
    """To submit something."""


class Papers(Model):
    """How many papers there are."""

    count: int = 0


def _asked(state: Papers, asked: Message[Ask]) -> Decision:
    def submitted(number: int) -> Event:
        old = dossier_submitted(code=f"H02.15.12-260302-{number:04}")
        return papers_counted(counter_told(old))

    return Decision((submitted(7), Numbered("series", submitted)))


def _counted(state: Papers, event: Message[DossierSubmittedV3]) -> Papers:
    return Papers(count=state.count + event.body.paper_count)


def test_the_old_version_is_written_and_all_who_read_it_have_the_newest_us_too(
    tomorrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "BACK", catalogue.steps_back(HALF_WAY))
    decider = Decider("intake", Papers(), {Ask: _asked}, {DossierSubmittedV3: _counted})
    asked = message(Ask())
    work = Work(decider, asked.dossier_id, 0, Papers(), parked=False)
    draft = work.take(Item(message=asked, dossier_id=asked.dossier_id), answered=False)
    assert draft.dead is None
    work.numbered({id(draft.said[1]): 8})
    assert work.state == Papers(count=4)
    for one, code in zip(draft.said, ("0007", "0008"), strict=True):
        assert as_written(one.message.body).TYPE == DossierSubmittedV2.TYPE
        read = read_body(DossierSubmittedV2.TYPE, "intake", one.data)
        assert (read, type(read)) == (one.message.body, DossierSubmittedV3)
        assert isinstance(read, DossierSubmittedV3) and read.code.endswith(code)


# What subscribers read


@pytest.mark.usefixtures("tomorrow")
def test_the_new_version_gets_schemas_of_its_own_and_those_of_the_old_one_stay(tmp_path: Path) -> None:
    for file in (FOLDER / "dossier-submitted.v1").iterdir():
        (tmp_path / "dossier-submitted.v1").mkdir(exist_ok=True)
        (tmp_path / "dossier-submitted.v1" / file.name).write_bytes(file.read_bytes())
    assert main(["schemas"], tmp_path) == 0
    assert main(["release"], tmp_path) == 0
    for version in ("v1/1.0.0", "v1/1.1.0", f"v1/{DossierSubmitted.VERSION}", "v2/2.0.0", "v3/3.0.0"):
        assert json.loads((tmp_path / f"dossier-submitted.{version}.json").read_text())["title"]
    newest = json.loads((FOLDER / f"dossier-submitted.v1/{DossierSubmitted.VERSION}.json").read_text())
    assert json.loads((tmp_path / f"dossier-submitted.v1/{DossierSubmitted.VERSION}.json").read_text()) == newest
    (tmp_path / "dossier-submitted.v1" / "1.0.0.json").unlink()
    assert main(["schemas", "--check"], tmp_path) == 1
