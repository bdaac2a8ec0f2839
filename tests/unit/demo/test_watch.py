"""A subscriber proves by each partition's own order that it missed nothing, whatever the writers' clocks say."""

from types import SimpleNamespace

from deploy.demo.watch import by_time


def record(name: str, timestamp: int) -> SimpleNamespace:
    return SimpleNamespace(name=name, timestamp=timestamp)


def test_records_of_several_partitions_are_taken_by_their_time() -> None:
    got = {0: [record("first", 1), record("third", 3)], 1: [record("second", 2)]}
    assert [one.name for one in by_time(got)] == ["first", "second", "third"]


def test_a_clock_that_was_set_back_changes_no_partitions_order() -> None:
    got = {0: [record("one", 9), record("two", 1), record("three", 5)], 1: [record("other", 2)]}
    assert [one.name for one in by_time(got) if one.name != "other"] == ["one", "two", "three"]
