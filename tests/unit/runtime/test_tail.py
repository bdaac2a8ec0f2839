"""A log only grows: what is acknowledged lower than something was before tells of a lost tail."""

from aiokafka.structs import RecordMetadata, TopicPartition

from shared.runtime.publishing.tail import Tail

ONE, OTHER = TopicPartition("events", 0), TopicPartition("events", 1)


def word(tp: TopicPartition, *offsets: int) -> list[RecordMetadata]:
    """Kafka's word for records of one partition, in the order in which they were sent."""
    return [RecordMetadata(tp.topic, tp.partition, tp, offset, -1, -1, 0) for offset in offsets]


def tail(**ends: int) -> Tail:
    """Partitions that were last seen to end there."""
    return Tail({ONE: ends.get("one", 0), OTHER: ends.get("other", 0)})


def test_a_log_that_grows_has_lost_nothing() -> None:
    watched = tail(one=5)
    assert watched.acknowledged([*word(ONE, 5, 6), *word(OTHER, 0)]) == {}
    assert watched.acknowledged([*word(ONE, 7), *word(OTHER, 1, 2)]) == {}
    assert watched.ends == {ONE: 8, OTHER: 3}


def test_records_of_somebody_else_between_ours_are_no_loss() -> None:
    assert tail(one=5).acknowledged(word(ONE, 9, 12)) == {}


def test_a_batch_that_lies_where_others_lay_tells_where_it_begins() -> None:
    watched = tail(one=5, other=2)
    assert watched.acknowledged([*word(ONE, 3, 4, 5), *word(OTHER, 2)]) == {ONE: 3}


def test_a_loss_is_told_once() -> None:
    watched = tail(one=5)
    assert watched.acknowledged(word(ONE, 3)) == {ONE: 3}
    assert watched.acknowledged(word(ONE, 4)) == {}


def test_a_repetition_whose_place_the_broker_no_longer_knows_says_nothing() -> None:
    watched = tail(one=5)
    assert watched.acknowledged(word(ONE, -1)) == {}
    assert watched.ends[ONE] == 5
