"""The whole way of one synthetic dossier: stage by stage, what is done over HTTP and what must then be heard."""

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import structlog

from deploy.demo.players import Desk, Turned
from deploy.watcher.ear import Ear
from deploy.watcher.metrics import Metrics
from shared.law.application import Applicant
from shared.law.synthetic import AGENCY, PROCEDURE

log = structlog.get_logger(__name__)

CLIENT = "watcher"
GIVE_UP_S = 30.0
_NOTICES = ("submission", "acceptance", "processing", "result", "returned")
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Stage:
    """A part of the way: an officer's act, if any, and the events that must be heard after it. Those of `never` end it
    at once.
    """

    name: str
    heard: frozenset[str]
    act: str = ""
    body: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    never: frozenset[str] = frozenset()

    def over(self, said: set[str]) -> bool:
        """Whether everything was heard. Raises Astray."""
        if wrong := self.never & said:
            raise Astray(", ".join(sorted(wrong)))
        return self.heard <= said


class Astray(Exception):
    """Something was said of a dossier that leads it off its way; the text is what."""


FILED = "filed"
STAGES: Sequence[Stage] = (
    Stage(FILED, frozenset({"DossierSubmitted"})),
    Stage(
        "identity", frozenset({"CitizenVerified"}),
        never=frozenset({"CitizenMismatched", "CitizenNotFound", "VerificationAbandoned"}),
    ),
    Stage("fee", frozenset({"FeeAssessed"}), never=frozenset({"FeeAbandoned", "PaymentRequested"})),
    Stage("accepted", frozenset({"DossierAccepted"}), "accept"),
    Stage("started", frozenset({"ProcessingStarted"}), "start"),
    Stage("issued", frozenset({"ResultIssued"}), "issue-result", {"result_sha256": sha256(b"synthetic").hexdigest()}),
    Stage("returned", frozenset({"ResultReturned"}), "return-result", {"handover": "online"}),
    Stage(
        "told", frozenset(f"NoticeSent {notice}" for notice in _NOTICES),
        never=frozenset(f"NoticeUndeliverable {notice}" for notice in _NOTICES),
    ),
)  # fmt: skip
"""In this order; the law lets no officer go another way."""

REFUSABLE = frozenset({"identity", "fee", "accepted"})
"""Who fails here still lies at the door, and is refused there, so that nothing is left half done."""


def application(applicant: Applicant) -> Mapping[str, Any]:
    """What is filed: free of charge, with all papers, for the unit and the procedure that only this is for."""
    paper = {"code": "application-form", "sha256": sha256(b"form").hexdigest(), "size": 1, "media_type": "text/plain"}
    return {
        "procedure": PROCEDURE, "case": "standard", "agency": AGENCY, "channel": "online", "copies": 1,
        "applicant": applicant.model_dump(mode="json"), "papers": [paper],
    }  # fmt: skip


@dataclass
class Way:
    """Sends dossiers on their way; each may take `patience_s` seconds."""

    desk: Desk
    ear: Ear
    metrics: Metrics
    applicant: Applicant
    patience_s: float
    clock: Callable[[], float] = time.monotonic

    async def go(self) -> None:
        """One dossier from its filing to its last notice; how it ended is told by the metrics and the log."""
        began, at = self.clock(), [FILED]
        dossier = ""
        try:
            async with asyncio.timeout(self.patience_s):
                dossier = await self._file()
                await self._walk(dossier, at)
        except (TimeoutError, Turned, Astray) as lost:
            self.metrics.failed(at[-1])
            log.error("synthetic-dossier-failed", dossier_id=dossier, point=at[-1], why=str(lost) or "too late")
            await self._end(dossier, at[-1])
        else:
            self.metrics.arrived(self.clock() - began)
        finally:
            self.ear.forget(dossier)

    async def _file(self) -> str:
        async with self.ear.filing() as follow:
            answer = await self.desk.post(CLIENT, "/v1/dossiers", str(uuid.uuid4()), application(self.applicant))
            follow(answer["dossier_id"])
        return str(answer["dossier_id"])

    async def _walk(self, dossier: str, at: list[str]) -> None:
        for stage in STAGES:
            at.append(stage.name)
            if stage.act:
                await self._act(dossier, stage.act, stage.body)
            await self.ear.until(dossier, stage.over)

    async def _act(self, dossier: str, act: str, body: Mapping[str, Any]) -> None:
        await self.desk.post(CLIENT, f"/v1/dossiers/{dossier}/{act}", f"{act}-{dossier}", body)

    async def _end(self, dossier: str, stage: str) -> None:
        """Refuse what still lies at the door. If that cannot be done either, it lies there: it is counted nowhere."""
        if dossier and stage in REFUSABLE:
            with suppress(TimeoutError, Turned):
                async with asyncio.timeout(GIVE_UP_S):
                    await self._act(dossier, "refuse", {"reason": "not-competent"})
