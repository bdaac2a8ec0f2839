"""How far a batch moves what has been heard; and what a dead letter tells."""

from uuid import UUID

import pytest

from services.verification.gateways import EnquiryRefused
from shared.errors import Poison, Refused
from shared.registry import CODES
from shared.runtime.kernel.message import Item, Move, Place, dead_letter, moves

A, B, C = (UUID(int=n) for n in (1, 2, 3))


def _items(*places: Place | None) -> list[Item]:
    return [Item(place=place) for place in places]


def test_what_comes_from_our_own_door_moves_nothing() -> None:
    assert moves(_items(None, None)) == []


def test_a_batch_moves_each_shard_from_before_its_first_position_to_its_last() -> None:
    heard = _items(Place("intake", 3, 10, 5, A), Place("intake", 3, 11, 6, B), Place("intake", 3, 12, 7, C))
    assert moves(heard) == [Move("intake", 3, 13, 4, 7, C)]


def test_repeats_and_unreadable_records_move_the_offset_and_no_position() -> None:
    assert moves(_items(Place("intake", 3, 10), Place("intake", 3, 11))) == [Move("intake", 3, 12, None, None, None)]
    mixed = _items(Place("intake", 3, 10), Place("intake", 3, 11, 6, B), Place("intake", 3, 12))
    assert moves(mixed) == [Move("intake", 3, 13, 5, 6, B)]


def test_shards_are_moved_in_one_order_whatever_the_order_of_the_batch() -> None:
    places = [Place("verification", 1, 0, 1, A), Place("intake", 9, 0, 1, B), Place("intake", 2, 0, 1, C)]
    there, back = moves(_items(*places)), moves(_items(*reversed(places)))
    assert there == back
    assert [(move.source, move.shard) for move in there] == [("intake", 2), ("intake", 9), ("verification", 1)]


def test_a_dead_letter_tells_our_own_errors_and_of_others_only_their_kind() -> None:
    told = dead_letter(Item(), Poison("schema", "code: missing"), "intake")
    assert (told.reason, told.error_type, told.message) == ("schema", "Poison", "code: missing")
    hidden = dead_letter(Item(), ValueError("Nguyễn Văn A"), "intake")
    assert (hidden.reason, hidden.error_type) == ("rule-raised", "ValueError")
    assert "Nguyễn" not in hidden.message
    assert dead_letter(Item(), Refused("DOS-INT-007"), "intake").message.startswith("DOS-INT-007")


@pytest.mark.parametrize(
    ("failure", "service", "code"),
    [
        (Poison("schema", "code: missing"), "payment", "DOS-KAF-008"),
        (Refused("DOS-INT-007"), "notification", "DOS-INT-007"),
        (EnquiryRefused("malformed"), "verification", "DOS-VER-021"),
        (KeyError("name"), "verification", "DOS-VER-500"),
        (KeyError("name"), "intake", "DOS-INT-500"),
    ],
)
def test_every_dead_letter_has_a_code_of_the_registry(failure: Exception, service: str, code: str) -> None:
    assert dead_letter(Item(), failure, service).error_code == code
    assert code in CODES


def test_a_dead_letters_text_fits_its_column_whatever_a_header_held() -> None:
    assert dead_letter(Item(), Poison("envelope", "a\x00b"), "intake").message == "a\ufffdb"
    assert len(dead_letter(Item(), Poison("envelope", "x" * 5000), "intake").message) == 512
