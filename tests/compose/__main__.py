"""`make test-compose`: the deployment of `deploy/compose.yaml`, for real and handled roughly; then a table. With
`--cluster` the same with `deploy/compose.cluster.yaml` laid over it, and what only a cluster can be asked.

Needs a Docker with Compose that this user may use (DOCKER_HOST from the environment), as root, for processes are killed
from outside their containers. Everything runs under a project name of its own and is gone afterwards.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from deploy.compose.__main__ import (
    BROKERS,
    NoDocker,
    command,
    compose,
    ensure_secrets,
    secrets_folder,
    subscribers_servers,
)
from deploy.demo.asked import BUILD
from deploy.kafka.acls import SUBSCRIBERS, WATCHER
from deploy.local.machine import LOCAL, ROOT
from deploy.local.ports import free_port
from deploy.secrets import Secrets
from shared.command import run_command
from shared.services import SERVICES
from tests.compose import guide
from tests.compose.subscriber import events_heard

PROJECT = "dossier-test"

HEALTHY_S = {False: 180.0, True: 480.0}
"""Bounds, of a single broker and of a cluster: twenty processes share what cores there are."""
CARRIED_S = {False: 600.0, True: 900.0}
_INSIDE = """
import os
from shared.command import run_command
from shared.command import run_command
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
    cluster: bool = False
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

    @property
    def brokers(self) -> tuple[str, ...]:
        """The brokers' names."""
        return BROKERS if self.cluster else ("kafka",)

    @property
    def replicas(self) -> int:
        """Processes of each service."""
        return 2 if self.cluster else 1

    @property
    def processes(self) -> str:
        """How many that are, in words."""
        return f"{len(SERVICES)} services" + (f", {self.replicas} processes each" if self.cluster else "")

    def up(self, *arguments: str, **more: str) -> None:
        """Bring up, and wait until healthy. Raises CalledProcessError."""
        wait = ["--detach", "--wait", "--wait-timeout", f"{HEALTHY_S[self.cluster]:.0f}"]
        self.ask("--profile", "demo", "up", *wait, *arguments, **more)

    def ask(self, *arguments: str, **more: str) -> str:
        """The output of a compose command. Raises CalledProcessError."""
        return compose(*arguments, more={**self.ports, **more}, cluster=self.cluster, quiet=True).stdout.strip()

    def typed(self, block: str, folder: str = ".") -> str:
        """What a block of the operator's guide prints, typed in `folder`. Raises CalledProcessError."""
        return guide.typed(block, Path(folder), self.cluster, {**os.environ, **self.ports})

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers."""
        return self.ask("ps", "-q", service).split()

    def inspect(self, container: str, what: str) -> str:
        """One thing that Docker knows of a container."""
        command = ["docker", "inspect", "-f", "{{" + what + "}}", container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def of(self, service: str, what: str) -> list[str]:
        """One thing that Docker knows of each of a service's containers."""
        return [self.inspect(container, what) for container in self.containers(service)]

    def kill(self, container: str) -> None:
        """SIGKILL from outside, as the kernel would: the restart policy must bring it back."""
        os.kill(int(self.inspect(container, ".State.Pid")), signal.SIGKILL)

    def load(self, count: int) -> "subprocess.Popen[str]":
        """Citizens and officers at work; ends when all their dossiers have ended."""
        self.rounds += 1
        asked = ["-e", f"COUNT={count}", "-e", f"ROUND={self.rounds}"]
        run = command(self.cluster, "run", "--rm", "-T", "--no-deps", *asked, "client")
        env = {**os.environ, **self.ports}
        return subprocess.Popen(run, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def inside(self, what: str) -> str:
        """What `tests.compose.inside` finds. Raises CalledProcessError if it is not as it should be."""
        tests = f"{ROOT / 'tests'}:/app/tests:ro"
        return self.ask("run", "--rm", "-T", "--no-deps", "-v", tests, "init", "tests.compose.inside", what)

    def carried(self, load: "subprocess.Popen[str]") -> dict[str, Any]:
        """What the load came to. Raises AssertionError if a dossier did not end as it should."""
        said, _ = load.communicate(timeout=CARRIED_S[self.cluster])
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

    def prometheus(self, path: str) -> dict[str, Any]:
        """What Prometheus answers. Raises OSError."""
        with urlopen(f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}/api/v1/{path}", timeout=5) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def measured(self, query: str) -> float:
        """What a query of Prometheus comes to; 0 if nothing has been measured."""
        found = self.prometheus(f"query?{urlencode({'query': query})}")["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Return once something holds. Raises TimeoutError naming it."""
        seconds = HEALTHY_S[self.cluster]
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            time.sleep(0.5)

    def healthy(self, container: str) -> bool:
        """Whether Docker calls it healthy."""
        return self.inspect(container, ".State.Health.Status") == "healthy"


def main() -> int:
    """Everything, one after the other; exit 1 at the first thing that is not as it should be."""
    parser = argparse.ArgumentParser("tests.compose")
    parser.add_argument("--dossiers", type=int, default=100, help="in each load")
    parser.add_argument("--build", type=Path, default=BUILD, help="where compose.json and compose.md are written")
    parser.add_argument("--cluster", action="store_true", help="three brokers, two processes of each service")
    asked = parser.parse_args()
    folder = LOCAL / "compose" / "test-secrets"
    os.environ.pop("DOSSIER_SITE", None)
    os.environ |= {"DOSSIER_SECRETS": str(folder), "COMPOSE_PROJECT_NAME": PROJECT}
    ensure_secrets(folder, BROKERS)
    deployment = Deployment({**_ports(asked.cluster), "N": str(asked.dossiers)}, asked.cluster)
    try:
        deployment.ask("--profile", "demo", "--profile", "client", "build")
        handle(deployment, asked.dossiers)
    except NoDocker as missing:
        sys.stderr.write(f"{missing}\n")
        return 2
    except subprocess.CalledProcessError as failed:
        sys.stderr.write(f"{failed}\n{failed.stdout}\n{failed.stderr}\n")
        return 1
    finally:
        _write(deployment, asked.build)
        _forget(deployment)
    return 0


def _ports(cluster: bool) -> dict[str, str]:
    """Settings of the published ports; 0 to 0 lets Docker choose one for each process."""
    several = {name: "0" for name in ("INTAKE_PORTS", "PAYMENT_PORTS")}
    single = {name: str(free_port()) for name in ("INTAKE_PORT", "PAYMENT_PORT")}
    brokers = {f"KAFKA_{n}_PORT": str(free_port()) for n in range(1, len(BROKERS) + 1)}
    return {**(several | brokers if cluster else single), "PROMETHEUS_PORT": str(free_port())}


def _forget(it: Deployment) -> None:
    try:
        it.ask("--profile", "demo", "--profile", "client", "down", "--volumes", "--timeout", "5")
    except (NoDocker, subprocess.CalledProcessError) as failed:
        sys.stderr.write(f"not ended: {failed}\n")


def handle(it: Deployment, count: int) -> None:
    """The trials. Raises AssertionError, TimeoutError or CalledProcessError at the first that fails."""
    with it.trial("up, until everything is healthy") as found:
        it.up()
        found(f"{it.processes} healthy")
        for service in SERVICES:
            settings = [entry for told in it.of(service, "json .Config.Env") for entry in json.loads(told)]
            names = [entry for entry in settings if entry.startswith("INSTANCE=")]
            assert len(names) == len(set(names)), f"two processes of {service} have one name: {names}"
    with it.trial("dossiers carried through it") as found:
        found(_told(it.carried(it.load(count))))
        found(it.audited())
    with it.trial("init once more") as found:
        found(it.ask("run", "--rm", "-T", "init").replace("\n", ", "))
    _watched(it)
    _hardened(it)
    if it.cluster:
        _refused(it)
        _subscribed(it)
    for service in SERVICES:
        _killed(it, service)
    if it.cluster:
        _broker_lost(it, count)
    _under_load(it, count)
    _upgraded(it, count)
    _restored(it, count)
    _new_key(it, count)
    _again(it, count)


def _told(figures: dict[str, Any]) -> str:
    again = f", {figures['read_again']} records read again" if figures["read_again"] else ""
    return (
        f"{figures['ended_well']} of {figures['dossiers']} ended as they should, 0 lost, "
        f"{figures['repeats']} repeats{again}"
    )


def _watched(it: Deployment) -> None:
    with it.trial("Prometheus sees every process") as found:

        def all_up() -> bool:
            targets = it.prometheus("targets")["activeTargets"]
            up = Counter(one["labels"]["service"] for one in targets if one["health"] == "up")
            return len(targets) == up.total() and up == {**dict.fromkeys(SERVICES, it.replicas), WATCHER: 1}

        it.until(all_up, "every target to be up")
        found(f"{len(SERVICES) * it.replicas + 1} targets up")


def _hardened(it: Deployment) -> None:
    with it.trial("not root, no capability, nothing can be written") as found:
        for service in SERVICES:
            inside = it.ask("exec", "-T", service, "python", "-c", _INSIDE)
            assert inside == "10001 0000000000000000 False", f"{service}: {inside}"
            for privileges in it.of(service, ".HostConfig.SecurityOpt"):
                assert "no-new-privileges" in privileges, f"{service}: {privileges}"
        found(f"{len(SERVICES)} services: uid 10001, CapEff 0, read-only root")


def _refused(it: Deployment) -> None:
    with it.trial("a wrong principal refused on each topic") as found:
        found(it.inside("permissions"))


def _subscribed(it: Deployment) -> None:
    with it.trial("a subscriber outside of the containers hears all that audit holds") as found:
        query = "SELECT count(*) FROM trail"
        held = int(it.ask("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", "dossier_audit", "-Atc", query))
        broker = Secrets(secrets_folder()).broker(subscribers_servers(it.ports), "SASL_SSL", SUBSCRIBERS[0])
        heard = asyncio.run(events_heard(broker))
        assert heard >= held > 0, f"{heard} events heard, {held} in the trail"
        found(f"{heard} events heard over the published addresses, {held} in the trail before")


def _killed(it: Deployment, service: str) -> None:
    with it.trial(f"{service} killed -9") as found:
        container = it.containers(service)[0]
        before = int(it.inspect(container, ".RestartCount"))
        it.kill(container)
        it.until(lambda: int(it.inspect(container, ".RestartCount")) > before, f"{service} to be restarted")
        it.until(lambda: it.healthy(container), f"{service} to be healthy")
        found("back by its restart policy, healthy")


def _broker_lost(it: Deployment, count: int) -> None:
    lost = it.brokers[1]
    with it.trial("a broker killed -9 under load, and gone while the load lasts") as found:
        load = it.load(count)
        it.under_way(load)
        it.ask("kill", lost)  # what Compose kills no restart policy brings back
        found(_told(it.carried(load)))
        assert it.containers(lost) == [], f"{lost} was there again"
    with it.trial("the lost broker back") as found:
        it.up("--no-deps", lost)
        found(it.inside("copies"))
        found(it.audited())


def _under_load(it: Deployment, count: int) -> None:
    for server in (it.brokers[0], "postgres"):
        with it.trial(f"{server} killed -9 under load") as found:
            load = it.load(count)
            it.under_way(load)
            it.kill(it.containers(server)[0])
            found(_told(it.carried(load)))
            found(it.audited())
    with it.trial("all services, Kafka and PostgreSQL restarted under load") as found:
        load = it.load(count)
        it.under_way(load)
        it.ask("restart", *SERVICES)
        it.ask("restart", *it.brokers, "postgres")
        found(_told(it.carried(load)))
        found(it.audited())


def _upgraded(it: Deployment, count: int) -> None:
    with it.trial("one service upgraded while the rest runs under load") as found:
        subprocess.run(["docker", "tag", "dossier:local", "dossier:upgraded"], check=True)
        load = it.load(count)
        it.under_way(load)
        it.up("--no-deps", "notification", DOSSIER_TAG="upgraded")
        images = it.of("notification", ".Config.Image")
        assert len(images) == it.replicas and all(image.endswith(":upgraded") for image in images), images
        found(_told(it.carried(load)))
        found(it.audited())


def _restored(it: Deployment, count: int) -> None:
    with it.trial("verification's database restored as the guide says, from a backup older than a load") as found:
        with tempfile.TemporaryDirectory() as folder:
            it.typed("back-up", folder)
            it.carried(it.load(count))
            it.typed("restore", folder)
        it.up("--no-deps", "--no-recreate", "verification")
        query = 'sum(dossier_events_taken_back_total{service="verification"})'
        it.until(lambda: it.measured(query) >= count, "as many events as dossiers to be taken back")
        found(f"{it.measured(query):.0f} events taken back from the topic")
        found(_told(it.carried(it.load(count))))
        found(it.audited())


def _new_key(it: Deployment, count: int) -> None:
    with it.trial("the key-encryption key exchanged as the guide says, under load") as found:
        load = it.load(count)
        it.under_way(load)
        told = json.loads(it.typed("exchange-the-kek"))
        assert told["rewrapped"] >= count, told
        found(f"{told['rewrapped']} data keys wrapped anew")
        found(_told(it.carried(load)))
        it.until(lambda: _ends_well(lambda: it.typed("is-the-old-kek-needed")), "no service to need the old key")
        it.typed("remove-the-old-kek")
        (name,) = [line.split()[0] for line in Secrets(secrets_folder()).read("kek").splitlines()]
        assert name == told["wraps"], f"{name} is kept instead of {told['wraps']}"
        it.up("--no-deps", "--no-recreate", *SERVICES)
        found(_told(it.carried(it.load(count))))
        found(it.audited())


def _ends_well(asked: Callable[[], str]) -> bool:
    try:
        asked()
    except subprocess.CalledProcessError:
        return False
    return True


def _again(it: Deployment, count: int) -> None:
    with it.trial("down, and up again on the same volumes") as found:
        before = it.filed()
        it.ask("--profile", "demo", "down")
        it.up()
        there = it.filed()
        # The watcher may have filed one of its own by now.
        assert there >= before, f"{there} dossiers instead of {before}"
        found(f"{before} dossiers still there; {it.audited()}")
        found(_told(it.carried(it.load(count))))


def _write(it: Deployment, folder: Path) -> None:
    lines = ["| trial | found | seconds |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.found} | {one.seconds:.0f} |" for one in it.trials]
    folder.mkdir(parents=True, exist_ok=True)
    name = "compose-cluster" if it.cluster else "compose"
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.json").write_text(json.dumps([vars(one) for one in it.trials], indent=1) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    run_command(main)
