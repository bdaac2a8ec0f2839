"""Chapters and tables of the pages that promise something: what tests hold against the code."""

import re
from collections.abc import Iterator
from pathlib import Path

from deploy.local.machine import ROOT

README = ROOT / "README.md"
REFERENCE = ROOT / "deploy" / "REFERENCE.md"
EVENTS = ROOT / "shared" / "events" / "README.md"

_CELL = re.compile(r"(?<!\\)\|")


def chapter(page: Path, name: str) -> str:
    """What stands below the heading of that name, up to the next one. Raises ValueError if there is none."""
    _, heading, text = f"\n{page.read_text(encoding='utf-8')}".partition(f"\n## {name}\n")
    if not heading:
        raise ValueError(f"{page} has no chapter {name}")
    return text.partition("\n## ")[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table's rows, without its head."""
    for line in re.findall(r"^\|(.+)\|$", re.sub(r"^\|.+\|\n\|[-|]+\|$", "", text, flags=re.MULTILINE), re.MULTILINE):
        yield [cell.strip() for cell in _CELL.split(line)]
