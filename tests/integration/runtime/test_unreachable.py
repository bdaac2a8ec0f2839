"""A database that never will take us is a wrong setting; one that does not answer is waited for by a service alone."""

from urllib.parse import urlsplit

import pytest

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from shared.errors import Misconfigured, Unavailable
from shared.runtime.process.wiring import database
from tests.integration.runtime.toy import NAME
from tests.integration.runtime.whole import settings

WRONG = {
    "the database of another service": ("/dossier_notification", "/dossier_payment", Misconfigured),
    "a database that is not there": ("/dossier_", "/dosser_", Misconfigured),
    "an option that no server knows": (None, "?sslmode=bogus", Misconfigured),
    "a port on which nobody listens": ("PORT", "1", Unavailable),
}
"""What of the right address becomes what (None: is put behind it), and what that comes to."""


def spoiled(url: str, old: str | None, new: str) -> str:
    """The address, made wrong."""
    if old is None:
        return url + new
    old = str(urlsplit(url).port) if old == "PORT" else old
    assert old in url
    return url.replace(old, new, 1)


@pytest.mark.parametrize("wrong", WRONG)
async def test_an_operators_command_says_so_at_once(ground: Ground, module_databases: Databases, wrong: str) -> None:
    old, new, expected = WRONG[wrong]
    right = settings(ground, module_databases)
    asked = right.model_copy(update={"database_url": spoiled(right.database_url, old, new)})
    with pytest.raises(expected, match="DATABASE_URL"):
        async with database(asked, NAME, waits=False):
            pass
