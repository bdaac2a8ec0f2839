"""A faultless application of a made-up person, and how a row of the table spoils it."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

UNIT = "H02.15.12"
OTHER_UNIT = "H02.15.07"
DROP = object()
"""Instead of a value: the field is left out."""

GOOD: Mapping[str, Any] = {
    "procedure": "1.002755",
    "case": "standard",
    "agency": UNIT,
    "channel": "online",
    "copies": 1,
    "applicant": {
        "id_number": "022095999123",
        "full_name": "Trần Thị Mẫu Đơn",
        "date_of_birth": "1995-10-10",
        "phone": "0900999123",
        "email": "mau-don.9123@example.com",
        "locale": "vi",
    },
    "papers": [
        {"code": "application-form", "sha256": "3f" * 32, "size": 192975, "media_type": "application/pdf"},
    ],
    "waiver_claim": None,
}

CLAIM = {"group": "student", "evidence_sha256": "4d" * 32}


def but(changes: Mapping[str, Any], body: Any = GOOD) -> Any:
    """A copy of `body` with the values at these JSON pointers put in, or left out (DROP)."""
    made = copy.deepcopy(body)
    for pointer, value in changes.items():
        *way, last = pointer.split("/")[1:]
        place = made
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if value is DROP:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return made


def encoded(content: Any) -> bytes:
    """JSON as clients write it."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")


def texts_in(content: Any) -> Iterator[str]:
    """Every text and number in a body, as text; no names of fields."""
    if isinstance(content, Mapping):
        for inner in content.values():
            yield from texts_in(inner)
    elif isinstance(content, list):
        for inner in content:
            yield from texts_in(inner)
    elif isinstance(content, str | int | float) and not isinstance(content, bool):
        yield str(content)
