"""How fast somebody may ask: a token bucket per client, shared by all replicas, and one per address of strangers.

A client's bucket is a row of the service's database; a process takes a tenth of a second's worth at once, so that even
the fastest client costs ten statements a second. Who is nobody's client costs the database nothing: these are counted
in the process.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg
from starlette.requests import Request

from shared.errors import Refused, Unavailable
from shared.runtime.aio.deadline import DOOR_S, with_deadline
from shared.runtime.http.crowd import Network, address_of, within
from shared.runtime.store.lost import LOST_CONNECTION

BURST_S = 2.0
"""After a rest a client may ask at once for so many seconds' worth."""
LEASE_S = 0.1
STRANGERS = 10_000
"""Addresses that are remembered; beyond, the one that was heard of last is forgotten."""
_TAKE = """INSERT INTO rates AS r (client, tokens, granted, at)
    VALUES ($1, $3::float8 - least($4::int, floor($3::float8)), least($4::int, floor($3::float8)), clock_timestamp())
    ON CONFLICT (client) DO UPDATE SET (tokens, granted, at) = (
        SELECT full_ - given, given, clock_timestamp()
        FROM (SELECT least($3, r.tokens + $2 * greatest(0, extract(epoch FROM clock_timestamp() - r.at))) AS full_) f,
            LATERAL (SELECT least($4::int, floor(full_))::int AS given) g
    ) RETURNING granted, tokens"""


def too_fast(seconds: float) -> Refused:
    """The refusal of somebody who may ask again after so long, told in whole seconds, at least 1."""
    return Refused("DOS-INT-429", facts={"retry_after_s": max(1, math.ceil(seconds))})


@dataclass
class _Lease:
    """What this process may still grant, and until when; or when it is worth asking again."""

    tokens: int = 0
    until: float = 0.0
    empty_until: float = 0.0
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Rates:
    """The buckets of the clients of one service."""

    pool: "asyncpg.Pool[asyncpg.Record]"
    clock: Callable[[], float] = time.monotonic
    _leases: dict[str, _Lease] = field(default_factory=dict)

    async def take(self, client: str, rate: float) -> None:
        """Count one request of a client that may ask `rate` times a second. Raises Refused DOS-INT-429 if that is too
        many, Unavailable if the database does not answer.
        """
        lease = self._leases.setdefault(client, _Lease())
        if not self._has(lease):
            async with lease.taking:
                if not self._has(lease):
                    await self._fill(lease, client, rate)
        lease.tokens -= 1

    def _has(self, lease: _Lease) -> bool:
        """Whether there is something left. Raises Refused while there is known to be nothing."""
        now = self.clock()
        if now < lease.empty_until:
            raise too_fast(lease.empty_until - now)
        return lease.tokens > 0 and now < lease.until

    async def _fill(self, lease: _Lease, client: str, rate: float) -> None:
        wanted = max(1, round(rate * LEASE_S))
        try:
            granted, left = await with_deadline(self._row(client, rate, wanted), DOOR_S)
        except (TimeoutError, *LOST_CONNECTION) as lost:
            raise Unavailable(f"database: {type(lost).__name__}") from lost
        if not granted:
            lease.empty_until = self.clock() + (1 - left) / rate
            raise too_fast((1 - left) / rate)
        lease.tokens, lease.until = granted, self.clock() + max(1.0, wanted / rate)

    async def _row(self, client: str, rate: float, wanted: int) -> tuple[int, float]:
        row = await self.pool.fetchrow(_TAKE, client, rate, max(1.0, rate * BURST_S), wanted)
        assert row is not None  # it returns what it wrote
        return row["granted"], row["tokens"]


@dataclass
class Strangers:
    """The buckets of addresses that send requests which no client's token or signature vouches for: `rate` a second,
    ten seconds' worth at once. Behind `trusted` proxies the address is the last one of `X-Forwarded-For` that is none
    of theirs.
    """

    rate: float
    trusted: tuple[Network, ...] = ()
    clock: Callable[[], float] = time.monotonic
    _buckets: "OrderedDict[str, tuple[float, float]]" = field(default_factory=OrderedDict)

    def count(self, peer: object, forwarded: str) -> None:
        """Count one. Raises Refused DOS-INT-429 if that is too many."""
        address, now, full = self._whose(peer, forwarded), self.clock(), self.rate * 10
        tokens, at = self._buckets.pop(address, (full, now))
        tokens = min(full, tokens + (now - at) * self.rate)
        self._buckets[address] = (max(0.0, tokens - 1), now) if tokens >= 1 else (tokens, now)
        if len(self._buckets) > STRANGERS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            raise too_fast((1 - tokens) / self.rate)

    def _whose(self, peer: object, forwarded: str) -> str:
        address = address_of(peer, self.trusted)
        for named in reversed(forwarded.split(",")):
            if not within(address, self.trusted) or not named.strip():
                break
            address = address_of(named.strip(), self.trusted)
        return address


def vouch(request: Request) -> None:
    """Whose request this is, we know: it is not counted as a stranger's."""
    request.state.vouched = True


def is_vouched_for(request: Request) -> bool:
    """Whether somebody has said so by now."""
    return getattr(request.state, "vouched", False)
