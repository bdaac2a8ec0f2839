"""What operators read as files (compose, Prometheus, the guide) names the services of the table, as the table has them.

Read as files, without Docker; `make test-compose` brings them up.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.compose.__main__ import FILE, ensure_secrets
from deploy.kafka.acls import WATCHER
from deploy.secrets import NEEDS, needs
from shared.runtime.service.settings import AUTHORITY
from shared.services import SERVICES, Keys, ServiceRow, holders
from shared.wording import Text
from tests.compose.guide import GUIDE

DEPLOY = FILE.parent
COMPOSE: Mapping[str, Any] = yaml.safe_load(FILE.read_text())
SCRAPES: Mapping[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
RULES = (DEPLOY / "prometheus" / "rules" / "dossier.yml").read_text()

Rows = Mapping[str, ServiceRow]


def missing(rows: Rows) -> Iterator[str]:
    """Every place in the files that does not say of the services what the table says, with what it should be."""
    for row in rows.values():
        given = COMPOSE["services"].get(row.name, {})
        yield from (
            f"compose.yaml: {row.name}: {key} should be {right}"
            for key, right in _block(row).items()
            if _comparable(given.get(key)) != _comparable(right)
        )
        yield from (
            f"compose.yaml: {row.name}: {key} should be {right} in its environment"
            for key, right in _told(row).items()
            if given.get("environment", {}).get(key) != right
        )
    for where, found, right in _lists(rows):
        yield from (f"{where}: {name} is missing" for name in sorted(right - found))
        yield from (f"{where}: {name} is too much" for name in sorted(found - right))


def _block(row: ServiceRow) -> Mapping[str, Any]:
    door = [f"127.0.0.1:${{{row.name.upper()}_PORT:-{row.door}}}:8000"] if row.door else None
    common = {key: COMPOSE["x-service"][key] for key in ("image", "user", "read_only", "cap_drop", "healthcheck")}
    return {**common, "command": [f"services.{row.name}", "run"], "secrets": _secrets(row), "ports": door}


def _secrets(row: ServiceRow) -> set[str]:
    """On a Kafka that asks nobody who they are; who keeps the trail compares it with all the stores."""
    of_kafka = {AUTHORITY, f"{row.name}_kafka_password"}
    return set(needs(row) - of_kafka) | ({"auditor_db_password"} if row.keeps_trail else set())


def _told(row: ServiceRow) -> Mapping[str, str]:
    own = f"dossier_{row.name}"
    return {"DATABASE_URL": f"postgresql://{own}@postgres:5432/{own}", "INSTANCE": f"{row.name}-0"}


def _comparable(value: Any) -> Any:
    return set(value) if isinstance(value, list | set) else value


def _lists(rows: Rows) -> Iterator[tuple[str, set[str], set[str]]]:
    """A place in the files, the services that stand there, and those that should."""
    services, asked = COMPOSE["services"], {*rows, WATCHER}
    commands = {name: given.get("command") or [""] for name, given in services.items()}
    yield "compose.yaml: services", {name for name, words in commands.items() if "services." in words[0]}, {*rows}
    passwords = {f"{name}_db_password" for name in ("admin", "auditor", *rows)}
    yield "compose.yaml: secrets of init", set(services["init"]["secrets"]), passwords
    mounted = {name for given in services.values() for name in given.get("secrets", [])}
    yield "compose.yaml: secrets", set(COMPOSE["secrets"]), mounted | passwords
    ((targets,),) = ([one["targets"] for one in job["static_configs"]] for job in SCRAPES["scrape_configs"])
    yield "prometheus.yml: targets", set(targets), {f"{name}:9000" for name in asked}
    gone = set(re.findall(r'absent\(up\{job="dossier",service="(\w+)"\}\)', RULES))
    yield "rules/dossier.yml: DossierServiceGone", gone, asked


def test_the_files_that_operators_read_say_what_the_table_of_services_says() -> None:
    assert list(missing(SERVICES)) == []


def test_every_place_that_a_new_service_needs_is_named() -> None:
    ledger = ServiceRow("ledger", "LED", Text("sổ cái", "ledger"), ("payment",), Keys.READS, door=8005)
    told = list(missing({**SERVICES, ledger.name: ledger}))
    places = {re.sub(r"( should be| is missing).*", "", line) for line in told}
    assert places == {
        *(f"compose.yaml: ledger: {key}" for key in (*_block(ledger), *_told(ledger))),
        "compose.yaml: services: ledger",
        "compose.yaml: secrets of init: ledger_db_password",
        "compose.yaml: secrets: ledger_db_password",
        "prometheus.yml: targets: ledger:9000",
        "rules/dossier.yml: DossierServiceGone: ledger",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_gone_from_the_table_is_found_in_the_files(name: str) -> None:
    told = list(missing({other: row for other, row in SERVICES.items() if other != name}))
    assert f"compose.yaml: services: {name} is too much" in told
    assert f"prometheus.yml: targets: {name}:9000 is too much" in told


def test_the_guide_asks_every_holder_of_keys_how_far_it_is() -> None:
    (named,) = re.findall(r"^for each in (.*); do$", GUIDE.read_text(), re.MULTILINE)
    assert named.split() == list(holders(Keys.MAKES, Keys.READS))


def test_an_installation_has_every_secret_that_a_service_needs(tmp_path: Path) -> None:
    ensure_secrets(tmp_path)
    assert {name for needed in NEEDS.values() for name in needed} <= {path.name for path in tmp_path.iterdir()}


def test_a_secret_is_a_file_of_the_installation() -> None:
    for name, where in COMPOSE["secrets"].items():
        assert Path(where["file"].replace("}", "")).name == ("applicant.json" if "applicant" in name else name)
