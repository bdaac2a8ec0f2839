"""What may be asked across dossiers: whose fee is asked for and unpaid. Pure."""

from collections.abc import Mapping
from typing import Any

from services.payment.state import State
from shared.runtime.kernel.view import Figure, View


def unpaid(state: State) -> Mapping[str, Any] | None:
    """Since when money is asked for and has not come, of which unit's dossier, and how much (đồng)."""
    since, filing = state.unpaid_since, state.intake
    if since is None or filing is None:
        return None
    return {"unit": filing.agency, "since": since, "total_vnd": state.payment.total_vnd}


VIEWS = (View("unpaid", unpaid),)
FIGURES = (Figure("unpaid", "unpaid"), Figure("unpaid_oldest", "unpaid", oldest="since"))
