"""Which fault comes when: a pure function of the seed. One table of all kinds, and what each does."""

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.services import SERVICES

EVERY = tuple(SERVICES)
SPEAK = tuple(name for name, row in SERVICES.items() if not row.keeps_trail)
"""Those that say something while all is well."""
TOUCH = ("verification", "notification")
"""Those whose tasks touch the outside."""


def _points(service: str) -> tuple[str, ...]:
    publishing, touching = ["after-publish"] * (service in SPEAK), ["after-effect"] * (service in TOUCH)
    return ("before-commit", "after-commit", *publishing, "before-acknowledge", *touching)


POINTS: Mapping[str, tuple[str, ...]] = {name: _points(name) for name in SERVICES}
"""The crash points that each service passes under load."""

LINKS: Mapping[str, tuple[str, ...]] = {
    "broker": EVERY,
    "database": EVERY,
    "register": ("verification",),
    "bank": ("payment",),
    "smtp": ("notification",),
}
"""What a network fault lies before, and whose side it is on."""

ALL = -1
"""Instead of a replica: every one of the service."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault. `weight`: its share of the faults beyond the first of each kind; `seconds`: how long it holds,
    from and to; `whom`: the services that it may meet (none: it meets no single service).
    """

    does: str
    ends: str
    weight: float
    seconds: tuple[float, float]
    whom: tuple[str, ...] = EVERY
    links: tuple[str, ...] = ()
    rounds: tuple[int, int] = (1, 1)


def _net(does: str, ends: str, seconds: tuple[float, float]) -> Kind:
    return Kind(does, ends, 6, seconds, links=tuple(LINKS))


KINDS: Mapping[str, Kind] = {
    "kill": Kind("SIGKILL to one replica at a random moment", "started again", 60, (0.0, 2.0)),
    "crash": Kind("one replica dies at a named crash point", "started again", 45, (0.0, 1.0), rounds=(1, 4)),
    "term": Kind("SIGTERM to one replica under load; it must drain in time", "started again", 12, (0.0, 1.0)),
    "stop-consumer": Kind("SIGSTOP of one replica beyond its consumer's session", "SIGCONT", 3, (17.0, 20.0)),
    "stop-leader": Kind("SIGSTOP of the replica that leads the relay", "SIGCONT", 3, (17.0, 20.0), SPEAK),
    # Of intake, which draws running numbers: a commit of the others is one statement, and leaves no place to stop in.
    "stop-in-transaction": Kind("SIGSTOP of a replica inside a transaction", "SIGCONT", 3, (6.0, 17.0), ("intake",)),
    "cut-commit": Kind("connections cut between COMMIT and its answer", "all cut", 20, (0.0, 0.0), rounds=(1, 6)),
    "broker": Kind("the broker dies by SIGKILL", "started again", 5, (0.0, 8.0), ()),
    "database": Kind("PostgreSQL shuts down immediately", "started again", 5, (0.0, 5.0), ()),
    "both": Kind("broker and PostgreSQL die together", "both started again", 3, (0.0, 5.0), ()),
    "storm": Kind("a third replica joins or leaves every 2 s", "it has left", 3, (2.0, 2.0), rounds=(4, 6)),
    "net-cut": _net("connections end and are refused", "accepted again", (2.0, 15.0)),
    "net-slow": _net("50 to 300 ms later and 200 kB/s at most, each way", "at full speed", (5.0, 12.0)),
    "net-reset": _net("RST on all connections once a second", "left alone", (3.0, 8.0)),
    "net-half-open": _net("connections go silent for ever, new ones too", "new ones pass", (5.0, 12.0)),
    "clock": Kind(
        "one replica's clock steps 4 minutes ahead, then 4 behind", "started with the right one", 4, (5.0, 8.0)
    ),
    "disk-broker": Kind("no room left on the broker's disk", "freed; started again if it ended", 2, (4.0, 8.0), ()),
    "disk-database": Kind("no room left on PostgreSQL's disk", "freed; started again if it ended", 2, (4.0, 8.0), ()),
    "register-down": Kind("the register refuses connections", "started again", 1, (60.0, 120.0), ()),
    "bank-down": Kind("the bank refuses connections", "started again", 1, (60.0, 120.0), ()),
    "restore": Kind("a database as it was 30 s before takes its place", "processes started", 2, (30.0, 30.0)),
    "lost-tail": Kind("a topic loses its last records with a dead broker", "started again", 3, (0.0, 1.0), SPEAK),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a run: `delay` seconds after the load has been let on, for `seconds`, so many `rounds`."""

    number: int
    kind: str
    service: str
    replica: int
    point: str
    delay: float
    seconds: float
    rounds: int
    chance: float

    def __str__(self) -> str:
        whom = "every replica" if self.replica == ALL else f"replica {self.replica}"
        where = f" {self.service} {whom}" if self.service else ""
        return f"{self.kind}{where}{f' {self.point}' if self.point else ''}"


def plan(seed: int, faults: int, replicas: int, only: Collection[str] = ()) -> list[Fault]:
    """`faults` faults in the order in which they come. Each kind comes once before any comes by its weight, every crash
    point of every service as soon as there is room. Raises ValueError for an unknown kind.
    """
    if unknown := set(only) - set(KINDS):
        raise ValueError(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    rng = random.Random(seed)
    kinds = [kind for kind in KINDS if not only or kind in only]
    chosen = kinds[:faults]
    weights = [KINDS[kind].weight for kind in kinds]
    chosen += rng.choices(kinds, weights, k=faults - len(chosen))
    rng.shuffle(chosen)
    made = [_fault(rng, number, kind, replicas) for number, kind in enumerate(chosen, start=1)]
    return _everywhere(rng, made)


def _fault(rng: random.Random, number: int, kind: str, replicas: int) -> Fault:
    what = KINDS[kind]
    service = rng.choice(what.whom) if what.whom else ""
    return Fault(
        number, kind, service, rng.randrange(replicas), "", round(rng.uniform(0.0, 1.5), 2),
        round(rng.uniform(*what.seconds), 1), rng.randint(*what.rounds), round(rng.random(), 3),
    )  # fmt: skip


def _everywhere(rng: random.Random, faults: Sequence[Fault]) -> list[Fault]:
    """Crashes go round all crash points, and each of the network's faults round all links."""
    points = [(service, point) for service in SERVICES for point in POINTS[service]]
    rng.shuffle(points)
    met: Counter[str] = Counter()
    spread = []
    for fault in faults:
        turn, links = met[fault.kind], KINDS[fault.kind].links
        met[fault.kind] += 1
        if fault.kind == "crash":
            service, point = points[turn % len(points)]
            spread.append(replace(fault, service=service, point=point))
        elif links:
            link = links[(turn + len(fault.kind)) % len(links)]
            spread.append(_before(rng, fault, link))
        else:
            spread.append(fault)
    return spread


def _before(rng: random.Random, fault: Fault, link: str) -> Fault:
    """The network's fault on this link: at one replica or at all of them; the bank knows one address of payment's."""
    replica = ALL if link == "bank" or rng.random() < 0.5 else fault.replica
    return replace(fault, service=rng.choice(LINKS[link]), point=link, replica=replica)
