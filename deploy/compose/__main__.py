"""`python -m deploy.compose up|down`: the deployment of `deploy/compose.yaml` on this machine's Docker.

With `--cluster` `deploy/compose.cluster.yaml` is laid over it.

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
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.machine import LOCAL, ROOT
from deploy.secrets import Secrets
from shared.command import run_command
from shared.errors import Misconfigured
from shared.law.loader import load_catalogue
from shared.services import SERVICES

FILE = ROOT / "deploy" / "compose.yaml"
CLUSTER = ROOT / "deploy" / "compose.cluster.yaml"
BROKERS = ("kafka-1", "kafka-2", "kafka-3")
HEALTHY_S, CLUSTER_HEALTHY_S = 300, 600
SECRETS = LOCAL / "compose" / "secrets"


class NoDocker(Exception):
    """There is no Docker with Compose here; the text says what to do."""


def command(cluster: bool, *arguments: str) -> list[str]:
    """`docker compose` on our files, and on the one that DOSSIER_SITE names, if it does."""
    site = os.environ.get("DOSSIER_SITE")
    files = [FILE, *([CLUSTER] if cluster else []), *([Path(site)] if site else [])]
    return ["docker", "compose", *(word for file in files for word in ("-f", str(file))), *arguments]


def compose(
    *arguments: str, more: Mapping[str, str] | None = None, cluster: bool = False, quiet: bool = False
) -> "subprocess.CompletedProcess[str]":
    """Run `docker compose` on our files. Raises CalledProcessError, and NoDocker."""
    if shutil.which("docker") is None:
        raise NoDocker("docker is not here: install docker.io (or Docker Engine) and its plugin Compose 2.24 or newer")
    return subprocess.run(  # noqa: S603 - the command is ours
        command(cluster, *arguments), cwd=ROOT, text=True, check=True, capture_output=quiet,
        env={**os.environ, "DOSSIER_SECRETS": str(secrets_folder()), **(more or {})},
    )  # fmt: skip


def secrets_folder() -> Path:
    """Where the secret files lie."""
    return Path(os.environ.get("DOSSIER_SECRETS") or SECRETS).resolve()


def published_host() -> str:
    """Under what name or address subscribers outside of the containers reach this machine."""
    return os.environ.get("KAFKA_HOST") or "127.0.0.1"


def ensure_secrets(folder: Path, brokers: Iterable[str] = ()) -> None:
    """Make what is missing, with certificates for these brokers. Only this folder's owner may enter it; the files are
    readable to all, for the containers' user, who has no name here, is shown them one by one.
    """
    kept = Secrets(folder)
    kept.ensure(load_catalogue().agencies)
    for broker in brokers:
        kept.ensure_broker(broker, [broker, "localhost", "127.0.0.1", published_host()])
    credentials = kept.path("register_credentials")
    if not credentials.exists():
        credentials.write_text(f"dossiers:{secrets.token_hex(32)}")
    folder.chmod(0o700)
    for file in folder.iterdir():
        if file.is_file():
            file.chmod(0o444)


def up(demo: bool, cluster: bool) -> None:
    """Bring everything up and say where it is."""
    ensure_secrets(secrets_folder(), BROKERS if cluster else ())
    profile = ["--profile", "demo"] if demo else []
    seconds = CLUSTER_HEALTHY_S if cluster else HEALTHY_S
    compose(*profile, "up", "--build", "--detach", "--wait", "--wait-timeout", str(seconds), cluster=cluster)
    for name, (variable, usual) in _addresses(cluster).items():
        print(f"{name:<11} http://127.0.0.1:{os.environ.get(variable) or usual}")
    if cluster:
        print(f"kafka       {subscribers_servers(os.environ)} (SASL_SSL, for subscribers)")
    print(f"tokens      {secrets_folder() / 'clients.json'}")


def subscribers_servers(ports: Mapping[str, str]) -> str:
    """Where the brokers of the cluster are published, as clients are told (host:port,…)."""
    numbered = range(1, len(BROKERS) + 1)
    return ",".join(f"{published_host()}:{ports.get(f'KAFKA_{n}_PORT') or 9190 + n}" for n in numbered)


def _addresses(cluster: bool) -> Mapping[str, tuple[str, str]]:
    """What is published → the setting of its port, or ports, and what that is if it is not set."""
    doors = {name: row.door for name, row in SERVICES.items() if row.door}
    several = {name: (f"{name.upper()}_PORTS", f"{door}-{door + 1}") for name, door in doors.items()}
    single = {name: (f"{name.upper()}_PORT", str(door)) for name, door in doors.items()}
    return {**(several if cluster else single), "prometheus": ("PROMETHEUS_PORT", "9090")}


def down(volumes: bool, cluster: bool) -> None:
    """End everything; the volumes stay unless they are to be forgotten."""
    forget = ["--volumes"] if volumes else []
    compose("--profile", "demo", "--profile", "client", "down", *forget, cluster=cluster)


def main(typed: Sequence[str]) -> int:
    """What the command line asks for; exit 2 with a sentence if it cannot be had."""
    asked = _parser().parse_args(typed)
    try:
        up(asked.demo, asked.cluster) if asked.command == "up" else down(asked.volumes, asked.cluster)
    except (NoDocker, Misconfigured) as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(f"docker compose ended with {failed.returncode}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("deploy.compose")
    commands = parser.add_subparsers(dest="command", required=True)
    up, down = commands.add_parser("up"), commands.add_parser("down")
    up.add_argument("--demo", action="store_true", help="with simulators of the outside")
    down.add_argument("--volumes", action="store_true", help="forget all data too")
    for each in (up, down):
        each.add_argument("--cluster", action="store_true", help="three brokers, two processes of each service")
    return parser


if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
