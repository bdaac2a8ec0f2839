"""What citizen-data verification says. Only services/verification may publish these."""

from typing import Literal

from shared.events.base import ApplicantVersion, Event, Instant, UnknownWord, Word


class CitizenVerified(Event):
    """The population register knows this person as stated."""

    TYPE = "vn.gov.dossier.citizen-verified.v1"
    applicant_version: ApplicantVersion
    register_request: Word


class CitizenMismatched(Event):
    """The register knows the identity number, but other data; only the names of the differing fields are told."""

    TYPE = "vn.gov.dossier.citizen-mismatched.v1"
    VERSION = "1.1.0"
    applicant_version: ApplicantVersion
    fields: tuple[Literal["full_name", "date_of_birth"] | UnknownWord, ...]
    register_request: Word


class CitizenNotFound(Event):
    """The register does not know the identity number."""

    TYPE = "vn.gov.dossier.citizen-not-found.v1"
    applicant_version: ApplicantVersion
    register_request: Word


class VerificationDelayed(Event):
    """The register has not answered for so long that the citizen and the officer should know."""

    TYPE = "vn.gov.dossier.verification-delayed.v1"
    applicant_version: ApplicantVersion
    waiting_since: Instant


class VerificationAbandoned(Event):
    """The data can no longer be looked up, for their key was destroyed."""

    TYPE = "vn.gov.dossier.verification-abandoned.v1"
    VERSION = "1.1.0"
    applicant_version: ApplicantVersion
    reason: Literal["key-destroyed"] | UnknownWord
