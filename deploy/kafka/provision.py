"""Everything a cluster must have before the services start: the topics, and on a secured one principals and ACLs.

`python -m deploy.kafka.provision` does it for KAFKA_BOOTSTRAP_SERVERS (REPLICATION_FACTOR, default 1); safe to repeat.
With KAFKA_SECURITY_PROTOCOL=SASL_SSL it logs in as `admin`, whom the brokers know since they were formatted, and gives
each principal of `deploy/kafka/acls.py` the password of its file `<principal>_kafka_password` in SECRETS_DIR.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence

from aiokafka.errors import KafkaError
from pydantic import Field

from deploy.kafka.acls import ADMIN, SUBSCRIBERS, table
from deploy.kafka.certificates import BROKER
from deploy.kafka.principals import ensure_acls, ensure_users
from deploy.kafka.topics import administrator, ensure_topics
from shared.errors import Misconfigured
from shared.runtime.kafka.clients import Broker
from shared.runtime.service.settings import SERVERS, KafkaSettings, load
from shared.services import SERVICES


class ProvisionSettings(KafkaSettings):
    """What provisioning must be told. KAFKA_SUBSCRIBERS are the principals of downstream systems, by commas."""

    kafka_bootstrap_servers: str = Field(pattern=rf"^{SERVERS}$")
    kafka_subscribers: str = Field(",".join(SUBSCRIBERS), pattern=r"^([a-z0-9-]+(,[a-z0-9-]+)*)?$")
    replication_factor: int = Field(1, ge=1)

    @property
    def subscribers(self) -> Sequence[str]:
        """KAFKA_SUBSCRIBERS, one by one. Raises Misconfigured if one is a name that others have."""
        names = [name for name in self.kafka_subscribers.split(",") if name]
        if taken := sorted({ADMIN, BROKER, *SERVICES} & set(names)):
            raise Misconfigured(f"KAFKA_SUBSCRIBERS: {', '.join(taken)} is no name for a downstream system")
        return names


async def provision(
    broker: Broker,
    password_of: Callable[[str], str],
    subscribers: Sequence[str] = SUBSCRIBERS,
    replication_factor: int = 1,
) -> str:
    """Makes the cluster as it must be and returns in words what was changed; `password_of` a principal is asked only if
    there is a login. Raises Misconfigured (and what `password_of` raises), KafkaError, OSError.
    """
    secured = f"; {await _let_in(broker, password_of, subscribers)}" if broker.login is not None else ""
    created = await ensure_topics(broker.bootstrap, replication_factor=replication_factor, login=broker.login)
    return f"topics created: {', '.join(created) or 'none, all were there'}{secured}"


async def _let_in(broker: Broker, password_of: Callable[[str], str], subscribers: Sequence[str]) -> str:
    acls = table(subscribers)
    passwords = {name: password_of(name) for name in sorted({acl.principal for acl in acls})}
    async with administrator(broker.bootstrap, login=broker.login) as admin:
        await ensure_users(admin, passwords)
        changes = await ensure_acls(admin, acls)
    return f"principals: {len(passwords)}; ACLs: {changes.added} added, {changes.removed} removed"


def main() -> None:
    """Entry point: settings from the environment, exit 2 with a sentence if they do not fit."""
    try:
        settings = load(ProvisionSettings)
        told = asyncio.run(
            provision(
                settings.broker(ADMIN),
                lambda name: settings.secret(f"{name}_kafka_password"),
                settings.subscribers,
                settings.replication_factor,
            )
        )
    except (Misconfigured, KafkaError) as wrong:
        sys.stderr.write(f"{wrong}\n")
        sys.exit(2)
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    main()
