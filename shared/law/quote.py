"""Fee and limits of one application, before anything has happened."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from shared.law.application import Application
from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.clock import accept_by, due_at
from shared.law.codes import province_of
from shared.law.fees import Assessment, Filing, assess


def filing_of(application: Application, catalogue: Catalogue, submitted_at: datetime) -> Filing:
    """What the fee of a faultless application submitted at an aware instant depends on."""
    return Filing(
        procedure=application.procedure,
        case=application.case,
        channel=application.channel,
        province=province_of(application.agency),
        filed_on=vietnam_date(submitted_at),
        copies=application.copies,
        pages=application.pages,
    )


def fee_of(application: Application, catalogue: Catalogue, submitted_at: datetime) -> Assessment:
    """The fee of a faultless application, its group taken as proven (F2)."""
    return assess(catalogue, filing_of(application, catalogue, submitted_at), application.group)


def quote(application: Application, catalogue: Catalogue, submitted_at: datetime) -> dict[str, Any]:
    """One line of `python -m shared.law quote`: the fee in đồng; acceptance limit and due date in +07:00.

    The due date is the one that acceptance at the moment of submission would give.
    """
    procedure = catalogue.procedure(application.procedure, vietnam_date(submitted_at))
    calendar = catalogue.calendar(application.agency)
    fee = fee_of(application, catalogue, submitted_at)
    return {
        "idempotency_key": application.idempotency_key,
        "fee_vnd": fee.total_vnd,
        "fee_kind": fee.kind,
        "lines": [asdict(line) for line in fee.lines],
        "accept_by": accept_by(calendar, submitted_at).isoformat(),
        "due_if_accepted_at_submission": due_at(calendar, submitted_at, procedure.time_allowed).isoformat(),
    }
