"""Every service, written down once. Topics, permissions, databases, roles, secrets, error codes and processes are made
of this table; what people read as files (compose, Prometheus, the guides) is checked against it by the tests. Pure.

A new service is a row here, the words that it says (`shared/events/<name>.py`), and its rooms (`services/<name>`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from shared.wording import Text


class Keys(Enum):
    """What a service has to do with the data keys of sealed personal data."""

    NONE = "none"
    READS = "reads"
    MAKES = "makes"
    """One service only: it is the one writer of the topic of keys."""


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """One service. `name` is that of its topic, database, role, principal and consumer group; `area` stands in the code
    of its bugs, `DOS-<area>-500`, and `title` in their texts. `hears` names the writers of the topics that it hears.

    `secrets` are files of its own beside those that its other columns ask for. `door` is the port at which people or
    machines come in, as compose publishes it (with two processes: it and the next); None lets nobody in.
    """

    name: str
    area: str
    title: Text
    hears: tuple[str, ...] = ()
    keys: Keys = Keys.NONE
    door: int | None = None
    secrets: tuple[str, ...] = ()
    keeps_trail: bool = False
    """Whether it hears every event topic, its own too, and keeps each record as it came."""


SERVICES: Mapping[str, ServiceRow] = MappingProxyType(
    {
        row.name: row
        for row in (
            ServiceRow(
                "intake", "INT", Text("bộ phận một cửa", "the one-stop desk"),
                hears=("verification", "payment", "notification"),
                keys=Keys.MAKES, door=8001, secrets=("clients.json", "find_hmac_key"),
            ),
            ServiceRow(
                "verification", "VER", Text("xác minh", "verification"),
                hears=("intake",),
                keys=Keys.READS, secrets=("register_credentials",),
            ),
            ServiceRow(
                "payment", "PAY", Text("lệ phí", "payment"),
                hears=("intake", "verification"),
                keys=Keys.READS, door=8003, secrets=("vnpay_secret",),
            ),
            ServiceRow(
                "notification", "NOT", Text("thông báo", "notification"),
                hears=("intake", "verification", "payment"),
                keys=Keys.READS, secrets=("smtp_password",),
            ),
            ServiceRow("audit", "AUD", Text("kiểm toán", "audit"), keeps_trail=True),
        )
    }
)  # fmt: skip

DOORS = tuple(name for name, row in SERVICES.items() if row.door)
"""The services that let people or machines in."""


def hearers(writer: str) -> tuple[str, ...]:
    """The services that hear what `writer` says, in the order of the table."""
    return tuple(name for name, row in SERVICES.items() if row.keeps_trail or writer in row.hears)


def holders(*keys: Keys) -> tuple[str, ...]:
    """The services that have this to do with data keys, in the order of the table."""
    return tuple(name for name, row in SERVICES.items() if row.keys in keys)
