"""A copy of the catalogue that ships, for tests that change it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.law.loader import DATA

Edit = Callable[[str, str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the catalogue that ships."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replace the first occurrence of a text in one file of the copy."""

    def replace(name: str, old: str, new: str) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace
