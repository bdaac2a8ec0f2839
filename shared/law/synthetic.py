"""Synthetic dossiers: those with which the platform watches itself. They are filed for a unit of their own and under a
procedure of their own, which nobody else may use: so no citizen's unit gives them a number, an officer or a place in a
list, and whoever hears the topics knows them by `agency` and `procedure` of their first event.
"""

AGENCY = "H00.00"
PROCEDURE = "9.000000"
"""Free of charge: nothing is asked of the bank."""


def is_synthetic(agency: str) -> bool:
    """Whether a dossier of this unit is one of them."""
    return agency == AGENCY
