"""A sixth service, as a developer adds it: its row, the words that it says, and its rooms; and a test from inside."""

from tests.sabotage.guards import Cut

_ROW = Cut(
    "shared/services.py",
    '            ServiceRow("audit", ',
    """            ServiceRow("ledger", "LED", Text("sổ cái", "the ledger"), hears=("intake",)),
            ServiceRow("audit", """,
)

_WORDS = Cut(
    "shared/events/ledger.py",
    "",
    '''"""What the ledger says. Only services/ledger may publish these."""

from shared.events.base import Event, Word


class DossierEntered(Event):
    """A dossier has its line in the ledger."""

    TYPE = "vn.gov.dossier.dossier-entered.v1"
    procedure: Word
''',
)
_CATALOGUE = (
    Cut("shared/events/catalogue.py", "import audit, intake, ", "import audit, intake, ledger, "),
    Cut("shared/events/catalogue.py", "payment, notification, audit)", "payment, notification, ledger, audit)"),
)

_STATE = '''"""What the ledger remembers of a dossier: that it has its line."""

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from shared.events.base import Event, Model
from shared.events.ledger import DossierEntered
from shared.runtime.kernel.decider import Evolve, Message


class Said(Model):
    """What we have said."""

    entered: bool = False


class State(Model):
    """A dossier as the ledger sees it."""

    ledger: Said = Field(default_factory=Said)


def _entered(state: State, event: Message[DossierEntered]) -> State:
    return state.model_copy(update={"ledger": Said(entered=True)})


EVOLVES: Mapping[type[Event], Evolve] = MappingProxyType({DossierEntered: _entered})
'''
_RULES = '''"""What the ledger decides: a dossier that was filed gets a line, once. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from services.ledger.state import State
from shared.events.base import Model
from shared.events.intake import DossierSubmitted
from shared.events.ledger import DossierEntered
from shared.runtime.kernel.decider import NOTHING, Decision, Message, Rule


def on_submitted(state: State, event: Message[DossierSubmitted]) -> Decision:
    """Enter it."""
    return NOTHING if state.ledger.entered else Decision((DossierEntered(procedure=event.body.procedure),))


HEARS: Mapping[type[Model], Rule] = MappingProxyType({DossierSubmitted: on_submitted})
'''
_SETTINGS = '''"""What the ledger must be told: nothing besides what every service is told."""

from shared.runtime.service.settings import Settings

LedgerSettings = Settings
'''
_MAIN = '''"""The ledger: composition root."""

import sys

from services.ledger.rules import HEARS
from services.ledger.settings import LedgerSettings
from services.ledger.state import EVOLVES, State
from shared.command import run_command
from shared.runtime.admin.cli import main
from shared.runtime.kernel.decider import Decider
from shared.runtime.service.service import Service


def service() -> Service:
    """The ledger, which hears the desk."""
    return Service(decider=Decider("ledger", State(), HEARS, EVOLVES), settings=LedgerSettings)


if __name__ == "__main__":
    run_command(lambda: main(service, sys.argv[1:]))
'''
_ROOMS = {
    "README.md": "# The ledger\n\nHears the desk, and says that each dossier has its line. No tasks.\n",
    "__init__.py": "\n",
    "__main__.py": _MAIN,
    "rules.py": _RULES,
    "settings.py": _SETTINGS,
    "state.py": _STATE,
}

SERVICE = (
    _ROW, _WORDS, *_CATALOGUE, *(Cut(f"services/ledger/{room}", "", text) for room, text in _ROOMS.items()),
)  # fmt: skip
"""All that a new service is."""

RUNS = ("intake", "ledger", "audit")
"""Of the others' processes only those that the test needs; their databases, topics and permissions are all there."""

INSIDE = (
    Cut("tests/secured/conftest.py", "secured=True) as stack", f"secured=True, services={RUNS}) as stack"),
    Cut(
        "tests/secured/test_ledger.py",
        "",
        '''"""The ledger runs beside the desk and the keeper of the trail, as itself."""

import asyncio
import re
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.waiting import until
from tests.secured.play import SOON_S, Play, of

pytestmark = pytest.mark.asyncio(loop_scope="session")
PUBLISHED = ("dossier_events_published_total",)


async def test_the_ledger_is_ready_hears_says_and_is_scraped(play: Play) -> None:
    dossier = await play.file()
    await play.said(dossier, "DossierEntered")
    assert [one.topic for one in play.watcher.cases[dossier].all("DossierEntered")] == ["gov.dossier.ledger.v1"]
    assert play.watcher.gaps == 0

    async def counted() -> bool:
        process = of(play, "ledger")
        async with play.stack.http.get(f"{process.probes}/metrics") as answer:
            samples = text_string_to_metric_families(await answer.text())
        told = {(one.name, *one.labels.values()): one.value for family in samples for one in family.samples}
        assert told["dossier_build_info", "ledger"] == 1
        entered = told["dossier_events_recorded_total", "vn.gov.dossier.dossier-entered.v1"]
        return told["dossier_messages_handled_total", "ok"] == entered == told[PUBLISHED] == 1

    await until(counted, seconds=SOON_S, what="the ledger to have counted one dossier")


async def test_the_trail_holds_what_the_ledger_has_stored(play: Play) -> None:
    verifying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.audit", "verify", env=play.stack.environment("audit"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told = (await verifying.communicate())[0].decode()
    assert verifying.returncode == 0, told
    assert re.search(r"^ +ledger +[0-9]+ +1 +1 ", told, re.MULTILINE), told
''',
    ),
)
"""The test of it, run where it is."""
