"""`make test-compose`: the deployment of `deploy/compose.yaml`, for real and handled roughly; then a table.

Needs a Docker with Compose that this user may use (DOCKER_HOST from the environment), as root, for processes are killed
from outside their containers. Everything runs under a project name of its own and is gone afterwards.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from deploy.compose.__main__ import FILE, NoDocker, compose, ensure_secrets
from deploy.demo.asked import BUILD
from deploy.kafka.acls import WATCHER
from deploy.local.machine import LOCAL
from deploy.local.ports import free_port
from deploy.postgres.names import SERVICES

PROJECT = "dossier-test"
HEALTHY_S = 180
_INSIDE = """
import os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
try:
    open("/app/written", "w")
    written = True
except OSError:
    written = False
print(os.getuid(), status["CapEff"].strip(), written)
"""


@dataclass
class Trial:
    """What was done, how it ended, and how long it took."""

    name: str
    found: str
    seconds: float


@dataclass
class Deployment:
    """The deployment under test."""

    ports: dict[str, str]
    trials: list[Trial] = field(default_factory=list)
    rounds: int = 0

    @contextmanager
    def trial(self, name: str) -> Iterator[Callable[[str], None]]:
        """One line of the table; what is found is told to what this gives."""
        print(f"… {name}", flush=True)
        told: list[str] = []
        began = time.monotonic()
        yield told.append
        self.trials.append(Trial(name, "; ".join(told), time.monotonic() - began))
        print(f"  {self.trials[-1].found} ({self.trials[-1].seconds:.0f} s)", flush=True)

    def up(self, *services: str, **more: str) -> None:
        """Bring up, and wait until healthy. Raises CalledProcessError."""
        wait = ["--detach", "--wait", "--wait-timeout", str(HEALTHY_S)]
        compose("--profile", "demo", "up", *wait, *services, more={**self.ports, **more}, quiet=True)

    def ask(self, *arguments: str) -> str:
        """The output of a compose command. Raises CalledProcessError."""
        return compose(*arguments, more=self.ports, quiet=True).stdout.strip()

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.ask("ps", "-q", service)

    def inspect(self, service: str, what: str) -> str:
        """One thing that Docker knows of a service's container."""
        command = ["docker", "inspect", "-f", "{{" + what + "}}", self.container(service)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def kill(self, service: str) -> None:
        """SIGKILL from outside, as the kernel would: the restart policy must bring it back."""
        os.kill(int(self.inspect(service, ".State.Pid")), signal.SIGKILL)

    def load(self, count: int) -> "subprocess.Popen[str]":
        """Citizens and officers at work; ends when all their dossiers have ended."""
        self.rounds += 1
        asked = ["-e", f"COUNT={count}", "-e", f"ROUND={self.rounds}"]
        command = ["docker", "compose", "-f", str(FILE), "run", "--rm", "-T", "--no-deps", *asked, "client"]
        return subprocess.Popen(
            command, env={**os.environ, **self.ports}, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def carried(self, load: "subprocess.Popen[str]") -> dict[str, Any]:
        """What the load came to. Raises AssertionError if a dossier did not end as it should."""
        said, _ = load.communicate(timeout=600)
        figures: dict[str, Any] = json.loads(said.splitlines()[-1])
        assert load.returncode == 0, f"not every dossier ended as it should: {figures}"
        return figures

    def audited(self) -> str:
        """The last line of `verify`. Raises CalledProcessError if the trail is not clean."""
        return self.ask("exec", "-T", "audit", "python", "-m", "services.audit", "verify").splitlines()[-1]

    def under_way(self, load: "subprocess.Popen[str]") -> None:
        """Return once dossiers are on their way."""
        before = self.filed()
        self.until(lambda: self.filed() >= before + 10, "ten dossiers to be filed")
        assert load.poll() is None, "the load ended before anything was done to it"

    def filed(self) -> int:
        """Dossiers that there are."""
        query = "SELECT count(*) FROM states"
        return int(self.ask("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "dossier_intake", "-Atc", query))

    def until(self, holds: Callable[[], bool], what: str, seconds: float = HEALTHY_S) -> None:
        """Return once something holds. Raises TimeoutError naming it."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.5)

    def healthy(self, service: str) -> bool:
        """Whether Docker calls it healthy."""
        return self.inspect(service, ".State.Health.Status") == "healthy"


def main() -> int:
    """Everything, one after the other; exit 1 at the first thing that is not as it should be."""
    parser = argparse.ArgumentParser("tests.compose")
    parser.add_argument("--dossiers", type=int, default=100, help="in each load")
    parser.add_argument("--build", type=Path, default=BUILD, help="where compose.json and compose.md are written")
    asked = parser.parse_args()
    folder = LOCAL / "compose" / "test-secrets"
    os.environ |= {"DOSSIER_SECRETS": str(folder), "COMPOSE_PROJECT_NAME": PROJECT}
    ensure_secrets(folder)
    ports = {name: str(free_port()) for name in ("INTAKE_PORT", "PAYMENT_PORT", "PROMETHEUS_PORT")}
    deployment = Deployment({**ports, "N": str(asked.dossiers)})
    try:
        compose("--profile", "demo", "--profile", "client", "build", quiet=True)
        handle(deployment, asked.dossiers)
    except NoDocker as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(f"{failed}\n{failed.stdout}\n{failed.stderr}\n")
        return 1
    finally:
        _write(deployment, asked.build)
        _forget()
    return 0


def _forget() -> None:
    try:
        compose("--profile", "demo", "--profile", "client", "down", "--volumes", "--timeout", "5", quiet=True)
    except (NoDocker, subprocess.CalledProcessError) as failed:
        sys.stderr.write(f"not ended: {failed}\n")


def handle(it: Deployment, count: int) -> None:
    """The trials. Raises AssertionError, TimeoutError or CalledProcessError at the first that fails."""
    with it.trial("up, until everything is healthy") as found:
        it.up()
        found(f"{len(SERVICES)} services healthy")
    with it.trial("dossiers carried through it") as found:
        found(_told(it.carried(it.load(count))))
        found(it.audited())
    with it.trial("init once more") as found:
        found(it.ask("run", "--rm", "-T", "init").replace("\n", ", "))
    _watched(it)
    _hardened(it)
    for service in SERVICES:
        _killed(it, service)
    _under_load(it, count)
    _upgraded(it, count)
    _again(it, count)


def _told(figures: dict[str, Any]) -> str:
    return (
        f"{figures['ended_well']} of {figures['dossiers']} ended as they should, 0 lost, {figures['repeats']} repeats"
    )


def _watched(it: Deployment) -> None:
    with it.trial("Prometheus sees every process") as found:
        url = f"http://127.0.0.1:{it.ports['PROMETHEUS_PORT']}/api/v1/targets"

        def all_up() -> bool:
            with urlopen(url, timeout=5) as answer:
                targets = json.load(answer)["data"]["activeTargets"]
            return {one["labels"]["service"]: one["health"] for one in targets} == dict.fromkeys(
                [*SERVICES, WATCHER], "up"
            )

        it.until(all_up, "every target to be up")
        found(f"{len(SERVICES) + 1} targets up")


def _hardened(it: Deployment) -> None:
    with it.trial("not root, no capability, nothing can be written") as found:
        for service in SERVICES:
            inside = it.ask("exec", "-T", service, "python", "-c", _INSIDE)
            assert inside == "10001 0000000000000000 False", f"{service}: {inside}"
            privileges = it.inspect(service, ".HostConfig.SecurityOpt")
            assert "no-new-privileges" in privileges, f"{service}: {privileges}"
        found(f"{len(SERVICES)} services: uid 10001, CapEff 0, read-only root")


def _killed(it: Deployment, service: str) -> None:
    with it.trial(f"{service} killed -9") as found:
        before = int(it.inspect(service, ".RestartCount"))
        it.kill(service)
        it.until(lambda: int(it.inspect(service, ".RestartCount")) > before, f"{service} to be restarted")
        it.until(lambda: it.healthy(service), f"{service} to be healthy")
        found("back by its restart policy, healthy")


def _under_load(it: Deployment, count: int) -> None:
    for server in ("kafka", "postgres"):
        with it.trial(f"{server} killed -9 under load") as found:
            load = it.load(count)
            it.under_way(load)
            it.kill(server)
            found(_told(it.carried(load)))
            found(it.audited())
    with it.trial("all services, Kafka and PostgreSQL restarted under load") as found:
        load = it.load(count)
        it.under_way(load)
        it.ask("restart", *SERVICES)
        it.ask("restart", "kafka", "postgres")
        found(_told(it.carried(load)))
        found(it.audited())


def _upgraded(it: Deployment, count: int) -> None:
    with it.trial("one service upgraded while the rest runs under load") as found:
        subprocess.run(["docker", "tag", "dossier:local", "dossier:upgraded"], check=True)
        load = it.load(count)
        it.under_way(load)
        wait = ["--detach", "--no-deps", "--wait", "--wait-timeout", str(HEALTHY_S)]
        compose("up", *wait, "notification", more={**it.ports, "DOSSIER_TAG": "upgraded"}, quiet=True)
        assert it.inspect("notification", ".Config.Image").endswith(":upgraded")
        found(_told(it.carried(load)))
        found(it.audited())


def _again(it: Deployment, count: int) -> None:
    with it.trial("down, and up again on the same volumes") as found:
        before = it.filed()
        compose("--profile", "demo", "down", more=it.ports, quiet=True)
        it.up()
        assert it.filed() == before, f"{it.filed()} dossiers instead of {before}"
        found(f"{before} dossiers still there; {it.audited()}")
        found(_told(it.carried(it.load(count))))


def _write(it: Deployment, folder: Path) -> None:
    lines = ["| trial | found | seconds |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.found} | {one.seconds:.0f} |" for one in it.trials]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compose.md").write_text("\n".join(lines) + "\n")
    (folder / "compose.json").write_text(json.dumps([vars(one) for one in it.trials], indent=1) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
