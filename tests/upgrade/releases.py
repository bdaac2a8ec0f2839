"""The next two releases, made of this one: a copy of the tree, and in it what a later release changes of each kind.

N+1 brings a type of event (`LookUpBegun`, said by verification and heard by payment), an optional field
(`DossierSubmitted.origin`), a word of an enum (`CitizenMismatched.fields`), a field of states that old dossiers need
too (`verified_at` of payment, with another shape), one that they do not need (`looked_up` of verification), a `.v2`
that it reads and does not write yet (`CitizenVerified`), a kind of task, a table, and a column of a view (payment's
`unpaid`). N+2 writes the `.v2`.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.sabotage.__main__ import copy_tree, make
from tests.sabotage.guards import Cut

_WORDS = "shared/events/verification.py"
_RULES = "services/verification/rules.py"

_NEW_TYPE = (
    Cut(
        _WORDS,
        "class VerificationDelayed(Event):",
        '''class LookUpBegun(Event):
    """The register is being asked about these data."""

    TYPE = "vn.gov.dossier.look-up-begun.v1"
    applicant_version: ApplicantVersion


class VerificationDelayed(Event):''',
    ),
    Cut(
        "services/payment/state.py",
        "def _account(",
        """def _begun(state: State, event: Message[verified.LookUpBegun]) -> State:
    begun = state.verification.model_copy(update={"begun": state.verification.begun + 1})
    return state.model_copy(update={"verification": begun})


def _account(""",
    ),
    Cut(
        "services/payment/state.py",
        "        said.FeeAssessed: _assessed,\n",
        "        verified.LookUpBegun: _begun,\n        said.FeeAssessed: _assessed,\n",
    ),
)

_NEW_TASK = (
    Cut(
        _RULES,
        "class StillWaiting(Outcome):",
        '''class Begun(Outcome):
    """A look-up was ordered a while ago."""

    applicant_version: int


class StillWaiting(Outcome):''',
    ),
    Cut(
        _RULES,
        '    return Decision(tasks=(Task("look-up", look_up), Task("still-waiting", alarm, event.at + DELAYED_AFTER)))',
        """    late = event.at + timedelta(seconds=10)
    begun = Task("note-look-up", Begun(applicant_version=body.applicant_version), late)
    return Decision(tasks=(Task("look-up", look_up), Task("still-waiting", alarm, event.at + DELAYED_AFTER), begun))""",
    ),
    Cut(
        _RULES,
        "def on_still_waiting(",
        '''def on_begun(state: State, alarm: Message[Begun]) -> Decision:
    """Say it."""
    return Decision((said.LookUpBegun(applicant_version=alarm.body.applicant_version),))


def on_still_waiting(''',
    ),
    Cut(
        _RULES,
        "        StillWaiting: on_still_waiting,\n",
        "        StillWaiting: on_still_waiting,\n        Begun: on_begun,\n",
    ),
    Cut("services/verification/tasks.py", "import Found, KeyGone", "import Begun, Found, KeyGone"),
    Cut(
        "services/verification/tasks.py",
        '        "still-waiting": TaskKind',
        '        "note-look-up": TaskKind(Begun, still_waiting),\n        "still-waiting": TaskKind',
    ),
)

_NEW_FIELD = (
    Cut(
        "shared/events/intake.py",
        'TYPE = "vn.gov.dossier.dossier-submitted.v1"\n    VERSION = "1.2.0"',
        'TYPE = "vn.gov.dossier.dossier-submitted.v1"\n    VERSION = "1.3.0"',
    ),
    Cut(
        "shared/events/intake.py",
        "    by: Actor\n\n\nclass ApplicantCorrected(Event):",
        "    by: Actor\n    origin: Word | None = None\n\n\nclass ApplicantCorrected(Event):",
    ),
    Cut(
        "services/intake/rules.py",
        "            catalogue=law.version,\n            by=command.by,\n",
        '            catalogue=law.version,\n            origin="desk",\n            by=command.by,\n',
    ),
    Cut(
        "services/payment/state.py",
        "    applicant_version: int = 1\n    refused: bool = False\n",
        "    applicant_version: int = 1\n    refused: bool = False\n    origin: str | None = None\n",
    ),
    Cut(
        "services/payment/state.py",
        "        waiver_claim=body.waiver_claim,\n    )",
        "        waiver_claim=body.waiver_claim, origin=body.origin,\n    )",
    ),
)

_NEW_WORD = (
    Cut(
        _WORDS,
        '    VERSION = "1.1.0"\n    applicant_version: ApplicantVersion\n    fields: tuple[Literal[',
        '    VERSION = "1.2.0"\n    applicant_version: ApplicantVersion\n    fields: tuple[Literal["gender", ',
    ),
    *(
        Cut(file, "ields: tuple[Literal[", 'ields: tuple[Literal["gender", ')
        for file in (_RULES, "services/intake/state.py")
    ),
    Cut(
        "shared/events/intake.py",
        'fields: tuple[Literal["id_number", ',
        'fields: tuple[Literal["id_number", "gender", ',
    ),
    Cut("services/intake/rules.py", '-> tuple[Literal["id_number", ', '-> tuple[Literal["id_number", "gender", '),
    Cut(
        "services/notification/phrases.py",
        '    "full_name": {',
        '    "gender": {"vi": "giới tính", "en": "gender"},\n    "full_name": {',
    ),
    Cut("services/verification/tasks.py", 'list[Literal["full_name", ', 'list[Literal["gender", "full_name", '),
    Cut(
        "services/verification/tasks.py",
        '        fields.append("date_of_birth")\n',
        '        fields.append("date_of_birth")\n    if fields:\n        fields.append("gender")\n',
    ),
)

_NEW_STATE = (
    Cut(
        "services/payment/state.py",
        "    verified: bool = False\n",
        "    verified: bool = False\n    verified_at: datetime | None = None\n    begun: int = 0\n",
    ),
    Cut(
        "services/payment/state.py",
        '    identity = before.model_copy(update={"applicant_version": version, "verified": found})',
        """    at = event.at if isinstance(event.body, verified.CitizenVerified) else before.verified_at
    identity = before.model_copy(update={"applicant_version": version, "verified": found, "verified_at": at})""",
    ),
    Cut("services/payment/__main__.py", "owed=owed, shape=2, views", "owed=owed, shape=3, views"),
    Cut(
        "services/verification/state.py",
        "    delayed_since: datetime | None = None\n",
        "    delayed_since: datetime | None = None\n    looked_up: int = 0\n",
    ),
    Cut(
        "services/verification/state.py",
        "def _delayed(",
        """def _begun(state: State, event: Message[said.LookUpBegun]) -> State:
    part = state.verification.model_copy(update={"looked_up": state.verification.looked_up + 1})
    return state.model_copy(update={"verification": part})


def _delayed(""",
    ),
    Cut(
        "services/verification/state.py",
        "        said.VerificationDelayed: _delayed,\n",
        "        said.VerificationDelayed: _delayed,\n        said.LookUpBegun: _begun,\n",
    ),
)

_NEW_VERSION = (
    Cut(
        _WORDS,
        "import ApplicantVersion, Event, Instant, UnknownWord",
        "import ApplicantVersion, Event, Instant, Model, UnknownWord",
    ),
    Cut(
        _WORDS,
        '''class CitizenVerified(Event):
    """The population register knows this person as stated."""

    TYPE = "vn.gov.dossier.citizen-verified.v1"
    applicant_version: ApplicantVersion
    register_request: Word
''',
        '''class Evidence(Model):
    """Who has answered, and what was asked."""

    system: Word
    request: Word


class CitizenVerified(Event):
    """A register knows this person as stated."""

    TYPE = "vn.gov.dossier.citizen-verified.v2"
    VERSION = "2.0.0"
    applicant_version: ApplicantVersion
    evidence: Evidence
''',
    ),
    Cut(
        "shared/events/upcasters.py",
        "from shared.events.base import Event\n",
        "from shared.events.base import ApplicantVersion, Event, Word\n"
        "from shared.events.verification import CitizenVerified, Evidence\n",
    ),
    Cut(
        "shared/events/upcasters.py",
        "UPCASTERS: Sequence[Upcaster] = ()\n",
        '''class CitizenVerifiedV1(Event):
    """The population register knows this person as stated."""

    TYPE = "vn.gov.dossier.citizen-verified.v1"
    applicant_version: ApplicantVersion
    register_request: Word


def _by_the_population_register(old: CitizenVerifiedV1) -> CitizenVerified:
    evidence = Evidence(system="population-register", request=old.register_request)
    return CitizenVerified(applicant_version=old.applicant_version, evidence=evidence)


def _back(new: CitizenVerified) -> CitizenVerifiedV1:
    return CitizenVerifiedV1(applicant_version=new.applicant_version, register_request=new.evidence.request)


UPCASTERS: Sequence[Upcaster] = (Upcaster(CitizenVerifiedV1, CitizenVerified, _by_the_population_register, _back),)
''',
    ),
    Cut(
        _RULES,
        "said.CitizenVerified(applicant_version=body.applicant_version, register_request=body.register_request),",
        """said.CitizenVerified(
            applicant_version=body.applicant_version,
            evidence=said.Evidence(system="population-register", request=body.register_request),
        ),""",
    ),
)

_NEW_COLUMN = (
    Cut(
        "services/payment/views.py",
        '"total_vnd": state.payment.total_vnd}',
        '"total_vnd": state.payment.total_vnd, "verified_at": state.verification.verified_at}',
    ),
    Cut(
        "services/payment/migrations/099_next.sql",
        "",
        """CREATE TABLE origins (name text PRIMARY KEY);
GRANT SELECT ON origins TO :service;
ALTER TABLE unpaid ADD COLUMN verified_at timestamptz;
""",
    ),
)

NEXT = (*_NEW_TYPE, *_NEW_TASK, *_NEW_FIELD, *_NEW_WORD, *_NEW_STATE, *_NEW_VERSION, *_NEW_COLUMN)
"""All that N+1 is."""

AFTER = (
    *NEXT,
    Cut("shared/events/upcasters.py", "_by_the_population_register, _back)", "_by_the_population_register)"),
)
"""N+2."""


def release(folder: Path, cuts: Sequence[Cut]) -> Path:
    """A copy of the tree in `folder`, changed. Raises Mislaid where this release is not what a change was made for."""
    tree = copy_tree(folder)
    for cut in cuts:
        make(cut, tree)
    return tree
