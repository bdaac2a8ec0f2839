"""`python -m deploy.compose up|down`: the deployment of `deploy/compose.yaml` on this machine's Docker.

`up` makes the secrets that are missing (in .local/compose/secrets, or where DOSSIER_SECRETS says), builds the images,
and waits until everything is healthy; with `--demo` the simulators of the outside come too. `down` ends it and keeps
the volumes; `--volumes` forgets them.
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.machine import LOCAL, ROOT
from deploy.secrets import Secrets
from shared.law.loader import load_catalogue

FILE = ROOT / "deploy" / "compose.yaml"
SECRETS = LOCAL / "compose" / "secrets"


class NoDocker(Exception):
    """There is no Docker with Compose here; the text says what to do."""


def compose(
    *arguments: str, more: Mapping[str, str] | None = None, **options: bool
) -> "subprocess.CompletedProcess[str]":
    """`docker compose` on our file. Raises CalledProcessError, and NoDocker."""
    if shutil.which("docker") is None:
        raise NoDocker("docker is not here: install docker.io (or Docker Engine) and its plugin Compose 2.24 or newer")
    command = ["docker", "compose", "-f", str(FILE), *arguments]
    return subprocess.run(  # noqa: S603 - the command is ours
        command, cwd=ROOT, env={**os.environ, "DOSSIER_SECRETS": str(secrets_folder()), **(more or {})}, text=True,
        check=True, capture_output=options.get("quiet", False),
    )  # fmt: skip


def secrets_folder() -> Path:
    """Where the secret files lie."""
    return Path(os.environ.get("DOSSIER_SECRETS") or SECRETS).resolve()


def ensure_secrets(folder: Path) -> None:
    """Make what is missing. Only this folder's owner may enter it; the files are readable to all, for the containers'
    user, who has no name here, is shown them one by one.
    """
    kept = Secrets(folder)
    kept.ensure(load_catalogue().agencies)
    credentials = kept.path("register_credentials")
    if not credentials.exists():
        credentials.write_text(f"dossiers:{secrets.token_hex(32)}")
    folder.chmod(0o700)
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(0o444)


def up(demo: bool) -> None:
    """Bring everything up and say where it is."""
    ensure_secrets(secrets_folder())
    profile = ["--profile", "demo"] if demo else []
    compose(*profile, "up", "--build", "--detach", "--wait", "--wait-timeout", "300")
    ports = {"intake": "INTAKE_PORT", "payment": "PAYMENT_PORT", "prometheus": "PROMETHEUS_PORT"}
    usual = {"INTAKE_PORT": "8001", "PAYMENT_PORT": "8003", "PROMETHEUS_PORT": "9090"}
    for name, variable in ports.items():
        print(f"{name:<11} http://127.0.0.1:{os.environ.get(variable) or usual[variable]}")
    print(f"tokens      {secrets_folder() / 'clients.json'}")


def down(volumes: bool) -> None:
    """End everything; the volumes stay unless they are to be forgotten."""
    compose("--profile", "demo", "--profile", "client", "down", *(["--volumes"] if volumes else []))


def main(typed: Sequence[str]) -> int:
    """What the command line asks for; exit 2 with a sentence if it cannot be had."""
    parser = argparse.ArgumentParser("deploy.compose")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up").add_argument("--demo", action="store_true", help="with simulators of the outside")
    commands.add_parser("down").add_argument("--volumes", action="store_true", help="forget all data too")
    asked = parser.parse_args(typed)
    try:
        up(asked.demo) if asked.command == "up" else down(asked.volumes)
    except NoDocker as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(f"docker compose ended with {failed.returncode}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
