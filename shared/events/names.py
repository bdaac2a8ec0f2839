"""What an event is called: its CloudEvents type on the wire and in what is kept, its name where people read. Pure."""

import re
from functools import cache

_TYPE = re.compile(r"vn\.gov\.dossier\.([a-z0-9-]+)\.v[0-9]+")


@cache
def name_of(kind: str) -> str:
    """What happened, in whichever version of its type it was said: `vn.gov.dossier.fee-paid.v2` is a `FeePaid`.

    What is no type of ours is its own name.
    """
    ours = _TYPE.fullmatch(kind)
    return "".join(word.capitalize() for word in ours[1].split("-")) if ours else kind


@cache
def first_type(name: str) -> str:
    """The type under which an event of this name was said at first: `FeePaid` was `vn.gov.dossier.fee-paid.v1`."""
    return f"vn.gov.dossier.{re.sub('(?<!^)(?=[A-Z])', '-', name).lower()}.v1"
