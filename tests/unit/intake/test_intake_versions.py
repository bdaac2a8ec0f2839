"""A later catalogue moves nothing that was filed before: papers and due date are those of the day of filing."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from services.intake.rules import rules
from services.intake.state import EVOLVES, State
from shared.law.catalogue import Catalogue
from shared.law.loader import DATA, load_catalogue
from shared.runtime.kernel.decider import Decider
from tests.controls import (
    AT,
    PROCEDURE,
    accept_dossier,
    citizen_verified,
    dossier_accepted,
    dossier_submitted,
    fee_assessed,
    submit_dossier,
)
from tests.given import given

CHANGE = date(2026, 9, 18)
DAY = timedelta(days=1)
NEW = AT + 5 * DAY  # Monday 21 September, 08:30
FREE = fee_assessed(kind="none", lines=(), total_vnd=0)


@pytest.fixture(scope="module")
def law(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """The catalogue that ships, in which the procedure has another version from 18 September 2026."""
    folder = Path(shutil.copytree(DATA, tmp_path_factory.mktemp("law") / "data"))
    entries = yaml.safe_load((folder / "procedures.yaml").read_text(encoding="utf-8"))
    old = next(entry for entry in entries if entry["code"] == PROCEDURE)
    new = {**old, "valid_from": CHANGE, "duration": 10, "papers": ["application-form"]}
    old["valid_to"] = CHANGE
    (folder / "procedures.yaml").write_text(yaml.safe_dump([*entries, new], allow_unicode=True), encoding="utf-8")
    return load_catalogue(folder)


@pytest.fixture(scope="module")
def desk(law: Catalogue) -> Decider[State]:
    """The desk under that law."""
    return Decider("intake", State(), rules(law), EVOLVES)


def test_a_dossier_filed_before_a_change_keeps_its_time_allowed_though_it_is_accepted_after(
    desk: Decider[State],
) -> None:
    filed = given(desk, [dossier_submitted(), citizen_verified(), FREE])
    # 3 working days from Monday 08:30, not 10.
    filed.when(accept_dossier(), at=NEW).then(dossier_accepted(accepted_at=NEW, due_at=NEW + 3 * DAY))


def test_a_dossier_filed_after_the_change_has_the_new_time_allowed(desk: Decider[State]) -> None:
    filed = given(desk, [dossier_submitted(submitted_at=NEW), citizen_verified(), FREE])
    # 10 working days from Monday 08:30: two weekends between.
    filed.when(accept_dossier(), at=NEW).then(dossier_accepted(accepted_at=NEW, due_at=NEW + 14 * DAY))


def test_a_dossier_that_an_importer_received_before_the_change_is_measured_by_the_old_papers(
    desk: Decider[State],
) -> None:
    only_form = tuple(paper for paper in submit_dossier().papers if paper.code == "application-form")
    before = submit_dossier(submitted_at=AT, papers=only_form)
    (said,) = given(desk).when(before, at=NEW).decision.events
    assert said.model_dump()["missing_papers"] == ("residence-papers",)  # type: ignore[union-attr]
    after = submit_dossier(submitted_at=NEW, papers=only_form)
    (said,) = given(desk).when(after, at=NEW).decision.events
    assert said.model_dump()["missing_papers"] == ()  # type: ignore[union-attr]
