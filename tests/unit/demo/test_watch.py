"""A subscriber proves by each partition's own order that it missed nothing, whatever the writers' clocks say."""

from types import SimpleNamespace
from uuid import uuid4

from deploy.demo.watch import Watcher, by_time


def record(name: str, timestamp: int) -> SimpleNamespace:
    return SimpleNamespace(name=name, timestamp=timestamp)


def test_records_of_several_partitions_are_taken_by_their_time() -> None:
    got = {0: [record("first", 1), record("third", 3)], 1: [record("second", 2)]}
    assert [one.name for one in by_time(got)] == ["first", "second", "third"]


def test_a_clock_that_was_set_back_changes_no_partitions_order() -> None:
    got = {0: [record("one", 9), record("two", 1), record("three", 5)], 1: [record("other", 2)]}
    assert [one.name for one in by_time(got) if one.name != "other"] == ["one", "two", "three"]


def event(sequence: int, offset: int) -> SimpleNamespace:
    headers = {
        "ce_source": "intake/3", "ce_sequence": f"{sequence}", "ce_id": f"id-{sequence}", "ce_partitionkey": "a-file",
        "ce_type": "vn.gov.dossier.dossier-accepted.v1", "ce_time": "2026-01-05T08:00:00Z",
        **({"ce_previous": f"id-{sequence - 1}"} if sequence > 1 else {}),
    }  # fmt: skip
    return SimpleNamespace(
        topic="gov.dossier.intake.v1", partition=3, offset=offset, timestamp=0, value=b"{}",
        headers=[(name, text.encode()) for name, text in headers.items()],
    )  # fmt: skip


def test_an_event_published_twice_is_a_repeat_and_a_record_read_twice_is_none() -> None:
    watcher = Watcher("nowhere:9092")
    for sequence, offset in ((1, 10), (2, 11), (2, 12), (1, 10), (2, 11), (2, 12), (3, 13)):
        watcher.take(event(sequence, offset))
    assert (watcher.repeats, watcher.read_again, watcher.gaps) == (1, 3, 0)
    assert watcher.counts == {"DossierAccepted": 3}


def test_a_new_event_at_an_offset_that_a_lost_tail_had_before_is_heard() -> None:
    watcher = Watcher("nowhere:9092")
    for sequence, offset in ((1, 10), (2, 11), (2, 12), (3, 12), (4, 13)):
        watcher.take(event(sequence, offset))
    assert (watcher.repeats, watcher.gaps, watcher.counts["DossierAccepted"]) == (1, 0, 4)


def said(writer: str, name: str, sequence: int, time: str) -> SimpleNamespace:
    headers = {
        "ce_source": f"urn:dossier:{writer}:3", "ce_sequence": f"{sequence}", "ce_id": str(uuid4()),
        "ce_partitionkey": "a-file", "ce_type": f"vn.gov.dossier.{name}.v1", "ce_time": time,
    }  # fmt: skip
    return SimpleNamespace(
        topic=f"gov.dossier.{writer}.v1", partition=3, offset=sequence, timestamp=0, value=b"{}",
        headers=[(name, text.encode()) for name, text in headers.items()],
    )  # fmt: skip


def test_a_case_is_told_in_an_order_in_which_it_can_have_happened_whatever_was_heard_first() -> None:
    watcher = Watcher("nowhere:9092")
    for record in (
        said("payment", "fee-paid", 1, "2026-01-05T07:55:09Z"),
        said("intake", "dossier-submitted", 1, "2026-01-05T08:00:00Z"),
        said("intake", "dossier-accepted", 2, "2026-01-05T07:00:00Z"),
    ):
        watcher.take(record)
    told = [one.name for one in watcher.cases["a-file"].in_order()]
    assert told == ["DossierSubmitted", "FeePaid", "DossierAccepted"]
