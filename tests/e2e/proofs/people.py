"""Made-up people whose every personal word is a mark: a token that occurs nowhere else in the world.

The n-th person's first two applications differ only in what `deploy.demo.data` plans for them.
"""

from datetime import UTC, date, datetime
from typing import Any

from deploy.demo.data import Data, Line, generate
from shared.law.loader import shipped_catalogue

NAME = "Quýxợtằn"
EMAIL = "zqx7canary"
PHONE = "0975318642"
NUMBER = "0790573186"
"""The first ten of twelve digits of every identity number: province 079, a man of the 20th century, year 57."""
NOTE = "Ghichúwỡkẽ"
BORN, STATED_BORN = date(1957, 3, 9), date(1957, 4, 9)
GROUPS = ("hard-commune", "martyr-relative", "poor-household")
"""Groups of waiver claims whose words occur nowhere else in the catalogue; every rule has one of them."""

MISMATCHED_NAME, UNKNOWN, MISMATCHED_BIRTH = 4, 7, 9
"""Where the plan of `deploy.demo.data`, repeated after ten, has a wrong name, nobody in the register, a wrong birth."""


def cast(count: int, first: int = 0) -> Data:
    """`count` (at most 100 - first) applications of marked people, numbered from `first`, and the register's truth."""
    made = generate(count, datetime.now(UTC), seed=57 + first)
    data = Data([], [])
    for n, application in enumerate(made.applications):
        data.applications.append(_marked(application, n, first + n))
        if n % 10 != UNKNOWN:
            data.register.append(truth(first + n))
    return data


def lines(data: Data) -> list[Line]:
    """The applications as the demonstration's players take them."""
    return [Line(n, application) for n, application in enumerate(data.applications, 1)]


def truth(n: int) -> dict[str, Any]:
    """What the register holds of the n-th person."""
    return {
        "id_number": f"{NUMBER}{n:02d}",
        "full_name": f"Ngô {NAME} An",
        "date_of_birth": BORN.isoformat(),
        "gender": "male",
    }


def _marked(application: dict[str, Any], plan: int, n: int) -> dict[str, Any]:
    said = truth(n)
    del said["gender"]
    if plan % 10 == MISMATCHED_NAME:
        said["full_name"] = f"Ngô {NAME} Bình"
    if plan % 10 == MISMATCHED_BIRTH:
        said["date_of_birth"] = STATED_BORN.isoformat()
    contact = {"phone": PHONE, "email": f"{EMAIL}{n}@example.com", "locale": "en" if n % 3 else "vi"}
    return {**application, "applicant": {**said, **contact}, "waiver_claim": _claim(application)}


def _claim(application: dict[str, Any]) -> dict[str, Any] | None:
    """The claim, by one of the groups that are marks, under the same rule of the catalogue."""
    claim = application["waiver_claim"]
    if claim is None:
        return None
    rules = shipped_catalogue().fee_rules[application["procedure"]]
    groups = [group for rule in rules if claim["group"] in rule.groups for group in rule.groups if group in GROUPS]
    return {**claim, "group": groups[0]}
