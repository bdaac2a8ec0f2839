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
