"""A mailbox, a domain or a hanging recipient delays its own mails and nobody else's: notification's engine and tasks on
a real database, with a real mail server.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from deploy.postgres.provision import Databases
from deploy.simulators.process import Simulators
from deploy.waiting import until
from services.notification.gateways import SmtpServer
from services.notification.state import State
from services.notification.tasks import Domains, Office, kinds
from shared.events.base import Event
from shared.runtime.engine.batcher import Batcher
from shared.runtime.kernel.decider import Message
from shared.runtime.kernel.kept import KeptStates
from shared.runtime.kernel.message import Item
from shared.runtime.keys.sealing import seal
from shared.runtime.observe.metrics import Metrics
from shared.runtime.tasks.breaker import Circuit
from shared.runtime.tasks.queue import Worker
from shared.runtime.tasks.remembered import Remembered
from tests import controls
from tests.controls import AT
from tests.deciders import LAW, NOTIFICATION
from tests.integration.runtime.stage import Stage, staged
from tests.unit.keys import HERE, KEY

SERVICE, MAILS = "notification", "dossier_mails_total"
PEOPLE = Path(__file__).parents[2] / "contract" / "simulators" / "people.jsonl"


@dataclass
class Post:
    """Notification at work: what it hears, what the mail server got, what the store says."""

    stage: Stage
    outside: Simulators
    worker: Worker
    engine: Any
    office: Office
    clock: Iterator[int] = field(default_factory=count)

    async def hear(self, events: Sequence[tuple[UUID, Event]]) -> None:
        """Events of these dossiers, each under an id of its own."""
        items = [
            Item(message=Message(uuid4(), dossier, AT + timedelta(seconds=next(self.clock)), body), dossier_id=dossier)
            for dossier, body in events
        ]
        await self.engine.handle(items)
        self.worker.wake()

    async def file(self, *addresses: str) -> list[UUID]:
        """One application for each address."""
        dossiers = [uuid4() for _ in addresses]
        await self.hear([(dossier, filed(dossier, to)) for dossier, to in zip(dossiers, addresses, strict=True)])
        return dossiers

    def addressed(self) -> list[str]:
        """Who got mails, in order."""
        return [to for mail in self.outside.mails() for to in mail["rcpt_to"]]

    async def arrived(self, count: int, seconds: float) -> None:
        """Return once so many mails are at the server."""

        async def there() -> bool:
            return len(self.outside.mails()) >= count

        await until(there, seconds=seconds, what=f"{count} mails", every=0.05)

    async def said(self, kind: str) -> int:
        """How many events of a kind were said."""
        return await self.stage.count("events", f"type = 'vn.gov.dossier.{kind}.v1'")

    @property
    def circuit(self) -> Circuit:
        """What is thought of the mail server."""
        return self.worker.breakers["mail"].state


def sealed(dossier: UUID, **clear: str) -> Any:
    fields = {name: seal(KEY, dossier, f"applicant.{name}", text) for name, text in clear.items()}
    return controls.applicant(**fields)


def filed(dossier: UUID, to: str) -> Event:
    return controls.dossier_submitted(applicant=sealed(dossier, full_name="Nguyễn Thị Mẫu", email=to))


@pytest_asyncio.fixture
async def outside(tmp_path: Path) -> AsyncIterator[Simulators]:
    async with Simulators(tmp_path / "outside", PEOPLE, only=["smtp"]) as outside:
        yield outside


@asynccontextmanager
async def working(databases: Databases, outside: Simulators, room: int = 64) -> AsyncIterator[Post]:
    async with staged(databases, SERVICE) as stage:
        server = SmtpServer("127.0.0.1", outside.smtp_port, "dossier@dvc.example")
        metrics = Metrics(SERVICE)
        office = Office(
            server, HERE, LAW, "dvc.example", Remembered(stage.pool, State(), KeptStates()).of, metrics,
            Domains(asyncio.get_running_loop().time),
        )  # fmt: skip
        engine = stage.engine(NOTIFICATION)
        worker = Worker(kinds(office), stage.pool, Batcher(engine.handle), metrics, room=room, look_s=0.1)
        post = Post(stage, outside, worker, engine, office)
        running = asyncio.create_task(worker.run())
        try:
            yield post
        finally:
            worker.retire()
            await running
            for task in worker.running:
                task.cancel()
            await asyncio.gather(*worker.running, return_exceptions=True)
            await server.close()


@pytest_asyncio.fixture
async def post(fresh_databases: Databases, outside: Simulators) -> AsyncIterator[Post]:
    async with working(fresh_databases, outside) as post:
        yield post


@pytest.mark.parametrize("deferred", [10, 100])
@pytest.mark.parametrize(
    "answer", ["452 4.2.2 mailbox full", "450 4.7.1 greylisted", "452 4.3.1 no space", "451 later"]
)
async def test_mailboxes_that_do_not_take_mails_now_delay_nobody_else(post: Post, deferred: int, answer: str) -> None:
    """Before, 10 of them delayed others by 8.8 s at the median, and 100 let none of 179 through in 100 s."""
    await post.outside.control("smtp", defer_recipients=["full*"], defer_answer=answer)
    await post.file(*(f"full{n}@example.vn" for n in range(deferred)))
    others = [f"mau{n}@example.vn" for n in range(179)]
    began = asyncio.get_running_loop().time()
    await post.file(*others)
    await post.arrived(179, seconds=30)
    took = asyncio.get_running_loop().time() - began
    print(f"{deferred} × {answer}: 179 others in {took:.1f} s")
    assert sorted(post.addressed()) == sorted(others)
    assert post.circuit is Circuit.CLOSED, "nothing was wrong with the server"
    assert await post.said("notice-delayed") == deferred
    assert await post.said("notice-undeliverable") == 0


async def test_recipients_for_whom_no_answer_comes_delay_others_once_and_by_seconds(post: Post) -> None:
    """A hundred at a domain that hangs, twice; others arrive meanwhile, the second time as if there were none."""
    await post.outside.control("smtp", slow_recipients=["*@hangs.vn"])
    await post.file(*(f"a{n}@hangs.vn" for n in range(100)))
    await post.file(*(f"mau{n}@example.vn" for n in range(50)))
    await post.arrived(50, seconds=30)
    await post.file(*(f"b{n}@hangs.vn" for n in range(100)))
    began = asyncio.get_running_loop().time()
    await post.file(*(f"ba{n}@example.vn" for n in range(50)))
    await post.arrived(100, seconds=30)
    assert asyncio.get_running_loop().time() - began < 5
    assert post.circuit is Circuit.CLOSED
    assert not [to for to in post.addressed() if to.endswith("hangs.vn")]


async def test_a_slow_recipient_gets_the_mail_all_the_same(post: Post) -> None:
    await post.outside.control("smtp", slow_recipients=["slow@*"], slow_ms=8_000)
    await post.file("slow@example.vn", "mau@example.vn")
    await post.arrived(2, seconds=40)
    assert post.addressed() == ["mau@example.vn", "slow@example.vn"]
    assert await post.said("notice-delayed") == 0, "that is no delay to tell of"


async def test_recipients_at_whom_the_connection_is_cut_delay_nobody_else(post: Post) -> None:
    await post.outside.control("smtp", cut_recipients=["cut*"])
    await post.file(*(f"cut{n}@example.org" for n in range(30)), *(f"mau{n}@example.vn" for n in range(30)))
    await post.arrived(30, seconds=30)
    assert post.circuit is Circuit.CLOSED


async def test_a_no_for_good_is_undeliverable_at_once_be_it_to_the_recipient_or_to_the_content(post: Post) -> None:
    await post.outside.control("smtp", reject_recipients=["nobody@*"], refuse_content_to=["strict@*"])
    await post.file("nobody@example.vn", "strict@example.vn", "mau@example.vn")
    await post.arrived(1, seconds=30)

    async def told() -> bool:
        return await post.said("notice-undeliverable") == 2

    await until(told, seconds=30, what="both to be told of", every=0.05)


async def test_a_server_that_lets_nobody_in_opens_the_breaker_and_no_mail_is_delayed(post: Post) -> None:
    await post.outside.control("smtp", mode="down")
    await post.file(*(f"mau{n}@example.vn" for n in range(20)))

    async def open_() -> bool:
        return post.circuit is not Circuit.CLOSED

    await until(open_, seconds=30, what="the breaker to open", every=0.02)
    assert await post.said("notice-delayed") == 0
    await post.outside.reset("smtp")
    await post.arrived(20, seconds=60)
    assert len(set(post.addressed())) == 20


async def test_a_deferred_mail_holds_the_next_ones_of_its_dossier_and_goes_to_a_corrected_address_at_once(
    post: Post,
) -> None:
    await post.outside.control("smtp", defer_recipients=["full@*"])
    dossier, other = await post.file("full@example.vn", "mau@example.vn")
    await post.hear([(dossier, controls.dossier_accepted()), (other, controls.dossier_accepted())])
    await post.arrived(2, seconds=30)
    assert post.addressed() == ["mau@example.vn"] * 2

    async def told() -> bool:
        return await post.said("notice-delayed") == 1

    await until(told, seconds=30, what="the delay to be told", every=0.02)
    moved = sealed(dossier, full_name="Nguyễn Thị Mẫu", email="moi@example.vn")
    await post.hear([(dossier, controls.applicant_corrected(applicant=moved))])
    await post.arrived(4, seconds=20)
    assert post.addressed()[2:] == ["moi@example.vn"] * 2
    assert ["nhận được" in mail["subject"] for mail in post.outside.mails()[2:]] == [True, False]


async def test_an_undeliverable_notice_goes_to_a_corrected_address(post: Post) -> None:
    await post.outside.control("smtp", reject_recipients=["nobody@*"])
    (dossier,) = await post.file("nobody@example.vn")

    async def told() -> bool:
        return await post.said("notice-undeliverable") == 1

    await until(told, seconds=30, what="it to be undeliverable", every=0.02)
    moved = sealed(dossier, full_name="Nguyễn Thị Mẫu", email="moi@example.vn")
    await post.hear([(dossier, controls.applicant_corrected(applicant=moved))])
    await post.arrived(1, seconds=30)
    assert post.addressed() == ["moi@example.vn"]


async def test_what_is_settled_before_its_turn_is_cancelled_and_not_sent(post: Post) -> None:
    await post.outside.control("smtp", mode="down")
    (dossier,) = await post.file("mau@example.vn")
    await post.hear([(dossier, controls.payment_requested()), (dossier, controls.fee_paid())])
    await post.outside.reset("smtp")
    await post.arrived(2, seconds=60)

    async def told() -> bool:
        return await post.said("notice-sent") == 2

    await until(told, seconds=30, what="both to be sent", every=0.02)
    assert await post.said("notice-cancelled") == 1
    assert "nộp phí" not in post.outside.mails()[1]["subject"]


async def test_a_mailbox_that_takes_no_mail_for_too_long_is_given_up(post: Post) -> None:
    post.office.give_up = timedelta(0)
    await post.outside.control("smtp", defer_recipients=["full@*"])
    (dossier,) = await post.file("full@example.vn")

    async def told() -> bool:
        return await post.said("notice-undeliverable") == 1

    await until(told, seconds=30, what="it to be given up", every=0.02)
    state = await Remembered(post.stage.pool, State(), KeptStates()).of(dossier)
    assert list(state.notification.undeliverable.values()) == [1]


@pytest.mark.parametrize(
    "answer",
    ["554 5.7.1 Relay access denied", "550 relay not permitted", "550 5.7.0 local policy", "550 5.3.5 set up wrong"],
)
async def test_who_is_refused_by_a_relay_that_is_set_up_wrong_gets_the_mail_once_it_is_mended(
    post: Post, answer: str
) -> None:
    """Before, each was told to be undeliverable at the first attempt, and never tried again."""
    await post.outside.control("smtp", reject_recipients=["*"], reject_answer=answer)
    people = [f"mau{n}@example.vn" for n in range(5)]
    await post.file(*people)

    async def told() -> bool:
        return await post.said("notice-delayed") == len(people)

    await until(told, seconds=30, what="each to be told to be delayed", every=0.05)
    assert (await post.said("notice-undeliverable"), post.circuit) == (0, Circuit.CLOSED)
    kind = "5.3" if "5.3" in answer else "5.7"
    assert post.office.metrics.registry.get_sample_value(MAILS, {"outcome": "deferred", "reason": kind}) == len(people)
    await post.outside.reset("smtp")
    await post.stage.admin.execute("UPDATE tasks SET run_at = now() WHERE kind = 'send-mail-again'")
    post.worker.wake()
    await post.arrived(len(people), seconds=30)
    assert sorted(post.addressed()) == people


@pytest.mark.parametrize("answer", ["503 5.5.1 need MAIL command", "530 5.7.0 log in first", "500 what"])
async def test_a_server_that_will_not_hear_of_a_recipient_opens_the_breaker_and_no_mail_is_lost(
    post: Post, answer: str
) -> None:
    await post.outside.control("smtp", reject_recipients=["*"], reject_answer=answer)
    people = [f"mau{n}@example.vn" for n in range(20)]
    await post.file(*people)

    async def open_() -> bool:
        return post.circuit is not Circuit.CLOSED

    await until(open_, seconds=30, what="the breaker to open", every=0.02)
    assert (await post.said("notice-delayed"), await post.said("notice-undeliverable")) == (0, 0)
    await post.outside.reset("smtp")
    await post.arrived(len(people), seconds=60)
    assert set(post.addressed()) == set(people)
