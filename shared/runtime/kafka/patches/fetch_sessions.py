"""Fetch sessions: a client tells a broker what has changed since its last fetch, and is told what has changed.

Without them every fetch names all partitions, and every answer too. A service of ours reads up to sixty of them, most
of which have nothing new: three quarters of what a fetch costs, on both sides. aiokafka 0.14 knows the messages of
version 7 and later, and always asks without a session.

A session belongs to one node and is given up at anything that is not an answer to its last request; the next fetch then
begins a new one, as does one that the broker has forgotten. Brokers forget what was not used for two minutes.

Upstream: KIP-227 (Incremental Fetch Requests), in Kafka and its own client since 1.1 (KAFKA-6254). aiokafka has no
issue for it; kafka-python, of which it comes, works at it in its pull request 2508.
Looked at: aiokafka 0.14.0, which is also its main branch of 2026-04-29.
Goes when: aiokafka keeps the session that a broker grants. The names of aiokafka that this rests on are private: its
version is pinned, and an integration test reads through it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import structlog
from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest, FetchRequestStruct

log = structlog.get_logger(__name__)

_FIRST_VERSION = 7
_LAST_EPOCH = 2**31 - 1

Partition = tuple[str, int]


def fetch_in_sessions() -> None:
    """From now on every consumer of this process, Faust's too, fetches in sessions."""
    consumer.Fetcher = _Fetcher


class _Fetcher(Fetcher):  # type: ignore[misc]
    def __init__(self, client: Any, *args: Any, **settings: Any) -> None:
        super().__init__(_InSessions(client), *args, **settings)


class _InSessions:
    """aiokafka's client, except that a fetch tells only what has changed."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sessions: dict[int, _Session] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: int, request: Any, **how: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await self._client.send(node, request, **how)
        session = self._sessions.pop(node, None) or _Session()
        response = await self._client.send(node, session.next(request), **how)
        if session.goes_on(response):
            self._sessions[node] = session
        return response


class _Session:
    """What the broker knows of what we read: the offset from which each partition was asked for last."""

    def __init__(self) -> None:
        self.id = self.epoch = 0
        self.offsets: dict[Partition, int] = {}

    def next(self, request: FetchRequest) -> "_Changes":
        """The part of `request` that the broker does not know."""
        before = self.offsets
        self.offsets = {(topic, one[0]): one[1] for topic, some in request.topics for one in some}
        changed = [(topic, [one for one in some if before.get((topic, one[0])) != one[1]])
                   for topic, some in request.topics]  # fmt: skip
        return _Changes(request, self, [one for one in changed if one[1]], before.keys() - self.offsets.keys())

    def goes_on(self, response: Any) -> bool:
        """Whether the broker keeps the session, and expects the next request in it."""
        if response.API_VERSION < _FIRST_VERSION:
            return False
        if response.error_code:
            log.info("fetch-session-lost", error_code=response.error_code)
        if response.error_code or not response.session_id:
            return False
        self.id, self.epoch = response.session_id, self.epoch % _LAST_EPOCH + 1
        return True


class _Changes(FetchRequest):  # type: ignore[misc]
    """A fetch in a session. A broker that knows none, or grants none, is asked for everything each time."""

    def __init__(
        self, whole: FetchRequest, session: _Session, changed: list[tuple[str, Any]], forgotten: Iterable[Partition]
    ) -> None:
        self.__dict__.update(whole.__dict__, _topics=changed)
        self._session = session.id, session.epoch
        self._forgotten: dict[str, list[int]] = defaultdict(list)
        for topic, partition in forgotten:
            self._forgotten[topic].append(partition)

    def build(self, request_struct_class: type[FetchRequestStruct]) -> FetchRequestStruct:
        built = super().build(request_struct_class)
        if built.API_VERSION >= _FIRST_VERSION:
            built.session_id, built.session_epoch = self._session
            built.forgotten_topics_data = list(self._forgotten.items())
        return built
