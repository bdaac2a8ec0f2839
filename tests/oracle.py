"""The oracle: was anything lost, doubled, reordered or told to nobody? Judges evidence that was gathered from outside.

It knows nothing of how the services work: it reads topics, databases, the bank's and the mail server's own books, and
says every fault that it finds. `tests/evidence.py` gathers; this file only judges, and so can be tested itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from shared.events.catalogue import READINGS
from shared.lifecycle import FINAL, LIFECYCLE

OWES = frozenset(
    ("DossierSubmitted", "SupplementRequested", "SupplementReminderDue", "SupplementLapsed", "SupplementReceived",
     "PaymentRequested", "PaymentFailed", "FeePaid", "DuplicatePaymentFound", "FeeWaived", "DossierAccepted",
     "DossierRefused", "ProcessingStarted", "ResultIssued", "ResultReturned")
)  # fmt: skip
"""Events that owe the applicant a notice."""
ASKS = frozenset(
    ("SupplementRequested", "SupplementReminderDue", "PaymentRequested", "PaymentFailed", "FeeWaived", "FeeAssessed")
)
"""Those whose notice asks for something, or says what need not be paid: cancelled where that is settled, replaced or
refused before it is sent.
"""
OFTEN = "PaymentFailed"
"""Attempts within an hour make one notice, so that only the first of a dossier must have one."""

ENDINGS = {event.__name__: int(after) for (_, event), after in LIFECYCLE.items() if after in FINAL}
MANY = 20
"""Faults of one kind that are told one by one."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it stands on a topic, in its writer's store, or in the trail: the same value in all three."""

    writer: str
    shard: int
    sequence: int
    id: str
    previous: str | None
    type: str
    dossier_id: str
    headers: tuple[tuple[str, str], ...]
    data: bytes

    @property
    def place(self) -> tuple[str, int, int]:
        return self.writer, self.shard, self.sequence

    @property
    def name(self) -> str:
        """The class name, such as `FeePaid`; the type itself if the catalogue does not know it."""
        reading = READINGS.get(self.type)
        return reading.newest.__name__ if reading else self.type

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(self.data)
        return found

    def __str__(self) -> str:
        return f"{self.name} {self.writer}:{self.shard} #{self.sequence} of {self.dossier_id}"


@dataclass(frozen=True, slots=True)
class Kill:
    """What was killed, when it died and was begun anew, and how many messages were on their way then. Times in UTC."""

    what: str
    how: str
    at: datetime
    in_flight: int = 0
    back: datetime | None = None

    def excuses(self, first: datetime, second: datetime, committed: datetime | None) -> bool:
        """Whether it fell between a mail server's 250 and the commit. What a server keeps while the sender is dead, the
        sender had sent before.
        """
        return first <= (self.back or self.at) and self.at <= min(second, committed or second)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail that the server kept; `at` is when (UTC)."""

    message_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt at the bank that took money, in đồng."""

    reference: str
    amount_vnd: int


@dataclass(frozen=True)
class Evidence:
    """Everything that the oracle looks at, gathered when the platform was quiet.

    `accepted`: dossier id → code of every application answered 2xx. `topics`: every record in the order of its
    partition, repeats included. `statuses`: dossier id → status in intake's store. `noticed`: Message-ID → when its
    NoticeSent was committed (UTC). `commands`: an operator's command → its exit code and what it printed.
    """

    accepted: Mapping[str, str]
    topics: Sequence[Told]
    stores: Sequence[Told]
    trail: Sequence[Told]
    statuses: Mapping[str, int | None]
    charges: Sequence[Charge]
    mails: Sequence[Mail]
    noticed: Mapping[str, datetime]
    kills: Sequence[Kill] = ()
    commands: Mapping[str, tuple[int, str]] = field(default_factory=dict)


@dataclass
class Verdict:
    """Faults in sentences, none if all is well; and what was counted."""

    faults: list[str] = field(default_factory=list)
    events: int = 0
    repeats: int = 0
    second_copies: int = 0
    charges: int = 0
    notices: int = 0
    dossiers: int = 0

    def __str__(self) -> str:
        counts = (
            f"{self.dossiers} dossiers, {self.events} events, {self.repeats} repeats on topics, "
            f"{self.charges} charges, {self.notices} notices, {self.second_copies} second copies of a mail"
        )
        return "\n".join([counts, *self.faults])


def judge(evidence: Evidence) -> Verdict:
    """Every fault in the evidence, and the counts."""
    verdict = Verdict(dossiers=len(evidence.accepted))
    once = _once(evidence.topics, verdict)
    for check in (_endings, _payments, _notices):
        verdict.faults += _some(check(evidence, once))
    verdict.faults += _some(_copies(evidence, verdict))
    verdict.faults += _some(_same("the store", once, evidence.stores))
    verdict.faults += _some(_same("the trail", once, evidence.trail))
    for command, (code, printed) in evidence.commands.items():
        if code != 0:
            verdict.faults.append(f"`{command}` ended with {code}:\n{printed[-2000:]}")
    verdict.events, verdict.charges = len(once), len(evidence.charges)
    return verdict


def _some(faults: Iterable[str]) -> list[str]:
    found = list(faults)
    return found if len(found) <= MANY else [*found[:MANY], f"... and {len(found) - MANY} more like this"]


def _once(topics: Sequence[Told], verdict: Verdict) -> list[Told]:
    """Every event of the topics once, as a subscriber takes them in; what is wrong with their order is a fault."""
    last: dict[tuple[str, int], Told] = {}
    first: dict[tuple[str, int, int], Told] = {}
    ids: dict[str, Told] = {}
    faults = []
    for told in topics:
        before = last.get((told.writer, told.shard))
        if told.place in first:
            verdict.repeats += 1
            faults += [] if told == first[told.place] else [f"another content under the same sequence: {told}"]
            continue
        faults += _order(told, before)
        if told.id in ids:
            faults.append(f"one id under two sequences: {ids[told.id]} and {told}")
        first[told.place], ids[told.id], last[told.writer, told.shard] = told, told, told
    verdict.faults += _some(faults)
    return list(first.values())


def _order(told: Told, before: Told | None) -> Iterator[str]:
    if told.sequence != (before.sequence if before else 0) + 1:
        yield f"a gap on the topic before {told}"
    elif told.previous != (before.id if before else None):
        yield f"the chain `previous` is broken at {told}"


def _same(where: str, once: Sequence[Told], others: Sequence[Told]) -> Iterator[str]:
    """Whether `others` are the events of the topics, each once and byte for byte."""
    kept = {told.place: told for told in others}
    if len(kept) != len(others):
        yield f"{where} holds {len(others) - len(kept)} events twice"
    for told in once:
        found = kept.pop(told.place, None)
        if found is None:
            yield f"not in {where}: {told}"
        elif found != told:
            yield f"otherwise in {where}: {told}"
    for told in kept.values():
        yield f"in {where} and never on its topic: {told}"


def _endings(evidence: Evidence, once: Sequence[Told]) -> Iterator[str]:
    """Every application answered 2xx is in exactly one final status, and there is no dossier that nobody filed."""
    ended: dict[str, list[str]] = defaultdict(list)
    for told in once:
        if told.name in ENDINGS:
            ended[told.dossier_id].append(told.name)
    for dossier in evidence.accepted:
        endings = ended.get(dossier, [])
        if len(endings) != 1:
            yield f"dossier {dossier} has ended {len(endings)} times: {endings}"
        elif evidence.statuses.get(dossier) != ENDINGS[endings[0]]:
            yield f"dossier {dossier}: {endings[0]}, and its status is {evidence.statuses.get(dossier)}"
    for dossier in evidence.statuses.keys() - evidence.accepted.keys():
        yield f"dossier {dossier} was answered to nobody"
    codes = Counter(evidence.accepted.values())
    yield from (f"code {code} was given {count} times" for code, count in codes.items() if count > 1)


def _payments(evidence: Evidence, once: Sequence[Told]) -> Iterator[str]:
    """One PaymentRequested per fee, one charge per request, one FeePaid per charge, of one amount."""
    asked = [told for told in once if told.name == "PaymentRequested"]
    paid = Counter((told.body["reference"], told.body["amount_vnd"]) for told in once if told.name == "FeePaid")
    for dossier, count in Counter(told.dossier_id for told in asked).items():
        if count > 1:
            yield f"dossier {dossier}: payment was requested {count} times"
    requested = Counter((told.body["reference"], told.body["amount_vnd"]) for told in asked)
    charged = Counter((charge.reference, charge.amount_vnd) for charge in evidence.charges)
    for request in requested.keys() | charged.keys() | paid.keys():
        counts = requested[request], charged[request], paid[request]
        if counts != (1, 1, 1):
            yield f"{request[0]}, {request[1]} đồng: {counts[0]} requests, {counts[1]} charges, {counts[2]} FeePaid"


def _notices(evidence: Evidence, once: Sequence[Told]) -> Iterator[str]:
    """One NoticeSent for every event that owes a notice, each with its mail; of what asks for something, it may be one
    NoticeCancelled instead, without a mail.
    """
    owed = {told.id: told for told in once if _owes(told)}
    first = {told.dossier_id: told.id for told in reversed(once) if told.name == OFTEN}
    must = {about for about, told in owed.items() if told.name != OFTEN or first[told.dossier_id] == about}
    sent = [told.body for told in once if told.name == "NoticeSent"]
    cancelled = [str(told.body["about"]) for told in once if told.name == "NoticeCancelled"]
    ended = Counter([*(str(body["about"]) for body in sent), *cancelled])
    for about, count in ended.items():
        if about not in owed or count > 1:
            yield f"{count} notices about {owed.get(about, about)}"
    for about in cancelled:
        if about in owed and owed[about].name not in ASKS:
            yield f"cancelled, though it asks for nothing: {owed[about]}"
    for missing in must - ended.keys():
        yield f"no notice about {owed[missing]}"
    kept, told_of = {mail.message_id for mail in evidence.mails}, {str(body["message_id"]) for body in sent}
    yield from (f"NoticeSent without a mail: {message_id}" for message_id in told_of - kept)
    # A kill between 250 and commit: when its task runs again, what it asks for may be settled.
    died = any(kill.what in ("notification", "postgres") for kill in evidence.kills)
    excused = {message_id for message_id in kept if died and message_id[1:].partition("@")[0] in cancelled}
    yield from (f"a mail that no NoticeSent tells of: {message_id}" for message_id in kept - told_of - excused)


def _owes(told: Told) -> bool:
    """Where no fee is due, who claimed to pay less is told so."""
    return told.name in OWES or (told.name == "FeeAssessed" and told.body.get("claim_unmet") == "no-fee")


def _copies(evidence: Evidence, verdict: Verdict) -> Iterator[str]:
    """A second copy of a mail may only come of a kill that fell between the server's 250 and the commit."""
    copies: dict[str, list[datetime]] = defaultdict(list)
    for mail in evidence.mails:
        copies[mail.message_id].append(mail.at)
    verdict.notices, verdict.second_copies = len(copies), len(evidence.mails) - len(copies)
    for message_id, times in copies.items():
        committed = evidence.noticed.get(message_id)
        for first, second in zip(sorted(times), sorted(times)[1:], strict=False):
            kills = [kill for kill in evidence.kills if kill.what in ("notification", "postgres")]
            if not any(kill.excuses(first, second, committed) for kill in kills):
                yield f"a second copy of {message_id} without a kill between 250 and commit: {first}, {second}"
