"""Made-up applications and a made-up register, in the form that real clients send. Seeded: the same seed, the same
data.

For 40 applications or more, every identity outcome, channel, fee kind and a missing paper occur.
"""

import codecs
import json
import os
import random
import unicodedata
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.law.calendar import vietnam_date
from shared.law.catalogue import Catalogue
from shared.law.entries import FeeRule, Procedure
from shared.law.loader import shipped_catalogue
from shared.law.synthetic import AGENCY, PROCEDURE
from shared.law.versions import in_force

_FAMILIES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi", "Đỗ", "Ngô")
_MIDDLES = {"male": ("Văn", "Đức", "Minh", "Quang"), "female": ("Thị", "Thu", "Ngọc", "Kim")}
_GIVEN = ("An", "Bình", "Chi", "Dũng", "Giang", "Hoà", "Khánh", "Linh", "Minh", "Ngân", "Oanh", "Phúc", "Quân", "Tâm")
_PLACES = ("001", "022", "024", "027", "031", "038", "048", "079", "092", "108")
"""Provinces of birth registration, and a country abroad."""
_PLAN = ("plain", "plain", "claim", "plain", "mismatch-name", "missing", "plain", "unknown", "claim", "mismatch-birth")
"""What the n-th application shows, repeated."""


@dataclass(frozen=True, slots=True)
class Data:
    """Applications and register lines, ready to be written."""

    applications: list[dict[str, Any]]
    register: list[dict[str, Any]]


def generate(count: int, now: datetime, seed: int = 1) -> Data:
    """`count` applications received in the 30 days before `now`, and the register's truth about their people."""
    rng = random.Random(seed)  # noqa: S311 - synthetic data, to be the same again
    law = shipped_catalogue()
    data = Data([], [])
    for n in range(count):
        plan = _PLAN[n % len(_PLAN)]
        person = _person(rng, plan)
        application = _application(rng, law, n, plan, person, now)
        if plan != "unknown":
            data.register.append(dict(person))
        data.applications.append({**application, "applicant": _stated(rng, n, plan, person)})
    return data


def _person(rng: random.Random, plan: str) -> dict[str, Any]:
    gender = rng.choice(("male", "female"))
    born = date(rng.randint(1945, 2006), rng.randint(1, 12), rng.randint(1, 28))
    century = (0 if born.year < 2000 else 2) + (gender == "female")
    number = f"{rng.choice(_PLACES)}{century}{born.year % 100:02d}{rng.randint(0, 999_999):06d}"
    name = f"{rng.choice(_FAMILIES)} {rng.choice(_MIDDLES[gender])} {rng.choice(_GIVEN)}"
    known = _known(born) if plan == "plain" else born.isoformat()
    return {"id_number": number, "full_name": name, "date_of_birth": known, "gender": gender}


def _known(born: date) -> str:
    """What the papers of the old have of a birth: of some the year only, of some the month too."""
    exactness = 10 if born.year >= 1955 else (4, 7)[born.month % 2]
    return born.isoformat()[:exactness]


def _spelled(n: int, name: str) -> str:
    """The same name as people type it: in capitals, decomposed, with the tone mark in its old place or odd spaces."""
    ways = (
        name,
        name.upper(),
        unicodedata.normalize("NFD", name),
        name.replace("oà", "òa"),
        name.replace(" ", "\u00a0"),
    )
    return ways[n % len(ways)]


def _stated(rng: random.Random, n: int, plan: str, person: Mapping[str, Any]) -> dict[str, Any]:
    """The person as the application states them: with a wrong name or birth date where the plan says so."""
    name, born = _spelled(n, person["full_name"]), person["date_of_birth"]
    if plan == "mismatch-name":
        *before, last = person["full_name"].split()
        name = " ".join([*before, rng.choice([given for given in _GIVEN if given != last])])
    if plan == "mismatch-birth":
        day = date.fromisoformat(born)
        born = day.replace(month=day.month % 12 + 1).isoformat()
    return {
        "id_number": person["id_number"],
        "full_name": name,
        "date_of_birth": born,
        "phone": f"09{rng.randint(0, 99_999_999):08d}",
        "email": f"citizen-{n}@example.com",
        "locale": "en" if n % 5 == 4 else "vi",
    }


def _application(
    rng: random.Random, law: Catalogue, n: int, plan: str, person: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    at = (now - timedelta(minutes=rng.randint(5, 30 * 24 * 60))).astimezone(UTC).replace(second=0, microsecond=0)
    rule = _favour(law, n, at.date()) if plan == "claim" else None
    procedure = law.procedure(rule.procedure, at.date()) if rule else _procedure(rng, law, n, plan, at.date())
    codes = procedure.papers[:-1] if plan == "missing" else procedure.papers
    claim = None if rule is None else {"group": rng.choice(rule.groups), "evidence_sha256": _digest(rng)}
    made: dict[str, Any] = {
        # The same to the same run only: a desk that has seen an earlier one would take these for its requests.
        "idempotency_key": str(uuid.uuid5(uuid.UUID(int=rng.getrandbits(128)), now.isoformat())),
        "procedure": procedure.code,
        "case": rule.case if rule and rule.case else "standard",
        "agency": _agency(rng, law, rule, vietnam_date(at)),
        "channel": procedure.channels[n % len(procedure.channels)],
        "submitted_at": at.isoformat(),
        "copies": rng.choice((1, 1, 2, 3, 5)),
        "papers": [_paper(rng, code) for code in codes],
        "waiver_claim": claim,
    }
    return {**made, "pages": rng.choice((1, 2, 8, 20))} if procedure.needs_pages else made


def _favour(law: Catalogue, n: int, on: date) -> FeeRule:
    """Waivers and reductions in turn."""
    kind = "reduction" if n % 4 == 0 else "waiver"
    rules = [rule for rules in law.fee_rules.values() for rule in rules if rule.kind == kind and rule.in_force(on)]
    return rules[n % len(rules)]


def _procedure(rng: random.Random, law: Catalogue, n: int, plan: str, on: date) -> Procedure:
    real = (version for versions in law.procedures.values() for version in versions if version.code != PROCEDURE)
    known = [version for version in real if version.in_force(on)]
    if plan == "missing":
        known = [procedure for procedure in known if len(procedure.papers) > 1]
    if n % 7 == 0:
        known = [procedure for procedure in known if "postal" in procedure.channels] or known
    return rng.choice(known)


def _agency(rng: random.Random, law: Catalogue, rule: FeeRule | None, on: date) -> str:
    known = (in_force(versions, on) for code, versions in law.agencies.items() if code != AGENCY)
    real = [agency for agency in known if agency is not None]
    fitting = [agency.code for agency in real if not rule or rule.province in (None, agency.province)]
    return rng.choice(sorted(fitting))


def _paper(rng: random.Random, code: str) -> dict[str, Any]:
    return {"code": code, "sha256": _digest(rng), "size": rng.randint(20_000, 400_000), "media_type": "application/pdf"}


def _digest(rng: random.Random) -> str:
    return f"{rng.getrandbits(256):064x}"


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    """One JSON object a line, in a new file that nobody else may read: it may hold people."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return path


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an input file: its application, or what is wrong with it."""

    number: int
    application: dict[str, Any] | None
    fault: str = ""


def read_lines(path: Path) -> Iterator[Line]:
    """The applications of a file, line by line, a byte-order mark before any passed over; `expect` and anything like it
    is not looked at. Raises OSError.
    """
    for number, raw in enumerate(path.read_bytes().splitlines(), start=1):
        text = raw.removeprefix(codecs.BOM_UTF8)
        if not text.strip():
            continue
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield Line(number, None, f"not JSON: {type(error).__name__}")
            continue
        if isinstance(content, dict):
            content.pop("expect", None)
            yield Line(number, content)
        else:
            yield Line(number, None, "not a JSON object")
