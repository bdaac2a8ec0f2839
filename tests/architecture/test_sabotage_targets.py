"""The list of sabotage cannot rot: what it cuts is still there, once, and so is the test that must notice. Nor can the
sixth service, which is put into a copy of the tree by the same means.
"""

import ast
from pathlib import Path

import pytest

from tests.sabotage.__main__ import Mislaid, make
from tests.sabotage.guards import GUARDS, Cut, Guard
from tests.secured import ledger

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("cut", [cut for guard in GUARDS for cut in guard.cuts], ids=lambda cut: cut.file)
def test_what_sabotage_cuts_is_there_exactly_once(cut: Cut) -> None:
    assert (ROOT / cut.file).read_text(encoding="utf-8").count(cut.old) == 1
    assert cut.old != cut.new


@pytest.mark.parametrize("cut", [*ledger.SERVICE, *ledger.INSIDE], ids=lambda cut: cut.file)
def test_the_places_of_a_sixth_service_are_there(cut: Cut) -> None:
    file = ROOT / cut.file
    assert file.read_text(encoding="utf-8").count(cut.old) == 1 if cut.old else not file.exists()


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_test_that_must_notice_is_there(guard: Guard) -> None:
    file, _, name = guard.test.partition("[")[0].partition("::")
    tests = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    assert name in {node.name for node in tests if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_a_cut_whose_text_has_moved_fails_loudly(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("a = 1\na = 1\n")
    with pytest.raises(Mislaid, match="found 2 times"):
        make(Cut("some.py", "a = 1", "a = 2"), tmp_path)
    with pytest.raises(Mislaid, match="found 0 times"):
        make(Cut("none.py", "a = 1", "a = 2"), tmp_path)
