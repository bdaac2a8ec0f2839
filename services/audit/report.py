"""What `verify` tells: a line for each writer and shard, every finding by name, one verdict."""

from dataclasses import asdict, dataclass, field
from typing import TextIO

from services.audit.differences import KEYS_TOPIC, Finding


@dataclass(slots=True)
class Line:
    """One shard of one writer in the report."""

    writer: str
    shard: int
    published: int
    seen: int
    repeats: int
    gaps: int
    filled: int
    discrepancies: int
    not_yet_heard: int
    findings: int


@dataclass(slots=True)
class Report:
    """All that was found."""

    lines: list[Line] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def not_yet_heard(self) -> int:
        """Published positions that audit has not read yet."""
        return sum(line.not_yet_heard for line in self.lines)

    @property
    def clean(self) -> bool:
        """Whether store and trail agree on everything published."""
        return not self.findings and self.not_yet_heard == 0


@dataclass
class Progress:
    """One line that is written over, on a terminal only."""

    out: TextIO
    done: int = 0

    def step(self, writer: str, last: bool = False) -> None:
        """One position more, or the end of a writer."""
        self.done += 1
        if self.out.isatty() and (last or self.done % 1000 == 0):
            self.out.write(f"\r{writer}: {self.done} positions compared" + (" \n" if last else ""))
            self.out.flush()


_HEADS = (
    "writer",
    "shard",
    "published",
    "seen",
    "repeats",
    "gaps",
    "filled",
    "discrepancies",
    "not yet heard",
    "wrong",
)


def _where(one: Finding) -> str:
    if one.writer == KEYS_TOPIC:
        return f"partition {one.shard}"
    where = str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
    return f"shard {one.shard} sequence {where}"


def print_report(report: Report, out: TextIO) -> None:
    """The table, then every finding in a line of its own, then the verdict."""
    out.write(" ".join(f"{head:>12}" for head in _HEADS) + "\n")
    for line in report.lines:
        cells = list(asdict(line).values())
        if any(cells[2:]):
            out.write(" ".join(f"{cell:>12}" for cell in cells) + "\n")
    for one in report.findings:
        out.write(f"WRONG {one.writer} {_where(one)}: {one.what} ({one.detail})\n")
    if report.not_yet_heard:
        out.write(f"not yet heard: {report.not_yet_heard}\n")
    seen, repeats = sum(line.seen for line in report.lines), sum(line.repeats for line in report.lines)
    verdict = "clean" if report.clean else f"{len(report.findings)} findings"
    out.write(f"{seen} positions seen, {repeats} repeats: {verdict}\n")
