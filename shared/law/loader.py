"""Reads the catalogue's files and checks them.

The only file of the law, besides `__main__`, that does input or output.
"""

import json
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.law.catalogue import Catalogue, CatalogueError, Entries
from shared.law.decisions import Decisions
from shared.law.entries import Agency, Entry, FeeRule, Named, Procedure, Reason

DATA = Path(__file__).parent / "data"
FILES = ("procedures", "fees", "agencies", "groups", "papers", "reasons", "calendar")

_E = TypeVar("_E", bound=Entry)


def load_catalogue(folder: Path = DATA) -> Catalogue:
    """The catalogue in `folder` (its FILES, YAML), checked.

    Raises CatalogueError naming file and entry of every fault, or OSError if a file cannot be read.
    """
    faults: list[str] = []
    texts = {name: _read(folder, name, faults) for name in FILES}
    entries = Entries(
        procedures=_entries(texts, "procedures", Procedure, faults),
        fees=_entries(texts, "fees", FeeRule, faults),
        agencies=_entries(texts, "agencies", Agency, faults),
        groups=_entries(texts, "groups", Named, faults),
        papers=_entries(texts, "papers", Named, faults),
        reasons=_entries(texts, "reasons", Reason, faults),
        decisions=_decisions(texts["calendar"], faults),
    )
    if faults:
        raise CatalogueError(faults)
    return Catalogue(entries, _version(texts))


@cache
def shipped_catalogue() -> Catalogue:
    """The catalogue that comes with this package, read once per process."""
    return load_catalogue()


class _Yaml(yaml.SafeLoader):
    """Reads what looks like a day but is none (2025-06-31) as the text that it is, so that its entry can be named."""

    def day(self, node: yaml.ScalarNode) -> Any:
        """A date or time, or its text."""
        try:
            return self.construct_yaml_timestamp(node)
        except ValueError:
            return node.value


_Yaml.add_constructor("tag:yaml.org,2002:timestamp", _Yaml.day)


def _read(folder: Path, name: str, faults: list[str]) -> Any:
    text = (folder / f"{name}.yaml").read_bytes()
    try:
        return yaml.load(text, _Yaml)  # noqa: S506
    except yaml.YAMLError as wrong:
        faults.append(f"{name}.yaml: not YAML: {' '.join(str(wrong).split())}")
        return {"days_off": [], "worked_days": []} if name == "calendar" else []


def _entries(texts: dict[str, Any], name: str, model: type[_E], faults: list[str]) -> tuple[_E, ...]:
    listed = texts[name]
    if not isinstance(listed, list):
        faults.append(f"{name}.yaml: not a list of entries")
        return ()
    return tuple(found for place, item in enumerate(listed, 1) for found in _entry(name, place, item, model, faults))


def _entry(name: str, place: int, item: Any, model: type[_E], faults: list[str]) -> tuple[_E, ...]:
    try:
        return (model.model_validate(item),)
    except ValidationError as wrong:
        known = (item.get("id") or item.get("code")) if isinstance(item, dict) else None
        faults.extend(_told(f"{name}.yaml: {known or f'entry {place}'}", wrong))
        return ()


def _decisions(text: Any, faults: list[str]) -> Decisions:
    try:
        return Decisions.model_validate(text)
    except ValidationError as wrong:
        faults.extend(_told("calendar.yaml", wrong))
        return Decisions(days_off=(), worked_days=())


def _told(where: str, wrong: ValidationError) -> list[str]:
    return [": ".join((where, *map(str, error["loc"]), _said(error))) for error in wrong.errors(include_url=False)]


def _said(error: ErrorDetails) -> str:
    given = error["input"]
    return f"{error['msg']}, not {given}" if error["type"].startswith("date") else error["msg"]


def _version(texts: dict[str, Any]) -> str:
    # The holiday tables move due dates as much as our own files do, so their version is part of ours.
    content = json.dumps({**texts, "holidays": version("holidays")}, sort_keys=True, default=str)
    return sha256(content.encode()).hexdigest()[:16]
