"""The form of an application, and everything that can be wrong with one."""

import unicodedata
from copy import deepcopy
from datetime import date, timedelta, timezone
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from shared.errors import Fault
from shared.law.application import Applicant, Application
from shared.law.entries import Word
from shared.law.faults import act_faults, examine, faults
from shared.law.loader import shipped_catalogue
from shared.law.synthetic import AGENCY, PROCEDURE

CATALOGUE = shipped_catalogue()
TODAY = date(2026, 10, 1)
DIGEST = "0123456789abcdef" * 4


def body(**changes: Any) -> dict[str, Any]:
    """A faultless application of a made-up person, with some fields changed."""
    return {
        "idempotency_key": "39263059-f28c-405d-9fb1-7c2390c192cf",
        "procedure": "2.000488",
        "case": "standard",
        "agency": "H02.15.12",
        "channel": "online",
        "submitted_at": "2026-09-30T09:00:00+07:00",
        "copies": 1,
        "applicant": {
            "id_number": "001099123456",
            "full_name": "Nguyễn Văn Mẫu",
            "date_of_birth": "1999-05-01",
            "phone": "0900012345",
            "email": "mau@example.com",
            "locale": "vi",
        },
        "papers": [{"code": "application-form", "sha256": DIGEST, "size": 1000, "media_type": "application/pdf"}],
        "waiver_claim": None,
        **changes,
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    """A faultless application with the value at one JSON pointer replaced or added."""
    result = deepcopy(body(waiver_claim={"group": "student", "evidence_sha256": DIGEST}))
    *parents, last = path.strip("/").split("/")
    place: Any = result
    for step in parents:
        place = place[int(step) if isinstance(place, list) else step]
    place[last] = value
    return result


def found(told: Application | tuple[Fault, ...]) -> list[tuple[str, str]]:
    assert isinstance(told, tuple), "no fault was found"
    return [(fault.pointer, fault.code) for fault in told]


def test_a_faultless_application_is_read_and_survives_being_written_again() -> None:
    application = examine(body(), CATALOGUE, TODAY)
    assert isinstance(application, Application)
    assert examine(application.model_dump(mode="json"), CATALOGUE, TODAY) == application
    assert Application.model_validate_json(application.model_dump_json()) == application


def test_an_application_cannot_be_changed() -> None:
    application = Application.model_validate(body())
    with pytest.raises(ValidationError, match="frozen"):
        application.copies = 2  # type: ignore[misc]


def test_what_a_citizen_need_not_say_may_be_left_out() -> None:
    said = body()
    for optional in ("idempotency_key", "submitted_at", "waiver_claim"):
        del said[optional]
    assert isinstance(examine(said, CATALOGUE, TODAY), Application)


def test_a_name_is_kept_composed_and_without_surrounding_spaces() -> None:
    decomposed = unicodedata.normalize("NFD", "  Đỗ Đức Hải ")
    applicant = Applicant.model_validate({**body()["applicant"], "full_name": decomposed})
    assert applicant.full_name == "Đỗ Đức Hải"


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("/procedure", "9.999999", "unknown-procedure"),
        ("/procedure", "2.000488\x00", "malformed"),
        ("/procedure", 2.000488, "wrong-type"),
        ("/case", "urgent", "unknown-case"),
        ("/case", "late", "unknown-case"),
        ("/agency", "H99.01", "unknown-agency"),
        ("/agency", "nowhere", "malformed"),
        ("/channel", "fax", "unknown-value"),
        ("/submitted_at", "2026-09-30T09:00:00", "malformed"),
        ("/submitted_at", "1790000000", "malformed"),
        ("/submitted_at", 1790000000, "wrong-type"),
        ("/submitted_at", "2026-02-30T09:00:00Z", "no-such-time"),
        ("/submitted_at", "1999-12-30T09:00:00Z", "out-of-range"),
        ("/submitted_at", "9999-12-31T23:59:59-12:00", "out-of-range"),
        ("/copies", 0, "out-of-range"),
        ("/copies", 1001, "out-of-range"),
        ("/copies", "1", "wrong-type"),
        ("/copies", 1.0, "wrong-type"),
        ("/copies", True, "wrong-type"),
        ("/pages", 0, "out-of-range"),
        ("/pages", 10**30, "out-of-range"),
        ("/applicant/id_number", "00109912345", "malformed"),
        ("/applicant/id_number", "001299123456", "identity-century"),
        ("/applicant/id_number", "001098123456", "identity-year"),
        ("/applicant/full_name", "", "too-short"),
        ("/applicant/full_name", "  ", "no-name"),
        ("/applicant/full_name", "123", "no-name"),
        ("/applicant/full_name", "a" * 101, "too-long"),
        ("/applicant/full_name", "a" * 1000, "too-long"),
        ("/applicant/full_name", "An\x00Bình", "control-character"),
        ("/applicant/full_name", "An\nBình", "control-character"),
        ("/applicant/full_name", "An\u202eBình", "control-character"),
        ("/applicant/full_name", None, "wrong-type"),
        ("/applicant/date_of_birth", "1999-02-29", "no-such-day"),
        ("/applicant/date_of_birth", "1999-13", "no-such-day"),
        ("/applicant/date_of_birth", "1999-00", "no-such-day"),
        ("/applicant/date_of_birth", "1999-05-00", "no-such-day"),
        ("/applicant/date_of_birth", "0000", "no-such-day"),
        ("/applicant/date_of_birth", "1899", "out-of-range"),
        ("/applicant/date_of_birth", "199905", "malformed"),
        ("/applicant/date_of_birth", "1999-5", "malformed"),
        ("/applicant/date_of_birth", "1999-", "malformed"),
        ("/applicant/date_of_birth", "99", "malformed"),
        ("/applicant/date_of_birth", "19990000", "malformed"),
        ("/applicant/date_of_birth", 1999, "wrong-type"),
        ("/applicant/date_of_birth", "19990501", "malformed"),
        ("/applicant/date_of_birth", 925516800, "wrong-type"),
        ("/applicant/phone", "12345", "malformed"),
        ("/applicant/phone", "0900 012 34", "malformed"),
        ("/applicant/phone", "0900 012 345 ext", "malformed"),
        ("/applicant/email", "nobody", "malformed"),
        ("/applicant/email", "a@b", "malformed"),
        ("/applicant/email", "a..b@example.com", "malformed"),
        ("/applicant/email", "a@example.com\r\nBcc: b@example.com", "malformed"),
        ("/applicant/email", "a" * 65 + "@example.com", "malformed"),
        ("/applicant/email", "=?utf-8?b??=@example.com", "malformed"),
        ("/applicant/email", "=?utf-8?b?YQ0KQmNjOiB4QHkudm4NCg==?=@example.com", "malformed"),
        ("/applicant/email", "=?utf-8?q?a?=@example.com", "malformed"),
        ("/applicant/email", "a.=?utf-8?q?b?=@example.com", "malformed"),
        ("/applicant/email", "a@" + "b" * 60 + ".example" * 30 + ".com", "too-long"),
        ("/applicant/locale", "fr", "malformed"),
        ("/applicant/nickname", "x", "unknown-field"),
        ("/papers/0/sha256", DIGEST.upper(), "malformed"),
        ("/papers/0/sha256", DIGEST[:-1], "malformed"),
        ("/papers/0/size", 0, "out-of-range"),
        ("/papers/0/size", 2**40, "out-of-range"),
        ("/papers/0/media_type", "pdf", "unknown-value"),
        ("/papers/0/media_type", "0912345678/x", "unknown-value"),
        ("/papers/0/code", "0912345678", "unknown-paper"),
        ("/papers/0/code", "library-card", "unknown-paper"),
        ("/papers/0/code", "Application Form", "malformed"),
        ("/papers", {}, "wrong-type"),
        ("/papers", body()["papers"] * 2, "duplicate-paper"),
        ("/papers", [{**body()["papers"][0], "code": f"paper-{n}"} for n in range(51)], "too-many"),
        ("/waiver_claim/group", "friends", "unknown-group"),
        ("/waiver_claim/evidence_sha256", "none", "malformed"),
        ("/waiver_claim/evidence_sha256", None, "wrong-type"),
        ("/expect", {}, "unknown-field"),
    ],
)
def test_one_wrong_value_is_named_by_place_and_code(path: str, value: Any, code: str) -> None:
    assert found(examine(changed(path, value), CATALOGUE, TODAY)) == [(path, code)]


def test_a_birth_date_is_neither_before_1900_nor_in_the_future() -> None:
    before = changed("/applicant/date_of_birth", "1899-12-31")
    assert found(examine(before, CATALOGUE, TODAY)) == [("/applicant/date_of_birth", "out-of-range")]
    applicant = {**body()["applicant"], "id_number": "001226123456", "date_of_birth": "2026-10-02"}
    assert found(examine(body(applicant=applicant), CATALOGUE, TODAY)) == [
        ("/applicant/date_of_birth", "in-the-future")
    ]
    today = {**body(applicant=applicant), "submitted_at": None}
    assert isinstance(examine(today, CATALOGUE, TODAY + timedelta(days=1)), Application)


@pytest.mark.parametrize("today", [None, TODAY, TODAY + timedelta(days=30)])
def test_a_birth_is_not_after_the_day_of_submission_whenever_the_application_is_received(today: date | None) -> None:
    applicant = {**body()["applicant"], "id_number": "001226123456", "date_of_birth": "2026-10-01"}
    in_vietnam_the_same_day = body(applicant=applicant, submitted_at="2026-09-30T17:00:00Z")
    assert isinstance(examine(in_vietnam_the_same_day, CATALOGUE, today), Application)
    the_day_before = body(applicant=applicant, submitted_at="2026-09-30T16:59:59Z")
    assert found(examine(the_day_before, CATALOGUE, today)) == [("/applicant/date_of_birth", "in-the-future")]


def test_a_channel_that_the_procedure_does_not_offer_is_a_fault() -> None:
    assert found(examine(body(procedure="1.000894", channel="postal"), CATALOGUE, TODAY)) == [
        ("/channel", "channel-not-offered")
    ]


@pytest.mark.parametrize(
    ("agency", "procedure", "faults"),
    [
        (AGENCY, PROCEDURE, []),
        (AGENCY, "2.000488", [("/agency", "only-synthetic")]),
        ("H02.15.12", PROCEDURE, [("/procedure", "only-synthetic")]),
    ],
)
def test_the_unit_and_the_procedure_of_synthetic_dossiers_go_only_together(
    agency: str, procedure: str, faults: list[tuple[str, str]]
) -> None:
    asked = examine(body(agency=agency, procedure=procedure), CATALOGUE, TODAY)
    assert ([] if isinstance(asked, Application) else found(asked)) == faults


def test_pages_are_required_where_the_fee_counts_them() -> None:
    assert found(examine(body(procedure="2.000815"), CATALOGUE, TODAY)) == [("/pages", "pages-required")]
    assert found(examine(body(procedure="2.000815", pages=None), CATALOGUE, TODAY)) == [("/pages", "pages-required")]
    assert found(examine(body(procedure="2.000815", pages="2"), CATALOGUE, TODAY)) == [("/pages", "wrong-type")]
    assert isinstance(examine(body(procedure="2.000815", pages=2), CATALOGUE, TODAY), Application)


def test_every_fault_of_form_and_of_content_is_told_at_once() -> None:
    wrong = body(procedure="2.000815", agency="H99", copies=0, channel="postal", surprise=1)
    wrong["applicant"]["id_number"] = "003299123456"
    wrong["applicant"]["phone"] = "none"
    wrong["waiver_claim"] = {"group": "friends", "evidence_sha256": "x"}
    assert found(examine(wrong, CATALOGUE, TODAY)) == [
        ("/agency", "unknown-agency"),
        ("/applicant/id_number", "identity-century"),
        ("/applicant/phone", "malformed"),
        ("/channel", "channel-not-offered"),
        ("/copies", "out-of-range"),
        ("/pages", "pages-required"),
        ("/surprise", "unknown-field"),
        ("/waiver_claim/evidence_sha256", "malformed"),
        ("/waiver_claim/group", "unknown-group"),
    ]


@pytest.mark.parametrize("nonsense", [None, [], "text", 3, {}, {"applicant": []}, {"papers": [None]}])
def test_what_is_no_application_at_all_is_told_without_stumbling(nonsense: Any) -> None:
    assert found(examine(nonsense, CATALOGUE, TODAY))


def test_a_well_formed_application_is_judged_by_the_catalogue_alone() -> None:
    application = Application.model_validate(body(agency="H99.01"))
    assert found(faults(application, CATALOGUE, TODAY)) == [("/agency", "unknown-agency")]


def test_no_fault_repeats_what_the_client_sent() -> None:
    wrong = changed("/applicant/full_name", "Bí\x00Mật")
    wrong["applicant"].update(phone="bimat", email="bimat", date_of_birth="bimat", id_number="bimat")
    told = examine(wrong, CATALOGUE, TODAY)
    assert isinstance(told, tuple)
    assert len(told) == 5
    assert "imat" not in "".join(fault.message for fault in told).casefold().replace("ậ", "a")


def test_a_field_name_made_up_by_the_client_is_escaped_and_cut_short() -> None:
    assert found(examine(body(**{"a/b~c" + "x" * 500: 1}), CATALOGUE, TODAY)) == [
        ("/a~1b~0c" + "x" * 59, "unknown-field")
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(body())), JSON)
def test_whatever_stands_in_a_field_is_read_or_told_but_never_stumbled_over(field: str, value: Any) -> None:
    told = examine(body(**{field: value}), CATALOGUE, TODAY)
    assert isinstance(told, Application) or told


_ATOMS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}", fullmatch=True)
_ENCODED_WORDS = st.tuples(
    st.sampled_from(["utf-8", "us-ascii", "utf-8*en", "x", ""]),
    st.sampled_from("bBqQx"),
    st.from_regex(r"[A-Za-z0-9+/=_]{0,24}", fullmatch=True),
).map("=?{0[0]}?{0[1]}?{0[2]}?=".format)
_ADDRESSES = st.lists(_ATOMS | _ENCODED_WORDS, min_size=1, max_size=3).map(lambda atoms: f"{'.'.join(atoms)}@e.vn")


@given(_ADDRESSES)
def test_an_address_that_is_taken_is_read_by_mail_programs_as_it_was_written(address: str) -> None:
    told = examine(changed("/applicant/email", address), CATALOGUE, TODAY)
    if isinstance(told, tuple):
        assert found(told) == [("/applicant/email", "malformed")]
        return
    message = EmailMessage()
    message["To"] = address
    assert [one.addr_spec for one in message["To"].addresses] == [address]
    assert message.as_string(policy=SMTP) == f"To: {address}\r\n\r\n"


@pytest.mark.parametrize("local", ["an+so=1", "a=", "?a", "a?=", "o'neil", "{an|binh}", "a" * 64])
def test_an_unusual_address_that_is_no_encoded_word_is_taken(local: str) -> None:
    assert isinstance(examine(changed("/applicant/email", f"{local}@example.com"), CATALOGUE, TODAY), Application)


@given(st.datetimes(), st.integers(-23, 23))
def test_an_instant_is_read_in_any_time_zone_within_the_known_years(moment: Any, offset: int) -> None:
    at = moment.replace(tzinfo=timezone(timedelta(hours=offset)))
    told = examine(body(submitted_at=at.isoformat()), CATALOGUE, None)
    if isinstance(told, Application):
        assert told.submitted_at == at
    else:
        assert {pointer for pointer, _ in found(told)} <= {"/submitted_at", "/applicant/date_of_birth"}


def asked(said: object, wrong: ValidationError | None = None) -> Any:
    """What is wrong with an act with a dossier that was filed online."""
    return act_faults(CATALOGUE, "online", TODAY, said, wrong)


def test_what_an_officer_names_is_of_the_catalogue() -> None:
    assert asked({"papers": sorted(CATALOGUE.papers)}) == ()
    for reason in CATALOGUE.reasons:
        assert asked({"reason": reason, "note": "any"}) == ()
    assert asked({}) == asked([]) == ()


def test_an_officers_unknown_words_are_told_with_those_that_are_known_and_without_what_was_sent() -> None:
    told = asked({"papers": ["photo", "diary", "letter"], "reason": "whim"})
    assert [(fault.pointer, fault.code) for fault in told] == [
        ("/papers/1", "unknown-paper"), ("/papers/2", "unknown-paper"), ("/reason", "unknown-reason"),
    ]  # fmt: skip
    assert told[0].message.endswith(f": {', '.join(sorted(CATALOGUE.papers))}")
    assert told[2].message.endswith(f": {', '.join(sorted(CATALOGUE.reasons))}")
    assert not any(word in fault.message for fault in told for word in ("diary", "letter", "whim"))


def test_an_unknown_paper_that_is_handed_in_is_told_with_those_that_are_known_and_without_what_was_sent() -> None:
    diary = {**body()["papers"][0], "code": "diary"}
    supplied = act_faults(CATALOGUE, "online", TODAY, {"papers": [body()["papers"][0], diary]}, None)
    assert found(supplied) == [("/papers/1/code", "unknown-paper")]
    for told in (supplied, examine(body(papers=[diary]), CATALOGUE, TODAY)):
        assert isinstance(told, tuple)
        assert told[0].message.endswith(f": {', '.join(sorted(CATALOGUE.papers))}")
        assert "diary" not in told[0].message


class _Asked(BaseModel):
    papers: tuple[Word, ...] = ()


@pytest.mark.parametrize("papers", [[["nested"], {"a": 1}, 5, None, "Giấy khai sinh"], "text", 7, {"a": 1}])
def test_words_in_no_possible_form_are_not_looked_up(papers: Any) -> None:
    with pytest.raises(ValidationError) as wrong:
        _Asked.model_validate({"papers": papers})
    assert asked({"papers": papers}, wrong.value) == ()
