"""What the door lets in fits into what the desk says of it; what grows with each act is refused before it is full."""

from typing import Any, get_args

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.intake.api import _papers
from services.intake.commands import RequestBody, RequestSupplement
from shared.events import base
from shared.events.base import MAX_APPLICANT_VERSION
from shared.events.intake import SupplementReceived, SupplementRequested
from shared.law.application import MAX_PAPER_BYTES, MAX_PAPERS, MediaType, Paper
from shared.registry import CODES
from tests.controls import (
    applicant,
    applicant_corrected,
    citizen,
    correct_applicant,
    dossier_submitted,
    officer,
    supplement_requested,
    supply_dossier,
)
from tests.deciders import INTAKE
from tests.given import given
from tests.unit.intake.stages import ALARMS

LAST = applicant_corrected(applicant_version=MAX_APPLICANT_VERSION)

papers = st.builds(
    Paper,
    code=st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True).filter(lambda code: len(code) <= 64),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    size=st.integers(1, MAX_PAPER_BYTES),
    media_type=st.sampled_from(get_args(MediaType)),
)


def test_the_last_correction_that_can_be_counted_is_taken() -> None:
    before = applicant_corrected(applicant_version=MAX_APPLICANT_VERSION - 1)
    given(INTAKE, [dossier_submitted(), before]).when(correct_applicant()).then(LAST)


def test_one_correction_more_is_refused_with_a_code() -> None:
    given(INTAKE, [dossier_submitted(), LAST]).when(correct_applicant()).then_refused("DOS-INT-014")
    assert (CODES["DOS-INT-014"].status, CODES["DOS-INT-014"].title.en) == (409, "The data were corrected too often")


def test_one_correction_more_within_a_supplement_is_refused_too_and_the_papers_alone_are_taken() -> None:
    full = given(INTAKE, [dossier_submitted(), LAST, supplement_requested()])
    full.when(supply_dossier(applicant=applicant())).then_refused("DOS-INT-014")
    full.when(supply_dossier()).then(SupplementReceived)


def test_supplements_may_be_asked_for_and_answered_without_end() -> None:
    story = given(INTAKE, [dossier_submitted()])
    for _ in range(200):
        asked = RequestSupplement(papers=("photo",), correct_applicant=False, note=None, by=officer())
        story = story.when(asked).then(SupplementRequested, tasks=ALARMS)
        story = story.when(supply_dossier("photo")).then(SupplementReceived)
    assert len(story.state.intake.steps) == 401
    assert story.state.intake.papers.count("photo") == 1


@for_all(paper=papers)
def test_every_paper_that_the_door_takes_can_be_said(paper: Paper) -> None:
    (said,) = _papers((paper,))
    assert said.model_dump() == paper.model_dump()


@pytest.mark.parametrize("media_type", ["application/pdf", "image/jpeg", "image/png", "text/xml"])
def test_media_types_of_papers_are_taken(media_type: str) -> None:
    assert Paper.model_validate(_paper(media_type)).media_type == media_type


@pytest.mark.parametrize("media_type", ["text/html", "pdf", "application/0912345678", "0912345678/x", "Image/PNG", ""])
def test_a_media_type_that_no_paper_has_is_refused_at_the_door(media_type: str) -> None:
    with pytest.raises(ValueError, match="media_type"):
        Paper.model_validate(_paper(media_type))


def _paper(media_type: str) -> dict[str, Any]:
    return {"code": "photo", "sha256": "0" * 64, "size": 1, "media_type": media_type}


_WORDS = st.from_regex(base.Word.__metadata__[0].pattern[1:-1], fullmatch=True)  # type: ignore[attr-defined]


@for_all(words=st.lists(_WORDS, max_size=MAX_PAPERS, unique=True))
def test_every_request_that_the_door_takes_can_be_said(words: list[str]) -> None:
    asked = RequestBody(papers=tuple(words), correct_applicant=True)
    command = RequestSupplement(papers=asked.papers, correct_applicant=True, note=None, by=officer())
    given(INTAKE, [dossier_submitted(by=citizen())]).when(command).then(SupplementRequested, tasks=ALARMS)
