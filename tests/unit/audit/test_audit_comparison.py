"""The comparison itself, where a database would only be slower: ends that cursors alone tell, and what is no header."""

import json
from io import StringIO
from typing import Any
from uuid import UUID, uuid5

import pytest

from services.audit.comparison import Comparison, Level
from services.audit.differences import Finding
from services.audit.reading import digest
from services.audit.report import Report, print_report
from shared.runtime.store.headers import headers_of

SHARD = 4
DOSSIER = UUID("00000000-0000-4000-8000-000000000000")


def _id(position: int) -> UUID:
    return uuid5(DOSSIER, str(position))


def _names(position: int) -> dict[str, str]:
    return {"ce_id": str(_id(position)), "ce_previous": str(_id(position - 1))}


def _stored(position: int, headers: str | None = None) -> dict[str, Any]:
    return {
        "event_id": _id(position), "dossier_id": DOSSIER, "type": "t", "data": b"{}",
        "headers": json.dumps(_names(position)) if headers is None else headers,
    }  # fmt: skip


def _told(position: int, headers: str | None = None, honest: bool = True) -> dict[str, Any]:
    """A record of the trail; a dishonest one keeps the digest of what stood there before."""
    before = json.dumps([[name, text.encode().hex()] for name, text in _names(position).items()])
    now = before if headers is None else headers
    leaf = digest(str(DOSSIER).encode(), headers_of(now if honest else before), b"{}")
    return {
        "event_id": _id(position), "previous": _id(position - 1) if position > 1 else None, "dossier_id": DOSSIER,
        "type": "t", "key": str(DOSSIER).encode(), "value": b"{}", "headers": now, "digest": leaf,
        "trail_digest": leaf,
    }  # fmt: skip


def _compared(level: Level, both: int, *only_stored: int) -> list[tuple[int, int, str, str]]:
    """What is found when both sides hold the first positions, and the store some others."""
    comparison = Comparison("intake", {SHARD: level})
    for position in range(1, both + 1):
        comparison.pair((SHARD, position), _stored(position), _told(position))
    for position in only_stored:
        comparison.pair((SHARD, position), _stored(position), None)
    return _said(comparison.finish())


def _said(findings: list[Finding]) -> list[tuple[int, int, str, str]]:
    return [(one.first, one.last, one.what, one.detail) for one in findings]


@pytest.mark.parametrize("both", [0, 8])
def test_what_was_heard_and_is_held_by_neither_side_is_missing_on_both(both: int) -> None:
    assert _compared(Level(published=10, stored=both, heard=10, counter=10, level=True), both) == [
        (both + 1, 10, "missing in the trail", "heard, then cut off; missing in the store too")
    ]


def test_of_a_lost_tail_what_was_heard_is_told_from_what_was_only_published() -> None:
    assert _compared(Level(published=12, stored=8, heard=10, counter=12, level=False), 8) == [
        (9, 10, "missing in the trail", "heard, then cut off; missing in the store too"),
        (11, 12, "missing in the store", "published, then cut off"),
    ]


def test_published_rows_cut_out_are_missed_although_the_store_goes_on_behind_them() -> None:
    assert _compared(Level(published=10, stored=11, heard=8, counter=11, level=False), 8, 11) == [
        (9, 10, "missing in the store", "published, then cut off")
    ]


def test_a_row_not_yet_published_behind_what_both_hold_is_nothing_wrong() -> None:
    assert _compared(Level(published=8, stored=10, heard=8, counter=10, level=True), 8, 9, 10) == []


def test_a_comparison_that_stopped_early_does_not_call_lost_what_it_did_not_look_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.audit.comparison.MOST_FINDINGS", 1)
    level = Level(published=8, stored=8, heard=8, counter=8, level=True)
    comparison = Comparison("intake", {SHARD: level, SHARD + 1: level})
    comparison.pair((SHARD, 1), _stored(1, headers="{}"), _told(1))
    assert comparison.full
    assert [what for _, _, what, _ in _said(comparison.finish())] == ["stopped here", "altered header"]


def test_a_comparison_that_looked_at_everything_does_not_say_that_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.audit.comparison.MOST_FINDINGS", 2)
    comparison = Comparison("intake", {SHARD: Level(1, 1, 1, 1, level=True)})
    comparison.pair((SHARD, 1), _stored(1, headers="{}"), _told(1))
    assert [what for _, _, what, _ in _said(comparison.finish())] == ["altered header"]


TOO_DEEP = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    "headers",
    ["[]", "null", '"x"', "5", f'{{"ce_id": 1{"0" * 400}}}', f'{{"ce_id": {TOO_DEEP}}}', '{"ce_id": ["x"]}'],
    ids=["list", "null", "text", "number", "beyond any float", "too deep", "list as content"],
)
def test_whatever_stands_for_a_stored_events_headers_is_named_as_altered(headers: str) -> None:
    comparison = Comparison("intake", {SHARD: Level(1, 1, 1, 1, level=True)})
    comparison.pair((SHARD, 1), _stored(1, headers=headers), _told(1))
    assert [found[:3] for found in _said(comparison.finish())] == [(1, 1, "altered header")]


def test_a_row_without_readable_headers_that_only_the_store_has_is_named() -> None:
    comparison = Comparison("intake", {SHARD: Level(2, 2, 2, 2, level=True)})
    comparison.pair((SHARD, 1), _stored(1, headers=f'{{"ce_id": 1{"0" * 400}}}'), None)
    comparison.pair((SHARD, 2), _stored(2), _told(2))
    assert [found[:3] for found in _said(comparison.finish())] == [(1, 1, "gap on the topic")]


@pytest.mark.parametrize(
    "headers",
    ['[["ce_id", "no hex"]]', '[["ce_id", 5]]', '[["ce_id"]]', "5", "null", '"x"', '{"a": "b"}', '[[5, "00"]]',
     '[[null, "00"]]', '[[["a"], "00"]]', '[["ce_\\ud800", "00"]]', TOO_DEEP],
    ids=["no hex", "number as content", "no content", "number", "null", "text", "object", "number as name",
         "null as name", "list as name", "half a surrogate pair", "too deep"],
)  # fmt: skip
def test_whatever_stands_for_a_records_headers_is_laid_at_audits_door(headers: str) -> None:
    comparison = Comparison("intake", {SHARD: Level(1, 1, 1, 1, level=True)})
    comparison.pair((SHARD, 1), _stored(1), _told(1, headers=headers, honest=False))
    assert [found[:3] for found in _said(comparison.finish())] == [(1, 1, "altered in the trail")]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("ce_\udc80", r"'ce_\udc80'"), ("ce_\n11 positions seen, 0 repeats: clean", r"'ce_\n11 positions seen")],
    ids=["no UTF-8", "a line of its own"],
)
def test_a_headers_name_neither_ends_the_report_nor_writes_a_line_into_it(name: str, shown: str) -> None:
    comparison = Comparison("intake", {SHARD: Level(1, 1, 1, 1, level=True)})
    comparison.pair((SHARD, 1), _stored(1), _told(1, headers=json.dumps([[name, "00"]])))
    out = StringIO()
    print_report(Report(findings=comparison.finish()), out)
    _, wrong, verdict = out.getvalue().encode().splitlines()
    assert (shown in wrong.decode(), verdict) == (True, b"0 positions seen, 0 repeats: 1 findings")
