"""The table of bad records: how each is spoiled, and what becomes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from shared.events.verification import CitizenVerified
from tests import raw
from tests.e2e.bad_input.answers import MARK
from tests.e2e.bad_input.forged import Forged

Spoil = Callable[[Forged], Forged]


@dataclass(frozen=True, slots=True)
class Row:
    """A record spoiled in one way. `moves`: whether its position counts as heard; `reason`: of its dead letter, None if
    there is none; `parked`: whether its dossier is parked (None: nobody remembers it).
    """

    name: str
    spoil: Spoil
    moves: bool
    reason: str | None
    parked: bool | None = None


def _unreadable(name: str, spoil: Spoil, reason: str = "envelope") -> Row:
    """Nobody can tell which record it is: a dead letter, and nothing else."""
    return Row(name, spoil, False, reason)


def _ill_said(name: str, spoil: Spoil, reason: str = "schema") -> Row:
    """It is clear which record it is, but not what it says: a dead letter, and its dossier is parked."""
    return Row(name, spoil, True, reason, True)


def _well_said(name: str, **wire: Any) -> Row:
    """Only the bytes are strange: a record like any other."""
    return Row(name, lambda record: record.written(**wire), True, None, False)


def _structured(value: bytes) -> Spoil:
    return lambda record: record.with_headers([("content-type", b"application/cloudevents+json")]).saying(value)


def _without(name: str) -> Spoil:
    return lambda record: record.headed(**{name: None})


def _with(**changes: str) -> Spoil:
    return lambda record: record.headed(**changes)


def _body(**changes: object) -> Spoil:
    return lambda record: record.saying(orjson.dumps({**orjson.loads(record.value or b"{}"), **changes}))


TABLE = (
    _unreadable("no headers at all", lambda record: record.with_headers([])),
    *(
        _unreadable(f"no {name}", _without(name))
        for name in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_dataschema",
                     "ce_partitionkey", "ce_sequence", "ce_correlationid", "ce_causationid")
    ),
    _unreadable("a header that is not UTF-8",
                lambda record: record.with_headers([*record.headers, ("tracestate", b"\xff")]), "headers-not-utf8"),
    _unreadable("a header whose name is not UTF-8",
                lambda record: record.with_headers([*record.headers, ("trace\udcff", b"1")]), "headers-not-utf8"),
    _unreadable("a header whose name is not UTF-8, written as no library would",
                lambda record: record.with_headers([("ce_id\udcff", None)]).written(lengths=raw.spilling),
                "headers-not-utf8"),
    _unreadable("a header without a value",
                lambda record: record.with_headers([*record.headers, ("ce_subject", None)]), "headers-not-utf8"),
    _unreadable("an event of another CloudEvents version", _with(ce_specversion="0.3")),
    _unreadable("a subject that is not its dossier", _with(ce_subject="dossier/nobody")),
    _unreadable("sequence 0", _with(ce_sequence="0" * 20)),
    _unreadable("a sequence of 19 digits", _with(ce_sequence="1" * 19)),
    _unreadable("a sequence of words", _with(ce_sequence="one-and-twenty-later")),
    _unreadable("an id that is none", _with(ce_id="42")),
    _unreadable("a time without a zone", _with(ce_time="2026-09-16T01:30:00.000")),
    _unreadable("a time before all times", _with(ce_time="0001-01-01T00:00:00.000+14:00")),
    _unreadable("a source that is none of ours", _with(ce_source="urn:other:intake:4")),
    _unreadable("a shard of 5,000 digits", _with(ce_source="urn:dossier:intake:" + "4" * 5000)),
    _unreadable("a structured record that is not JSON", _structured(b"{"), "structured-unreadable"),
    _unreadable("a structured record that is a list", _structured(b"[]"), "structured-unreadable"),
    _unreadable("a structured record without data", _structured(b'{"id": "x"}'), "structured-unreadable"),
    _unreadable("a record on a foreign partition", _with(ce_source="urn:dossier:intake:5"), "foreign-partition"),
    _unreadable("a record of a foreign writer", _with(ce_source="urn:dossier:payment:4"), "foreign-writer"),
    _ill_said("a body that is not JSON", lambda record: record.saying(f'{{"code": "{MARK}'.encode())),
    _ill_said("a body that is not UTF-8", lambda record: record.saying(b'{"code": "\xff\xfe"}')),
    _ill_said("an empty body", lambda record: record.saying(b"")),
    _ill_said("no body", lambda record: record.saying(None)),
    _ill_said("a body of 100,000 levels", lambda record: record.saying(b"[" * 100_000)),
    _ill_said("a field too few", lambda record: record.saying(b"{}")),
    _ill_said("a field of another type", _body(applicant=MARK)),
    _ill_said("a lone surrogate", lambda record: record.saying((record.value or b"").replace(b"H26", b"\\ud800", 1))),
    _ill_said("a value of a megabyte", _body(code="x" * 1_000_000), "too-large"),
    _ill_said("another service's event", _with(ce_type=CitizenVerified.TYPE), "foreign-type"),
    Row("an unknown type", _with(ce_type="vn.gov.dossier.dossier-archived.v1"), True, None, None),
    Row("a later version", _with(ce_type="vn.gov.dossier.dossier-submitted.v2"), True, None, None),
    Row("an unknown field", _body(weather="fine"), True, None, False),
    Row("an unknown word of an enum", _body(channel="kiosk"), True, None, False),
    Row("what is no word of any enum", _body(channel="a kiosk in the street"), True, "schema", True),
    Row("an unknown header", _with(ce_weather="fine"), True, None, False),
    Row("a header without a name", lambda record: record.with_headers([*record.headers, ("", b"")]), True, None, False),
    _well_said("attributes that nobody knows", attributes=0xFF),
    _well_said("lengths with bits that do not count", lengths=raw.spilling),
    _well_said("an offset that it lies about", place=2_000_000_000),
    _well_said("an offset before its batch", place=-1),
    *(_well_said(f"a batch compressed with {codec}", codec=codec) for codec in raw.CODECS if codec != "none"),
)  # fmt: skip
