"""What the databases, roles and password files of the services are called."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

AUDITOR = "auditor"

_PLACEHOLDER = re.compile(r"(?<![:\w]):(service|owner|auditor|database)\b")


@dataclass(frozen=True, slots=True)
class Names:
    """The names that belong to one service. `suffix` gives tests a set of databases of their own, roles are shared."""

    name: str
    suffix: str = ""

    @property
    def database(self) -> str:
        return f"dossier_{self.name}{self.suffix}"

    @property
    def service(self) -> str:
        return f"dossier_{self.name}"

    @property
    def owner(self) -> str:
        return f"dossier_{self.name}_owner"

    def fill(self, sql: str) -> str:
        """`sql` with `:service`, `:owner`, `:auditor` and `:database` replaced by quoted identifiers."""
        identifiers: Mapping[str, str] = {
            "service": self.service,
            "owner": self.owner,
            "auditor": AUDITOR,
            "database": self.database,
        }
        return _PLACEHOLDER.sub(lambda found: quoted(identifiers[found[1]]), sql)


def quoted(identifier: str) -> str:
    """`identifier` as SQL writes it, whatever it holds."""
    return '"' + identifier.replace('"', '""') + '"'


def login(url: str, *, database: str, user: str | None = None, password: str | None = None) -> str:
    """The server of `url` (postgresql://…) with another database and, if given, another login."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    who = parts.netloc.rpartition("@")[0] if user is None else f"{quote(user)}:{quote(password or '', safe='')}"
    return urlunsplit(parts._replace(netloc=f"{who}@{where}", path=f"/{quote(database)}"))
