"""What git tracks is the project: never packages, jars or a link to them, which a merge would put in their place."""

import subprocess

from deploy.local.machine import ROOT


def test_neither_packages_nor_jars_nor_a_link_to_them_are_tracked() -> None:
    asked = ["git", "-C", str(ROOT), "ls-files", ".venv", ".local", "build"]
    assert subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "", "git rm --cached it"
