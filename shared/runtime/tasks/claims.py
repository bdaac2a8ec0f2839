"""Claims on tasks, in the database: whoever holds one may say what came of its task, until the lease is over."""

from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import asyncpg

from shared.runtime.kernel.message import Claim


async def take_back(pool: "asyncpg.Pool[asyncpg.Record]", instance: str) -> None:
    """Free what an earlier process of this name had claimed."""
    await pool.execute(
        "UPDATE tasks SET claim = NULL, claimed_by = NULL, run_at = now() WHERE claimed_by = $1", instance
    )


async def claim(
    pool: "asyncpg.Pool[asyncpg.Record]", kinds: Sequence[tuple[str, int, int]], lease_s: float,
    instance: str | None, shape: int,
) -> Sequence[asyncpg.Record]:  # fmt: skip
    """Claim what is due, the longest due first. `kinds`: each with the number of its group, and the group's room.

    Nothing while there are states of another shape than ours: what came of a task could not be committed there, and
    would be done once more by who can.
    """
    # = ANY (ARRAY(…)) and not IN (…): a join could walk all tasks, and is planned so while there are none.
    return await pool.fetch(
        """UPDATE tasks SET claim = $1, claimed_by = $3, attempts = attempts + 1,
                            run_at = now() + make_interval(secs => $2)
           WHERE id = ANY (ARRAY(
               SELECT due.id
               FROM (SELECT n, room, array_agg(kind) AS kinds
                     FROM unnest($4::text[], $5::int[], $6::int[]) AS k(kind, n, room) GROUP BY n, room) g
               CROSS JOIN LATERAL (SELECT id FROM tasks WHERE run_at <= now() AND kind = ANY(g.kinds)
                                     AND NOT EXISTS (SELECT FROM shards WHERE shape <> $7)
                                   ORDER BY run_at LIMIT g.room FOR UPDATE SKIP LOCKED) due))
           RETURNING id, kind, dossier_id, subject, payload, attempts, claim, enqueued_at""",
        uuid4(),
        lease_s,
        instance,
        [kind for kind, _, _ in kinds],
        [n for _, n, _ in kinds],
        [room for _, _, room in kinds],
        shape,
    )


async def lengthen(pool: "asyncpg.Pool[asyncpg.Record]", held: Claim, seconds: float) -> bool:
    """Whether the claim still stands, and is now so long."""
    told = await pool.execute(
        "UPDATE tasks SET run_at = now() + make_interval(secs => $3) WHERE id = $1 AND claim = $2",
        held.task_id, held.token, seconds,
    )  # fmt: skip
    return str(told) == "UPDATE 1"


async def release(pool: "asyncpg.Pool[asyncpg.Record]", held: Claim, error: str, wait_s: float) -> None:
    """Let a task be claimed again after so long; why, its row keeps."""
    await pool.execute(
        """UPDATE tasks SET claim = NULL, claimed_by = NULL, last_error = $3,
                            run_at = now() + make_interval(secs => $4) WHERE id = $1 AND claim = $2""",
        held.task_id, held.token, error[:200], wait_s,
    )  # fmt: skip


async def free(pool: "asyncpg.Pool[asyncpg.Record]", held: Mapping[UUID, UUID]) -> None:
    """Let tasks (task → claim) be claimed again at once, where the claim still stands."""
    await pool.execute(
        """UPDATE tasks SET claim = NULL, claimed_by = NULL, run_at = now()
           WHERE id = ANY ($1) AND ((id, claim) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))) IS TRUE""",
        list(held), list(held.values()),
    )  # fmt: skip
