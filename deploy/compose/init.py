"""`python -m deploy.compose.init`: roles, databases, migrations and topics; safe to repeat. The one-shot container.

ADMIN_DATABASE_URL is an administrator's way in without a password, which is in `admin_db_password` of /run/secrets;
for Kafka the settings are those of `deploy.kafka.provision`.
"""

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.kafka import provision as kafka
from deploy.postgres.provision import Databases, provision
from deploy.secrets import Secrets
from shared.command import run_command
from shared.errors import Misconfigured

SECRETS = Path("/run/secrets")


def administrator(url: str, password: str) -> str:
    """The URL with the password in it."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def main() -> int:
    """Provision PostgreSQL, then Kafka; exit 2 with a sentence if something does not fit."""
    try:
        secrets = Secrets(SECRETS)
        url = administrator(os.environ["ADMIN_DATABASE_URL"], secrets.read("admin_db_password"))
        run = asyncio.run(provision(Databases(url, secrets)))
    except KeyError as missing:
        sys.stderr.write(f"{missing.args[0]} is not set\n")
        return 2
    except Misconfigured as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    sys.stdout.write(f"databases: {len(run)} migrations run\n")
    kafka.main()
    return 0


if __name__ == "__main__":
    run_command(main)
