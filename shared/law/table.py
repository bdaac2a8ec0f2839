"""The catalogue as a table that people can read."""

from collections.abc import Iterable, Iterator, Sequence

from shared.law.catalogue import Catalogue
from shared.law.clock import Duration
from shared.law.entries import Agency, Dated, FeeRule, Named, Procedure, Reason

_PROCEDURE_HEAD = ("code", "name", "time", "channels", "cases", "papers", "in force", "legal basis", "source")
_FEE_HEAD = ("procedure", "rule", "kind", "for", "đồng", "in force", "legal basis", "source")
_UNIT_HEAD = (
    "unit",
    "name",
    "level",
    "province",
    "below",
    "Saturdays",
    "followed by",
    "in force",
    "legal basis",
    "source",
)
_PAPER_HEAD = ("paper", "name", "in English")
_REASON_HEAD = ("reason for a refusal", "sentence", "in English", "legal basis")


def catalogue_table(catalogue: Catalogue) -> str:
    """Procedures, fee rules, units, papers and reasons with legal basis and dates; the text ends with a newline."""
    procedures = [_procedure_row(version) for versions in catalogue.procedures.values() for version in versions]
    units = [_unit_row(version) for versions in catalogue.agencies.values() for version in versions]
    rules = [_fee_row(rule) for found in catalogue.fee_rules.values() for rule in found]
    return "\n".join(
        (
            f"Catalogue {catalogue.version}",
            "",
            *_aligned(_PROCEDURE_HEAD, procedures),
            "",
            *_aligned(_FEE_HEAD, rules),
            "",
            *_aligned(_UNIT_HEAD, units),
            "",
            *_aligned(_PAPER_HEAD, map(_named, catalogue.papers.values())),
            "",
            *_aligned(_REASON_HEAD, map(_reason_row, catalogue.reasons.values())),
            "",
            "source: F = found with a source, GK = general knowledge, to be confirmed",
            "",
        )
    )


def _aligned(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    table = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    table.insert(1, ["-" * width for width in widths])
    return ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)


def _procedure_row(procedure: Procedure) -> tuple[str, ...]:
    return (
        procedure.code,
        procedure.name_vi,
        _time(procedure.time_allowed),
        ", ".join(procedure.channels),
        ", ".join(procedure.cases),
        ", ".join(procedure.papers),
        _dates(procedure),
        procedure.basis,
        procedure.source,
    )


def _fee_row(rule: FeeRule) -> tuple[str, ...]:
    scope = (rule.case, rule.channel, rule.province, " or ".join(rule.groups))
    return (
        rule.procedure,
        rule.id,
        rule.kind,
        ", ".join(filter(None, scope)) or "everyone",
        _amount(rule),
        _dates(rule),
        rule.basis,
        rule.source,
    )


def _unit_row(unit: Agency) -> tuple[str, ...]:
    return (
        unit.code,
        unit.name_vi,
        unit.level,
        unit.province_vi,
        unit.parent or "",
        "mornings" if unit.saturday_mornings else "",
        ", ".join(unit.successors),
        _dates(unit),
        unit.basis,
        unit.source,
    )


def _named(entry: Named) -> tuple[str, ...]:
    return entry.code, entry.name_vi, entry.name_en


def _reason_row(reason: Reason) -> tuple[str, ...]:
    return (*_named(reason), reason.basis or "")


def _time(duration: Duration) -> str:
    unit = duration.unit.replace("_", " ")
    return f"{duration.amount} {unit}" if duration.amount else unit


def _amount(rule: FeeRule) -> str:
    if rule.kind == "waiver":
        return "0"
    which = f" {rule.first}-{rule.last or ''}" if rule.first > 1 or rule.last else ""
    cap = f", at most {rule.cap_per_copy_vnd:,} a copy" if rule.cap_per_copy_vnd else ""
    return f"{rule.amount_vnd:,} per {rule.per}{which}{cap}"


def _dates(entry: Dated) -> str:
    return f"{entry.valid_from} to {entry.valid_to or '…'}"
