"""Whatever a broker may hold is read as it came, by aiokafka's own fetcher."""

from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecord
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.kafka.patches.record_sets import read_as_the_broker
from shared.runtime.store.headers import name_bytes
from tests.raw import batch, record, spilling

ODD = record(b"key", b"odd", [(b"name\xff", b"1"), (b"", None)], place=1)
contents = st.none() | st.binary(max_size=9)
headers = st.lists(st.tuples(st.binary(max_size=9), contents), max_size=4)
records = st.lists(st.tuples(contents, contents, headers), min_size=1, max_size=4)


def fetched(*batches: bytes) -> list[Any]:
    """What aiokafka makes of these bytes from a broker."""
    read_as_the_broker()
    pieces = fetcher.MemoryRecords(b"".join(batches))
    return list(fetcher.PartitionRecords(TopicPartition("topic", 3), pieces, None, 0, None, None, True, 0))


def plain(value: bytes, place: int = 0) -> bytes:
    """A record that holds nothing but this."""
    return record(b"a key of some length", value, [(b"name", b"1")], place=place)


def test_a_name_that_is_not_utf_8_comes_with_every_byte_and_so_do_its_neighbours() -> None:
    got = fetched(batch(plain(b"before"), ODD, plain(b"behind", 2)), batch(plain(b"next"), first=3))
    assert [(one.offset, one.value) for one in got] == [(0, b"before"), (1, b"odd"), (2, b"behind"), (3, b"next")]
    assert [(name_bytes(name), content) for name, content in got[1].headers] == [(b"name\xff", b"1"), (b"", None)]


@pytest.mark.parametrize(
    "strange",
    [
        pytest.param({"attributes": 0x80}, id="an attribute that nobody knows"),
        pytest.param({"attributes": 0xFF}, id="attributes that nobody knows"),
        pytest.param({"lengths": spilling}, id="lengths with bits that do not count"),
        pytest.param({"place": 2_000_000_000}, id="an offset far behind"),
        pytest.param({"place": -1}, id="an offset before the batch"),
    ],
)
def test_a_record_of_strange_bytes_is_read_as_the_broker_reads_it(strange: dict[str, Any]) -> None:
    odd = record(b"a key of some length", b"odd", [(b"name", b"1")], **strange)
    got = fetched(batch(odd), batch(plain(b"next"), first=1))
    assert [(one.offset, one.key, one.value) for one in got] == [
        (0, b"a key of some length", b"odd"), (1, b"a key of some length", b"next"),
    ]  # fmt: skip
    assert got[0].headers == (("name", b"1"),)
    assert got[0].timestamp == pytest.approx(got[1].timestamp, abs=60_000)


def test_what_compaction_has_left_keeps_its_offset() -> None:
    got = fetched(batch(ODD, plain(b"later", 4), first=10, last=16))
    assert [(one.offset, one.value) for one in got] == [(11, b"odd"), (14, b"later")]


def test_a_packed_batch_is_unpacked_first() -> None:
    assert [one.value for one in fetched(batch(plain(b"before"), ODD, codec="gzip"))] == [b"before", b"odd"]


@given(records)
def test_whatever_a_record_holds_comes_as_it_was(made: list[tuple[bytes | None, bytes | None, Any]]) -> None:
    got = fetched(batch(*(record(*one, place=place) for place, one in enumerate(made))))
    bare = [(one.key, one.value, [(name_bytes(name), content) for name, content in one.headers]) for one in got]
    assert bare == made
    assert [one.offset for one in got] == list(range(len(made)))


def test_a_batch_without_anything_strange_is_read_by_the_compiled_parser() -> None:
    read_as_the_broker()
    pieces = fetcher.MemoryRecords(batch(plain(b"1"), plain(b"2", 1)))
    assert [type(one) for one in pieces.next_batch()] == [DefaultRecord] * 2


def test_a_batch_that_is_broken_is_still_refused() -> None:
    broken = batch(ODD, plain(b"cut", 2))
    with pytest.raises(CorruptRecordException):
        fetched(broken[:-1] + b"\xff")
    with pytest.raises(CorruptRecordException):
        fetched(batch(ODD[:-1] + b"\x64"))
