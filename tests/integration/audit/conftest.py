"""Databases of the audit tests' own on the one ground; each test finds empty tables and begins at the topics' ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.kafka.topics import delete_topics, ensure_topics
from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.topics import TOPICS, topic_of
from tests.integration.audit.stage import Stage


@pytest.fixture(scope="session")
def audit_databases(ground: Ground) -> Databases:
    """A set of databases of our own, named otherwise than the default."""
    return asyncio.run(ground.fresh_databases("_audit"))


@pytest_asyncio.fixture
async def stage(ground: Ground, audit_databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    """Empty tables, topics without a past, and hands on both."""
    async with Stage(ground.bootstrap_servers, audit_databases, tmp_path) as stage:
        await stage.empty()
        yield stage


@pytest_asyncio.fixture
async def own_topic_empty(ground: Ground) -> None:
    """Audit's own topic, made anew: an audit process refuses a store that is behind its topic."""
    own = [TOPICS[topic_of("audit")]]
    await delete_topics(ground.bootstrap_servers, own)
    await ensure_topics(ground.bootstrap_servers)
