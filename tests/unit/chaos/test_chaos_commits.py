"""PostgreSQL's word on a COMMIT is found wherever its bytes are cut apart."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.proxy import Commits


def _frame(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


COMMIT = _frame(b"C", b"COMMIT\x00")
BEFORE = (
    _frame(b"R", b"\0\0\0\0")
    + _frame(b"D", b"\0\1 C\x00\x00\x00\x0bCOMMIT\x00 in a row")
    + _frame(b"C", b"INSERT 0 1\x00")
)
AFTER = _frame(b"Z", b"I")
SSL_REQUEST = struct.pack("!II", 8, 80877103)


def _let_through(pieces: list[bytes], commits: Commits) -> bytes | None:
    """What goes to the client before the word on the first COMMIT; None if there was none."""
    through = b""
    for piece in pieces:
        before = commits.before_commit(piece)
        if before is not None:
            return through + piece[:before]
        through += piece
    return None


def _cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[a:b] for a, b in zip(ends, ends[1:], strict=False)]


@given(st.lists(st.integers(0, 500)))
def test_no_byte_of_the_word_passes_whole(places: list[int]) -> None:
    through = _let_through(_cut(BEFORE + COMMIT + AFTER, places), Commits())
    assert through is not None
    assert (BEFORE + COMMIT).startswith(through) and len(through) < len(BEFORE + COMMIT)


@given(st.lists(st.integers(0, 500)))
def test_what_only_looks_like_it_passes(places: list[int]) -> None:
    assert _let_through(_cut(BEFORE + AFTER, places), Commits()) is None


def test_the_refusal_of_tls_has_no_frame() -> None:
    commits = Commits()
    commits.asked(SSL_REQUEST)
    assert _let_through([b"N", BEFORE, COMMIT], commits) == b"N" + BEFORE


@given(st.lists(st.integers(0, 500)))
def test_a_later_one_is_found_after_one_that_passed(places: list[int]) -> None:
    commits = Commits()
    assert commits.before_commit(BEFORE + COMMIT + AFTER) == len(BEFORE)
    assert _let_through(_cut(BEFORE + COMMIT, places), commits) is not None


STARTUP = struct.pack("!II", 17, 196608) + b"user\0me\0\0"
PARSED = _frame(b"P", b"one\0SELECT * FROM commit_batch($1)\0\0\0") + _frame(b"P", b"two\0SELECT 1\0\0\0")
SYNC = _frame(b"S", b"")
ROWS = _frame(b"2", b"") + _frame(b"D", b"\0\1 Z\x00\x00\x00\x05I") + _frame(b"C", b"SELECT 1\0")
REFUSED = _frame(b"E", b"CDFENC\0\0")


def _called(name: bytes) -> bytes:
    return _frame(b"B", b"\0" + name + b"\0" + b"\0" * 6) + _frame(b"E", b"\0" * 5) + SYNC


def _told(places: list[int], name: bytes) -> Commits:
    commits = Commits()
    for piece in _cut(STARTUP + PARSED + _called(name), places):
        commits.asked(piece)
    return commits


@given(st.lists(st.integers(0, 500)), st.lists(st.integers(0, 500)))
def test_a_statement_that_commits_by_itself_is_done_when_the_server_is_ready(asked: list[int], told: list[int]) -> None:
    through = _let_through(_cut(ROWS + AFTER, told), _told(asked, b"one"))
    assert through is not None
    assert (ROWS + AFTER).startswith(through) and len(through) < len(ROWS + AFTER)


@given(st.lists(st.integers(0, 500)))
def test_any_other_statement_a_refused_one_and_one_inside_a_transaction_commit_nothing(places: list[int]) -> None:
    assert _let_through(_cut(ROWS + AFTER, places), _told(places, b"two")) is None
    assert _let_through(_cut(REFUSED + AFTER, places), _told(places, b"one")) is None
    assert _let_through(_cut(ROWS + _frame(b"Z", b"T"), places), _told(places, b"one")) is None
