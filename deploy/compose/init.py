"""`python -m deploy.compose.init`: roles, databases, migrations, topics, and states in the shape of this release; safe
to repeat. The one-shot container.

ADMIN_DATABASE_URL is an administrator's way in without a password, which is in `admin_db_password` of /run/secrets;
for Kafka the settings are those of `deploy.kafka.provision`.
"""

import asyncio
import os
import sys
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.kafka import provision as kafka
from deploy.postgres.names import Names
from deploy.postgres.provision import Databases, provision
from deploy.secrets import Secrets
from shared.command import run_command
from shared.errors import Misconfigured
from shared.runtime.admin.cli import apply
from shared.runtime.service.service import Service
from shared.runtime.service.settings import CommitSettings, load
from shared.services import SERVICES

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
    return max(asyncio.run(_reshape(service, url)) for service in SERVICES)


async def _reshape(name: str, url: str) -> int:
    """Make a service's states anew if this release has another shape for them; as the service itself."""
    service: Service = import_module(f"services.{name}.__main__").service()
    host = urlsplit(url).netloc.rpartition("@")[2]
    own = f"postgresql://{Names(name).service}@{host}/{Names(name).database}"
    settings = load(CommitSettings, database_url=own, kafka_username=name, secrets_dir=SECRETS)
    return await apply(service, settings, needed=True)


if __name__ == "__main__":
    run_command(main)
