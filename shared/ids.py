"""Ids as the platform reads and derives them, some hundred times a dossier.

asyncpg's UUID is a `uuid.UUID` written in C: it is read in a seventh of the time, and goes to the database as it is.
"""

from hashlib import sha1
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as FastUUID


def read_id(text: str) -> UUID:
    """The UUID that `text` spells: 32 hexadecimal digits, with hyphens (RFC 9562, 4) or without. Raises ValueError."""
    return FastUUID(text)


def derived_id(namespace: UUID, name: str) -> UUID:
    """The UUID of version 5 (RFC 9562, 5.5) of `name` in `namespace`: the same each time."""
    digest = bytearray(sha1(namespace.bytes + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x50, digest[8] & 0x3F | 0x80
    return FastUUID(bytes(digest))
