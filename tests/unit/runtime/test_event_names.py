"""The name of an event and its type are told of each other by their spelling alone, not by a class that may move."""

import pytest

from shared.events.catalogue import BY_TYPE
from shared.events.names import first_type, name_of


@pytest.mark.parametrize(("kind", "event"), BY_TYPE.items())
def test_every_types_name_is_that_of_its_class(kind: str, event: type) -> None:
    assert name_of(kind) == event.__name__
    assert first_type(event.__name__).rpartition(".")[0] == kind.rpartition(".")[0]


def test_a_later_version_has_the_same_name() -> None:
    assert name_of("vn.gov.dossier.fee-paid.v2") == name_of("vn.gov.dossier.fee-paid.v10") == "FeePaid"
    assert first_type("FeePaid") == "vn.gov.dossier.fee-paid.v1"


@pytest.mark.parametrize("other", ["", "FeePaid", "vn.gov.dossier.fee-paid", "org.example.fee-paid.v1", "v1"])
def test_what_is_no_type_of_ours_is_its_own_name(other: str) -> None:
    assert name_of(other) == other
