"""The oracle is not blind: of sound evidence it says nothing, and each way of spoiling it is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.oracle import Charge, Evidence, Kill, Mail, Told, judge

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
LATER = AT + timedelta(seconds=10)
FEE = {"reference": "d1r1", "amount_vnd": 8000}


def _told(writer: str, sequence: int, type_: str, body: dict[str, object]) -> Told:
    id_ = f"{writer}-{sequence}"
    previous = f"{writer}-{sequence - 1}" if sequence > 1 else None
    return Told(writer, 3, sequence, id_, previous, f"vn.gov.dossier.{type_}.v1", "d1", (), orjson.dumps(body))


def _notice(sequence: int, about: str) -> Told:
    return _told("notification", sequence, "notice-sent", {"about": about, "message_id": f"<{about}>"})


def _cancelled(about: str) -> Told:
    return _told("notification", 4, "notice-cancelled", {"about": about, "reason": "settled"})


_NAMES = ("dossier-submitted", "dossier-accepted", "result-returned")
_INTAKE = [_told("intake", n, type_, {}) for n, type_ in enumerate(_NAMES, 1)]
_PAYMENT = [_told("payment", 1, "payment-requested", FEE), _told("payment", 2, "fee-paid", FEE)]
_ABOUT = ["intake-1", "payment-1", "payment-2", "intake-2", "intake-3"]
_EVENTS = [*_INTAKE, *_PAYMENT, *(_notice(n, about) for n, about in enumerate(_ABOUT, 1))]
SOUND = Evidence(
    accepted={"d1": "H02-1"},
    topics=_EVENTS,
    stores=_EVENTS,
    trail=_EVENTS,
    statuses={"d1": 10},
    charges=[Charge("d1r1", 8000)],
    mails=[Mail(f"<{about}>", AT) for about in _ABOUT],
    noticed={f"<{about}>": AT for about in _ABOUT},
    commands={"audit verify": (0, "")},
)


def _everywhere(events: list[Told]) -> Evidence:
    return replace(SOUND, topics=events, stores=events, trail=events)


SPOILT: list[tuple[str, Callable[[], Evidence]]] = [
    ("a gap on the topic before", lambda: _everywhere([one for one in _EVENTS if one.place != ("intake", 3, 2)])),
    ("the chain `previous` is broken", lambda: _everywhere([replace(_EVENTS[0], previous="x"), *_EVENTS[1:]])),
    ("another content under the same sequence",
     lambda: replace(SOUND, topics=[*_EVENTS, replace(_EVENTS[0], data=b'{"a":1}')])),
    ("one id under two sequences",
     lambda: _everywhere([*_EVENTS, replace(_EVENTS[4], sequence=3, previous="payment-2")])),
    ("not in the trail", lambda: replace(SOUND, trail=_EVENTS[1:])),
    ("otherwise in the store", lambda: replace(SOUND, stores=[replace(_EVENTS[0], data=b"{}x"), *_EVENTS[1:]])),
    ("in the store and never on its topic",
     lambda: replace(SOUND, topics=_EVENTS[:-1], trail=_EVENTS[:-1])),
    ("the trail holds 1 events twice", lambda: replace(SOUND, trail=[*_EVENTS, _EVENTS[0]])),
    ("dossier d2 has ended 0 times", lambda: replace(SOUND, accepted={"d1": "H02-1", "d2": "H02-2"})),
    ("its status is 4", lambda: replace(SOUND, statuses={"d1": 4})),
    ("dossier d9 was answered to nobody", lambda: replace(SOUND, statuses={"d1": 10, "d9": 10})),
    ("code H02-1 was given 2 times", lambda: replace(SOUND, accepted={"d1": "H02-1", "d2": "H02-1"})),
    ("1 requests, 2 charges, 1 FeePaid", lambda: replace(SOUND, charges=[Charge("d1r1", 8000), Charge("d1r1", 8000)])),
    ("1 requests, 0 charges, 1 FeePaid", lambda: replace(SOUND, charges=[])),
    ("0 requests, 1 charges, 0 FeePaid", lambda: replace(SOUND, charges=[Charge("d1r1", 8000), Charge("x", 1)])),
    ("payment was requested 2 times",
     lambda: _everywhere([*_EVENTS, _told("payment", 3, "payment-requested", {**FEE, "reference": "d1r2"})])),
    ("no notice about DossierAccepted", lambda: _everywhere([*_EVENTS[:-2], _notice(4, "intake-9"), _EVENTS[-1]])),
    ("cancelled, though it asks for nothing: DossierAccepted",
     lambda: _everywhere([*_EVENTS[:-2], _cancelled("intake-2"), _EVENTS[-1]])),
    ("2 notices about", lambda: _everywhere([*_EVENTS, _notice(6, "intake-2")])),
    ("NoticeSent without a mail", lambda: replace(SOUND, mails=SOUND.mails[1:])),
    ("a mail that no NoticeSent tells of", lambda: replace(SOUND, mails=[*SOUND.mails, Mail("<x>", AT)])),
    ("without a kill between 250 and commit", lambda: replace(SOUND, mails=[*SOUND.mails, Mail("<intake-1>", LATER)])),
    ("`audit verify` ended with 1", lambda: replace(SOUND, commands={"audit verify": (1, "a gap")})),
]  # fmt: skip


def test_of_sound_evidence_the_oracle_says_nothing() -> None:
    verdict = judge(SOUND)
    assert verdict.faults == []
    assert (verdict.events, verdict.repeats, verdict.charges, verdict.notices) == (10, 0, 1, 5)


@pytest.mark.parametrize(("fault", "spoil"), SPOILT, ids=[fault for fault, _ in SPOILT])
def test_the_oracle_names_what_is_wrong(fault: str, spoil: Callable[[], Evidence]) -> None:
    assert any(fault in told for told in judge(spoil()).faults)


def test_an_equal_repeat_on_a_topic_is_counted_and_no_fault() -> None:
    verdict = judge(replace(SOUND, topics=[*_EVENTS, _EVENTS[0], _EVENTS[1]]))
    assert (verdict.faults, verdict.repeats) == ([], 2)


def test_a_second_copy_is_excused_by_a_kill_between_250_and_commit() -> None:
    killed = Kill("notification", "SIGKILL", AT + timedelta(seconds=1))
    twice = replace(SOUND, mails=[*SOUND.mails, Mail("<intake-1>", LATER)], noticed={"<intake-1>": LATER})
    verdict = judge(replace(twice, kills=[killed]))
    assert (verdict.faults, verdict.second_copies) == ([], 1)
    assert judge(replace(twice, kills=[replace(killed, what="intake")])).faults
    assert judge(replace(twice, kills=[killed], noticed={"<intake-1>": AT})).faults


def test_a_copy_that_the_server_kept_while_its_sender_was_dead_is_excused_and_one_after_that_is_not() -> None:
    dead = Kill("notification", "SIGKILL", AT - timedelta(seconds=1), back=AT + timedelta(seconds=1))
    twice = replace(SOUND, mails=[*SOUND.mails, Mail("<intake-1>", LATER)], noticed={"<intake-1>": LATER})
    assert judge(replace(twice, kills=[dead])).faults == []
    assert judge(replace(twice, kills=[replace(dead, back=AT - timedelta(seconds=0.5))])).faults


def test_a_request_that_is_settled_before_its_notice_is_sent_may_be_cancelled() -> None:
    """Its notice is the second; its mail is out only if a kill fell between 250 and the commit."""
    others = [one for one in _EVENTS if one.place != ("notification", 3, 2)]
    renumbered = [replace(one, sequence=n, id=f"notification-{n}", previous=f"notification-{n - 1}" if n > 1 else None)
                  for n, one in enumerate([one for one in others if one.writer == "notification"], 1)]  # fmt: skip
    events = [
        *_INTAKE,
        *_PAYMENT,
        *renumbered,
        replace(_cancelled("payment-1"), sequence=5, id="notification-5", previous="notification-4"),
    ]
    unsent = replace(_everywhere(events), mails=[mail for mail in SOUND.mails if mail.message_id != "<payment-1>"])
    assert judge(unsent).faults == []
    assert judge(_everywhere(events)).faults == ["a mail that no NoticeSent tells of: <payment-1>"]
