"""The tables of the reference and of the subscribers' page are what the code says: nothing lacks, nothing is over."""

import argparse
import importlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import yaml
from prometheus_client import Counter
from pydantic_settings import BaseSettings

from deploy.local.machine import ROOT
from deploy.watcher.settings import WatcherSettings
from services.intake.acts import ACTS
from shared.events.catalogue import SAID_BY
from shared.events.envelope import Envelope, headers
from shared.events.payment import FeePaid
from shared.registry import CODES
from shared.runtime.admin.cli import _parser
from shared.runtime.observe.metrics import Metrics
from shared.services import SERVICES
from shared.topics import TOPICS
from tests.reference import EVENTS, REFERENCE, chapter, rows

OF_SERVICES: Mapping[str, type[BaseSettings]] = {
    name: importlib.import_module(f"services.{name}.__main__").service().settings for name in SERVICES
}
OF_NO_CLASS = {"REPLICATION_FACTOR", "KAFKA_SUBSCRIBERS"}
"""Read by the init step."""
AS_WORDS = {"KAFKA_USERNAME": "the service's name", "SMTP_CA": "the system's"}
"""What stands for a default that is another one in each place."""


def names(settings: type[BaseSettings]) -> dict[str, str]:
    """Setting → its default, as the table writes it."""
    return {
        (field.alias or name).upper(): "–"
        if field.is_required() or field.default in ("", None)
        else _told(field.default)
        for name, field in settings.model_fields.items()
    }


def _told(default: object) -> str:
    text = f"{default:g}" if isinstance(default, float) else str(default)
    return text.removeprefix(f"{ROOT}/")


def told() -> Iterator[tuple[str, str, str]]:
    """Setting, who has it, and its default, out of the table."""
    for setting, services, default, _ in rows(chapter(REFERENCE, "Settings")):
        of = re.findall(r"`([A-Z_]+)`", setting)
        defaults = [one.strip("`") for one in re.split(r", (?=\S)", default)]
        assert len(of) == len(defaults), setting
        yield from ((name, services, value) for name, value in zip(of, defaults, strict=True))


TOLD = {name: (services, default) for name, services, default in told()}


@pytest.mark.parametrize("service", SERVICES)
def test_the_table_of_settings_has_those_of_every_service_and_no_other(service: str) -> None:
    written = {name for name, (services, _) in TOLD.items() if services == "all" or service in services.split(", ")}
    assert written == set(names(OF_SERVICES[service]))


def test_the_table_of_settings_has_those_of_the_watcher_and_of_nobody_else() -> None:
    everybodys = {name for name, (services, _) in TOLD.items() if services == "all"}
    assert {name for name, (services, _) in TOLD.items() if services == "watcher"} == set(
        names(WatcherSettings)
    ) - everybodys
    known = set(names(WatcherSettings)).union(*map(names, OF_SERVICES.values()))
    assert set(TOLD) == known | OF_NO_CLASS


@pytest.mark.parametrize(
    "settings", [*dict.fromkeys(OF_SERVICES.values()), WatcherSettings], ids=lambda one: one.__name__
)
def test_the_defaults_of_the_table_are_those_of_the_code(settings: type[BaseSettings]) -> None:
    written = {name: TOLD[name][1] for name in names(settings)}
    assert written == names(settings) | {name: word for name, word in AS_WORDS.items() if name in written}


def test_the_table_of_codes_is_the_registry() -> None:
    drawn = {
        f"`{name}`": (str(code.status or "–"), code.title.en, code.action.en) for name, code in sorted(CODES.items())
    }
    assert {name: (status, what, do) for name, status, what, do in rows(chapter(REFERENCE, "Error codes"))} == drawn


def test_the_table_of_metrics_is_what_a_process_has() -> None:
    exported = {
        f"{metric._name}_total" if isinstance(metric, Counter) else metric._name: frozenset(metric._labelnames)
        for metric in Metrics("intake").collectors.values()
    }
    written = {
        name.strip("`"): frozenset() if labels == "–" else frozenset(labels.split(", "))
        for name, labels, _ in rows(chapter(REFERENCE, "Metrics"))
    }
    assert written == exported


def acts(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    """Every command of a parser, with the act below it."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not inner:
        yield before.strip()
    for name, below in inner[0].choices.items() if inner else ():
        yield from acts(below, f"{before} {name}")


def test_the_table_of_commands_has_every_command_of_a_service() -> None:
    table = " ".join(row[0] for row in rows(chapter(REFERENCE, "Commands")))
    typed = re.findall(r"python -m services\.\S+ ([^`]+)`", table)
    written = {f"{command} {act}" for command, *acts in map(_alternatives, typed) for act in acts or [""]}
    assert {one.strip() for one in written} >= set(acts(_parser("payment", [])))


def _alternatives(line: str) -> list[str]:
    """`deadletters list \\| show ID` → deadletters, list, show."""
    command, _, rest = line.strip("[]").partition(" ")
    return [command, *(one.split()[0] for one in rest.split(r" \| ") if one and not one.startswith("--"))]


PUBLISHED = re.compile(r"\$\{[A-Z_0-9]+:-(\d+)(?:-(\d+))?\}:\d+\"")


def test_the_table_of_ports_has_every_port_that_is_published() -> None:
    table = chapter(REFERENCE, "Ports")
    for name in ("compose.yaml", "compose.cluster.yaml"):
        for first, last in PUBLISHED.findall((ROOT / "deploy" / name).read_text(encoding="utf-8")):
            assert f"{first}–{last}" in table if last else re.search(rf"\b{first}\b|9191–9193", table), (name, first)


def test_the_table_of_secret_files_has_every_secret_of_the_containers() -> None:
    table = chapter(REFERENCE, "Secret files")
    secrets = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["secrets"]
    services = "|".join(SERVICES)
    assert [one for one in secrets if f"`{re.sub(rf'^({services})_', '<service>_', one)}`" not in table] == []


def test_the_subscribers_page_has_every_public_topic_and_no_other() -> None:
    written = {topic.strip("`") for topic, _ in rows(chapter(EVENTS, "Topics"))}
    assert written == {topic.name for topic in TOPICS.values() if topic.public}


def test_the_subscribers_page_tells_what_each_topic_says() -> None:
    written = {
        topic.strip("`"): set(re.findall(r"`([A-Z]\w+)`", says)) for topic, says in rows(chapter(EVENTS, "Topics"))
    }
    assert written == {f"gov.dossier.{service}.v1": {one.__name__ for one in said} for service, said in SAID_BY.items()}


def test_the_subscribers_page_has_every_header_and_no_other() -> None:
    written = {header.strip("`") for header, _ in rows(chapter(EVENTS, "An event on the wire"))}
    place = Envelope(uuid4(), FeePaid.TYPE, datetime.now(UTC), uuid4(), "payment", 1, 2, uuid4(), "00-1-2-00")
    assert written == set(headers(FeePaid, place, uuid4()))


def test_the_table_of_the_desks_routes_has_every_act() -> None:
    table = " ".join(row[0] for row in rows(chapter(REFERENCE, "The desk's HTTP").partition("**Who you are.**")[0]))
    assert [act.name for act in ACTS if f"`{act.name}`" not in table and f"/{act.name}`" not in table] == []
