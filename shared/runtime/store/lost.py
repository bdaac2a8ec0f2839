"""What tells that the database is away, or that what it did is unknown."""

import asyncpg

LOST_CONNECTION = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a server's last word to an idle connection that is used before its socket closes
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InvalidCatalogNameError,
)
"""The database did not take the batch, or we cannot know whether it did: the whole batch is handled again."""
