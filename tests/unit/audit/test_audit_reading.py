"""The digest of a record, and what its headers say."""

from dataclasses import dataclass
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from services.audit.reading import digest, leaf_bytes, read
from shared.runtime.store.headers import Headers, headers_of, name_bytes

names = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(["ce_id", "content-type"]),
    st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape")),
)
contents = st.none() | st.binary(max_size=12)
header_lists = st.lists(st.tuples(names, contents), max_size=6)


@dataclass
class Wire:
    """A record on the wire."""

    key: bytes | None
    headers: Headers
    value: bytes | None
    timestamp: int | None = 0
    topic: str = "gov.dossier.intake.v1"
    partition: int = 3
    offset: int = 7


def test_the_digest_is_that_of_the_bytes_written_out_by_hand() -> None:
    head = [("content-type", b"a/b"), ("traceparent", b"left out"), ("ce_id", b"1")]
    written = (
        b"\x00\x00\x00\x01k" b"\x00\x00\x00\x02"
        b"\x00\x00\x00\x0ccontent-type\x00\x00\x00\x03a/b"
        b"\x00\x00\x00\x05ce_id\x00\x00\x00\x011"
        b"\xff\xff\xff\xff"
    )  # fmt: skip
    assert leaf_bytes(b"k", head, None) == written
    assert digest(b"k", head, None) == sha256(written).digest()


told = st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "content-type"]), contents), max_size=4)
records = st.tuples(contents, told, contents)


@given(records, records)
def test_two_records_have_the_same_leaf_only_if_they_are_the_same(
    one: tuple[bytes | None, Headers, bytes | None], other: tuple[bytes | None, Headers, bytes | None]
) -> None:
    assert (leaf_bytes(*one) == leaf_bytes(*other)) == (one == other)


def test_a_name_that_is_not_utf_8_is_digested_and_stored_by_its_bytes() -> None:
    name = b"ce_\xff"
    one = read(Wire(b"k", [(name.decode("utf-8", "surrogateescape"), b"1")], None))
    written = b"\0\0\0\1k\0\0\0\1\0\0\0\4" + name + b"\0\0\0\x011\xff\xff\xff\xff"
    assert one.digest == sha256(written).digest()
    assert [(name_bytes(name), content) for name, content in headers_of(one.headers)] == [(name, b"1")]
    assert one.fault == "unreadable"


@given(contents, header_lists, contents, st.none() | st.integers(-(2**63), 2**63 - 1))
def test_whatever_a_record_holds_it_can_be_read(
    key: bytes | None, headers: Headers, value: bytes | None, timestamp: int | None
) -> None:
    one = read(Wire(key, headers, value, timestamp))
    assert one.fault == "unreadable"
    assert (one.key, one.value, one.place) == (key, value, ("gov.dossier.intake.v1", 3, 7))


def test_a_time_that_no_calendar_holds_is_no_time() -> None:
    assert read(Wire(None, [], None, -(10**17))).at is None
