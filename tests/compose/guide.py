"""What the operator's guide tells operators to type, read from it and typed: its blocks that have a name."""

import re
import shlex
import subprocess
from pathlib import Path

from deploy.local.machine import ROOT

GUIDE = ROOT / "deploy" / "OPERATING.md"


def commands(name: str) -> str:
    """The lines of the guide's block of this name (```sh name). Raises ValueError if there is not exactly one."""
    (block,) = re.findall(rf"^```sh {re.escape(name)}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def typed(name: str, folder: Path, cluster: bool, settings: dict[str, str]) -> str:
    """What the block prints, typed in `folder` by somebody who has made `dossier` in the checkout.

    Raises CalledProcessError with the exit code of its last command.
    """
    dossier = commands("dossier").replace("# The cluster: ", "" if cluster else "# ")
    ran = subprocess.run(  # noqa: S603 - our own guide
        ["bash", "-c", f"{dossier}\ncd {shlex.quote(str(folder.resolve()))}\n{commands(name)}"],  # noqa: S607
        cwd=ROOT, env=settings, text=True, check=True, capture_output=True,
    )  # fmt: skip
    return ran.stdout
