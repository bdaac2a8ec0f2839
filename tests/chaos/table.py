"""What a run came to, as a table for people and as JSON for machines."""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.run import Ended, Met
from tests.chaos.schedule import KINDS

HEADINGS = ("fault", "done", "not done", "median to level, s", "worst to level, s", "second mails", "wrong")


def rows(ended: Ended) -> list[tuple[str, ...]]:
    """One row for each kind of fault that came."""
    by_kind: dict[str, list[Met]] = defaultdict(list)
    for one in ended.met:
        by_kind[one.fault.kind].append(one)
    return [_row(kind, by_kind[kind], ended.excused.get(kind, 0)) for kind in KINDS if kind in by_kind]


def _row(kind: str, met: Sequence[Met], mails: int) -> tuple[str, ...]:
    done = [one for one in met if not one.not_done]
    took = [one.recovered_s for one in done if one.recovered_s is not None]
    median, worst = (f"{statistics.median(took):.1f}", f"{max(took):.1f}") if took else ("", "")
    wrong = sum(len(one.wrong) for one in met)
    return kind, str(len(done)), str(len(met) - len(done)), median, worst, str(mails), str(wrong)


def totals(ended: Ended) -> dict[str, Any]:
    """The figures of the whole run."""
    verdict, findings = ended.verdict, ended.findings
    took = [one.recovered_s for one in ended.met if one.recovered_s is not None]
    return {
        "seed": ended.wanted.seed,
        "replicas": ended.wanted.replicas,
        "faults_done": sum(1 for one in ended.met if not one.not_done),
        "dossiers": verdict.dossiers,
        "most_under_way": ended.most_in_flight,
        "events": verdict.events,
        "requests": dict(findings.operations),
        "lost": len(findings.lost),
        "doubled": len(findings.doubled),
        "reordered": len(findings.reordered),
        "phantom": len(findings.phantom),
        "repeats_on_topics": verdict.repeats,
        "charges": verdict.charges,
        "notices": verdict.notices,
        "second_mails": verdict.second_copies,
        "second_mails_unexplained": ended.excused.get("nothing", 0),
        "dead_letters": sum(map(len, ended.dead.values())),
        "worst_to_level_s": round(max(took), 1) if took else None,
        "median_to_level_s": round(statistics.median(took), 1) if took else None,
        "seconds": round(ended.seconds),
        "faults_of_the_platform": len(ended.faults),
    }


def markdown(ended: Ended, machine: Mapping[str, Any]) -> str:
    """build/chaos.md."""
    told = [f"| {' | '.join(HEADINGS)} |", "|" + "---|" * len(HEADINGS)]
    told += [f"| {' | '.join(row)} |" for row in rows(ended)]
    told += ["", "| whole run | |", "|---|---|"]
    told += [f"| {name.replace('_', ' ')} | {value} |" for name, value in totals(ended).items()]
    told += ["", "; ".join(f"{name} {value}" for name, value in machine.items()), ""]
    told += [f"* {fault}" for fault in ended.faults]
    return "\n".join(told).rstrip() + "\n"


def write(folder: Path, ended: Ended, machine: Mapping[str, Any]) -> None:
    """build/chaos.md and build/chaos.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chaos.md").write_text(markdown(ended, machine), encoding="utf-8")
    faults = [
        {
            "number": one.fault.number, "fault": str(one.fault), "kind": one.fault.kind, "at": one.at.isoformat(),
            "dossiers_under_way": one.in_flight, "level_after_s": one.recovered_s, "not_done": one.not_done,
            "notes": one.notes, "wrong": one.wrong,
        }
        for one in ended.met
    ]  # fmt: skip
    told = {"machine": machine, "totals": totals(ended), "met": faults, "wrong": ended.faults}
    (folder / "chaos.json").write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
