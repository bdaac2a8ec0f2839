"""Ids are those of the standard library, whoever makes them."""

import pickle
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import derived_id, read_id


@given(st.uuids(), st.text())
def test_a_derived_id_is_the_one_of_version_5(namespace: UUID, name: str) -> None:
    ours, theirs = derived_id(namespace, name), uuid5(namespace, name)
    assert (ours, str(ours), ours.version, hash(ours)) == (theirs, str(theirs), 5, hash(theirs))
    assert derived_id(ours, name) == uuid5(theirs, name)


@given(st.uuids())
def test_an_id_is_read_as_it_is_written(id_: UUID) -> None:
    read = read_id(str(id_))
    assert (read, {id_: 1}[read], {read: 1}[id_], str(read), read.bytes) == (id_, 1, 1, str(id_), id_.bytes)
    assert pickle.loads(pickle.dumps(read)) == id_  # noqa: S301 - our own


@pytest.mark.parametrize("wrong", ["", "0" * 31, "0" * 33, "g" * 32, "0" * 31 + "é", "urn:uuid:" + "0" * 32])
def test_what_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_id(wrong)
