"""The made-up releases of the upgrade test cannot rot: what each changes is still there, once."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sabotage.guards import Cut
from tests.upgrade.releases import AFTER, NEXT, release


@pytest.mark.parametrize("cuts", [NEXT, AFTER], ids=["next", "after"])
def test_a_later_release_can_be_made_of_this_one(cuts: Sequence[Cut], tmp_path: Path) -> None:
    tree = release(tmp_path / "tree", cuts)
    for file in {cut.file for cut in cuts if cut.file.endswith(".py")}:
        compile((tree / file).read_text(encoding="utf-8"), file, "exec")
