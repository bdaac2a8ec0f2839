"""Given a discrepancy that was found, audit says it."""

from datetime import UTC, datetime
from uuid import UUID

from services.audit.rules import HEARS, Discrepancy
from services.audit.state import EVOLVES, State
from services.audit.tasks import kinds
from shared.events.audit import DiscrepancyFound
from shared.events.base import Event
from shared.runtime.kernel.decider import Decider, Message
from shared.runtime.tasks.kinds import Attempt

AUDIT = Decider("audit", State(), HEARS, EVOLVES)
AT = datetime(2026, 3, 2, tzinfo=UTC)


def _alarm() -> Message[Discrepancy]:
    body = Discrepancy(
        kind="gap", topic="gov.dossier.intake.v1", partition=3, offset=9, sequence=5, expected=4,
        record_sha256="0" * 64,
    )  # fmt: skip
    return Message(UUID(int=1), UUID(int=2), AT, body)


def test_a_discrepancy_is_said_with_all_that_was_found_and_nothing_else_is_done() -> None:
    decision = AUDIT.decide(State(), _alarm())
    assert [type(event) for event in decision.events] == [DiscrepancyFound]
    (said,) = decision.events
    assert isinstance(said, DiscrepancyFound)
    assert said.model_dump() == _alarm().body.model_dump()
    assert decision.tasks == ()


def test_hearing_ones_own_discrepancy_says_nothing_more() -> None:
    (said,) = AUDIT.decide(State(), _alarm()).events
    assert isinstance(said, Event)
    heard = Message(UUID(int=3), UUID(int=2), AT, said)
    assert AUDIT.decide(State(), heard).events == ()
    once = AUDIT.evolve(State(), heard)
    assert AUDIT.evolve(once, heard) == once
    assert once.audit.kinds == ("gap",)


async def test_the_alarm_rings_with_its_own_payload() -> None:
    (kind,) = kinds().values()
    found = _alarm().body
    assert (
        await kind.run(Attempt(UUID(int=1), UUID(int=2), kind.payload.model_validate(found.model_dump()), 1, AT))
        == found
    )
