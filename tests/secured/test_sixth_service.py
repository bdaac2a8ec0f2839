"""A service more is a row in the table of services, the words that it says, and its rooms; nothing else is written.

In a copy of the tree it is added and provisioned on a real PostgreSQL and Kafka, and run beside the desk; there it is
asked what every service is asked: what its rooms use, and what its role and its principal may do.
"""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.sabotage.__main__ import Ran, copy_tree, make, run_pytest
from tests.secured.ledger import INSIDE, SERVICE

pytestmark = pytest.mark.asyncio(loop_scope="session")
"""Beside the platform of this floor, whose subscriber goes on hearing meanwhile."""

LAWS = tuple(f"tests/architecture/test_{name}.py" for name in ("services", "rooms", "routing"))
GRANTS = ("tests/secured/test_permissions.py", "tests/secured/test_databases.py")
ASKED = 16
"""Tests of every service, of which the ledger's are run: nine laws, five of permissions, and its own two."""


async def test_a_sixth_service_is_a_row_its_words_and_its_rooms(tmp_path: Path) -> None:
    ran = await asyncio.to_thread(_asked_inside, tmp_path)
    assert ran.green, str(ran)
    assert ran.tests >= ASKED


def _asked_inside(folder: Path) -> Ran:
    tree = copy_tree(folder / "tree")
    for cut in (*SERVICE, *INSIDE):
        make(cut, tree)
    subprocess.run(["git", "init", "-q", str(tree)], check=True)  # the laws ask git what is ours
    return run_pytest(tree, folder, ["-k", "ledger", *LAWS, *GRANTS, "tests/secured/test_ledger.py"])
