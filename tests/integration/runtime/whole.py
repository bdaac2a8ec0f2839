"""The toy as a whole process, wired as in production, of which nothing runs yet."""

from collections.abc import Mapping

from deploy.local.ground import Ground
from deploy.postgres.provision import Databases
from deploy.stack import without_password
from shared.runtime.process.wiring import Runtime, wire
from shared.runtime.service.service import Resources, Service
from shared.runtime.service.settings import Settings
from shared.runtime.tasks.kinds import TaskKind
from tests.integration.runtime.stage import Stage, work
from tests.integration.runtime.toy import NAME, Work


def settings(ground: Ground, databases: Databases) -> Settings:
    """What the toy's process is told."""
    return Settings(
        kafka_bootstrap_servers=ground.bootstrap_servers,
        database_url=without_password(databases.url(NAME)),
        secrets_dir=ground.secrets.directory,
        http_port=1,
    )


def service(stage: Stage) -> Service:
    """The toy as a service with one kind of task."""
    return Service(stage.toy.decider, Settings, tasks=_kinds)


def _kinds(resources: Resources) -> Mapping[str, TaskKind]:
    return {"work": TaskKind(Work, work)}


def runtime(ground: Ground, databases: Databases, stage: Stage) -> Runtime:
    """The toy's process."""
    return wire(service(stage), settings(ground, databases), stage.pool)
