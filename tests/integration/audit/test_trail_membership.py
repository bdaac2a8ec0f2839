"""Audit hears every topic, whatever its past self in the group, of the same name, was given."""

import pytest

from shared.services import SERVICES
from shared.topics import heard_by, topic_of
from tests.integration.audit.stage import INSTANCE, Stage, event
from tests.integration.runtime.membership import led_the_group

pytestmark = pytest.mark.integration

TOPICS = [topic.name for topic in heard_by("audit")]


@pytest.mark.parametrize(
    ("before", "gives"), [(TOPICS, False), (TOPICS[:1], True)], ids=["assigned nothing", "heard one topic only"]
)
async def test_audit_hears_all_topics_whatever_its_past_self_was_given(
    stage: Stage, before: list[str], gives: bool
) -> None:
    await led_the_group(stage.bootstrap, "audit", INSTANCE, before, gives)
    async with stage.listening():
        for writer in SERVICES:
            await stage.publish(event(1, writer=writer), topic=topic_of(writer))
        await stage.until_stored(len(TOPICS))
    rows = await stage.pool.fetch("SELECT DISTINCT topic FROM records")
    assert {row["topic"] for row in rows} == set(TOPICS)
