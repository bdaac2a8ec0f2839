"""A later release, made up: `DossierSubmitted` was said anew twice, and whoever hears it reads the newest version only.

`.v2` says how the application came in as two facts, `.v3` counts the papers. Each takes the place of the one before it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from shared.events import catalogue
from shared.events.base import Event
from shared.events.intake import DossierSubmitted
from shared.events.upcasters import Upcaster
from shared.runtime.kernel.decider import Decider, Evolve


class DossierSubmittedV2(DossierSubmitted):
    """An application has come in, at a counter or not."""

    TYPE = "vn.gov.dossier.dossier-submitted.v2"
    VERSION = "2.0.0"
    at_counter: bool


class DossierSubmittedV3(DossierSubmittedV2):
    """An application has come in, with so many papers."""

    TYPE = "vn.gov.dossier.dossier-submitted.v3"
    VERSION = "3.0.0"
    paper_count: int


def counter_told(old: DossierSubmitted) -> DossierSubmittedV2:
    """The first step."""
    return DossierSubmittedV2(**dict(old), at_counter=old.channel == "direct")


def papers_counted(old: DossierSubmittedV2) -> DossierSubmittedV3:
    """The second step."""
    return DossierSubmittedV3(**dict(old), paper_count=len(old.papers))


STEPS: Sequence[Upcaster] = (
    Upcaster(DossierSubmitted, DossierSubmittedV2, counter_told),
    Upcaster(DossierSubmittedV2, DossierSubmittedV3, papers_counted),
)


@contextmanager
def later_release(steps: Sequence[Upcaster] = STEPS) -> Iterator[None]:
    """This process is of a release with these steps: all that reads events knows its versions."""
    known, said = catalogue.READINGS, dict(catalogue.WRITER)
    writer = said.pop(steps[0].old)
    catalogue.READINGS = catalogue.readings({**said, steps[-1].new: writer}, steps)
    try:
        yield
    finally:
        catalogue.READINGS = known


def paper_count_left_out(new: DossierSubmittedV3) -> DossierSubmittedV2:
    """A step back, of a release that does not write the newest version yet."""
    return DossierSubmittedV2(**{name: value for name, value in new if name != "paper_count"})


def upgraded(decider: Decider[Any], fold: Evolve, steps: Sequence[Upcaster] = STEPS) -> Decider[Any]:
    """The same rules, about the newest version, which that release folds so."""
    newest = steps[-1].new
    rules = {newest if key is steps[0].old else key: rule for key, rule in decider.rules.items()}
    folds = {key: one for key, one in decider.folds.items() if key is not steps[0].old}
    return replace(decider, rules=rules, folds={**folds, newest: fold})


def written_as(kind: type[Event], head: Mapping[str, str], data: bytes) -> tuple[dict[str, str], bytes]:
    """Headers and body of an application as a release would have written it whose newest version is `kind`."""
    body: Event = DossierSubmitted.model_validate_json(data)
    for step in STEPS:
        if type(body) is not kind:
            body = step.step(body)
    changed = {"ce_type": kind.TYPE, "ce_dataschema": f"https://schemas.dossier.gov.vn/x/{kind.VERSION}.json"}
    return {**head, **changed}, body.model_dump_json().encode()
