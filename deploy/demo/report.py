"""What the demonstration leaves behind: a table for people, totals and one line per application for machines."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.demo.players import IDENTITY, Played
from deploy.demo.watch import Watcher
from shared.events.notification import NoticeKind
from shared.lifecycle import LABELS, LIFECYCLE, Status

_WORDS = {"CitizenVerified": "verified", "CitizenMismatched": "mismatched", "CitizenNotFound": "not_found"}
_OWES: Mapping[str, NoticeKind] = {
    "DossierSubmitted": "submission",
    "SupplementRequested": "supplement",
    "SupplementReminderDue": "supplement-reminder",
    "SupplementLapsed": "supplement-lapsed",
    "SupplementReceived": "supplement-received",
    "PaymentRequested": "payment-due",
    "FeePaid": "payment-received",
    "DuplicatePaymentFound": "payment-duplicate",
    "FeeWaived": "waiver",
    "DossierAccepted": "acceptance",
    "DossierRefused": "refusal",
    "ProcessingStarted": "processing",
    "ResultIssued": "result",
    "ResultReturned": "returned",
}
STAGES = (
    ("submitted", ("DossierSubmitted",)),
    ("identity answered", IDENTITY),
    ("fee assessed", ("FeeAssessed",)),
    ("fee paid", ("FeePaid",)),
    ("accepted", ("DossierAccepted",)),
    ("result returned", ("ResultReturned",)),
)


def notices_owed(played: Played) -> Counter[str]:
    """The notices that what was said owes to the applicant."""
    events = played.case.events
    owed: Counter[str] = Counter(_OWES[event.name] for event in events if event.name in _OWES)
    owed["no-fee"] += sum(event.data.get("claim_unmet") == "no-fee" for event in events)
    return +owed


def notices_sent(played: Played) -> Counter[str]:
    """The notices that went out; or were not to be said any more when their turn came, as of a fee that is paid."""
    return Counter(event.data["notice"] for event in played.case.all("NoticeSent", "NoticeCancelled"))


def status_of(played: Played) -> int | None:
    """The national portal's code, from what was said and the one table."""
    status: Status | None = None
    for event in played.case.events:
        following = {cell[1].__name__: after for cell, after in LIFECYCLE.items() if cell[0] == status}
        status = following.get(event.name, status)
    return None if status is None else int(status)


def line_of(played: Played) -> dict[str, Any]:
    """One line of dossiers.jsonl."""
    case = played.case
    identity = next(iter(case.all(*IDENTITY)), None)
    submitted, fee, accepted = case.last("DossierSubmitted"), case.last("FeeAssessed"), case.last("DossierAccepted")
    return {
        "idempotency_key": (played.line.application or {}).get("idempotency_key"),
        "dossier_id": played.dossier_id or None,
        "code": played.code or None,
        "status": status_of(played),
        "identity": _WORDS[identity.name] if identity else None,
        "mismatched_fields": identity.data.get("fields", []) if identity else [],
        "missing_papers": submitted.data["missing_papers"] if submitted else [],
        "fee_vnd": fee.data["total_vnd"] if fee else None,
        "fee_kind": fee.data["kind"] if fee else None,
        "accepted_at": accepted.data["accepted_at"] if accepted else None,
        "due_at": accepted.data["due_at"] if accepted else None,
        "events": [event.name for event in case.in_order()],
        "notices": [event.data["notice"] for event in case.all("NoticeSent")],
    }


def ended_well(played: Played) -> bool:
    """Whether the dossier ended as it should: returned, or refused where that was the plan, and every notice out
    once.
    """
    right = Status.NOT_ACCEPTED if played.refused else Status.RETURNED
    return played.finished and status_of(played) == right and notices_owed(played) == notices_sent(played)


def latencies(played: Sequence[Played]) -> dict[str, dict[str, float]]:
    """p50 and p99 in seconds from sending the application to the publication of each stage's first event."""
    found: dict[str, dict[str, float]] = {}
    for stage, names in STAGES:
        times = [
            (event.published_at - one.sent_at).total_seconds()
            for one in played
            if one.sent_at is not None and (event := next(iter(one.case.all(*names)), None)) is not None
        ]
        if len(times) > 1:
            cuts = statistics.quantiles(times, n=100, method="inclusive")
            found[stage] = {"p50_s": round(cuts[49], 3), "p99_s": round(cuts[98], 3), "count": len(times)}
    return found


def write(folder: Path, played: Sequence[Played], totals: Mapping[str, Any]) -> None:
    """build/dossiers.jsonl and build/demo.json."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(line_of(one), ensure_ascii=False) + "\n" for one in played)
    # Half a character that came in a file has no UTF-8; its escape is JSON's own.
    (folder / "dossiers.jsonl").write_text(lines, encoding="utf-8", errors="backslashreplace")
    (folder / "demo.json").write_text(json.dumps(totals, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def totals(played: Sequence[Played], watcher: Watcher, seconds: float, audit: int) -> dict[str, Any]:
    """The totals of demo.json."""
    well = sum(ended_well(one) for one in played)
    statuses = Counter(str(status_of(one)) for one in played)
    return {
        "applications": len(played),
        "ended_well": well,
        "not_ended_well": len(played) - well,
        "seconds": round(seconds, 2),
        "dossiers_per_s": round(well / seconds, 1) if seconds else None,
        "by_status": dict(sorted(statuses.items())),
        "events": dict(sorted(watcher.counts.items())),
        "repeats_on_topics": watcher.repeats,
        "gaps_on_topics": watcher.gaps,
        "latency": latencies(played),
        "audit_exit_code": audit,
    }


def show(
    say: Callable[[str], None], figures: Mapping[str, Any], played: Sequence[Played], places: Sequence[str]
) -> None:
    """The table at the end."""
    say("\nDossiers by status")
    for status, count in figures["by_status"].items():
        label = LABELS[Status(int(status))].en if status.isdigit() else "never submitted"
        say(f"  {status:>4}  {label:<32} {count:>6}")
    say("\nEvents by type")
    for name, count in figures["events"].items():
        say(f"        {name:<32} {count:>6}")
    say("\nFrom sending the application to …        p50 s    p99 s")
    for stage, one in figures["latency"].items():
        say(f"        {stage:<32} {one['p50_s']:>6.2f}   {one['p99_s']:>6.2f}")
    say("")
    for one in [one for one in played if not ended_well(one)][:20]:
        missing = notices_owed(one) - notices_sent(one)
        say(f"line {one.line.number}: {one.fault or 'did not end as it should'} (notices missing: {dict(missing)})")
    verdict = "clean" if figures["audit_exit_code"] == 0 else "NOT clean"
    say(
        f"{figures['ended_well']} of {figures['applications']} dossiers ended as they should, "
        f"in {figures['seconds']} s ({figures['dossiers_per_s']} dossiers/s)"
    )
    say(f"on the topics: {figures['repeats_on_topics']} repeats, {figures['gaps_on_topics']} gaps; audit {verdict}")
    for place in places:
        say(place)
