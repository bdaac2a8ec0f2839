"""The table of a mail server's answers: stage, code and enhanced code, and what they come to (RFC 5321, 3463, 4954)."""

import pytest

from services.notification.answers import Meaning, Stage, code_class, enhanced, meaning

BEFORE, RECIPIENT, CONTENT = Stage.BEFORE, Stage.RECIPIENT, Stage.CONTENT
TAKEN, SERVER, NOT_YET, NEVER, UNCLEAR = (
    Meaning.TAKEN, Meaning.SERVER, Meaning.NOT_YET, Meaning.NEVER, Meaning.UNCLEAR
)  # fmt: skip
NAMED = (RECIPIENT, CONTENT)

TABLE: tuple[tuple[tuple[Stage, ...], str, Meaning], ...] = (
    # Before a recipient is named: to us, whatever it says.
    ((BEFORE,), "421 4.3.2 closing", SERVER),
    ((BEFORE,), "450 4.1.8 sender's domain not found", SERVER),
    ((BEFORE,), "451 4.7.1 greylisted", SERVER),
    ((BEFORE,), "452 4.3.1 no space", SERVER),
    ((BEFORE,), "454 4.7.0 TLS not available", SERVER),
    ((BEFORE,), "530 5.7.0 must issue STARTTLS", SERVER),
    ((BEFORE,), "535 5.7.8 bad credentials", SERVER),
    ((BEFORE,), "550 5.1.1 whatever", SERVER),
    ((BEFORE,), "553 5.1.8 sender refused", SERVER),
    ((BEFORE,), "554 no SMTP here", SERVER),
    ((BEFORE,), "500 what", SERVER),
    # The mailbox, for now.
    (NAMED, "450 mailbox busy", NOT_YET),
    (NAMED, "450 4.2.1 mailbox locked", NOT_YET),
    (NAMED, "451 try later", NOT_YET),
    (NAMED, "452 4.2.2 mailbox full", NOT_YET),
    (NAMED, "452 4.5.3 too many recipients", NOT_YET),
    (NAMED, "422 4.2.2 over quota", NOT_YET),
    (NAMED, "471 4.7.1 later", NOT_YET),
    # Its domain or the way there, for now.
    (NAMED, "450 4.1.2 domain not found now", NOT_YET),
    (NAMED, "451 4.4.1 no answer from host", NOT_YET),
    (NAMED, "451 4.4.3 directory server failure", NOT_YET),
    (NAMED, "450 4.1.1 recipient unverified", NOT_YET),
    # Greylisting, rates, storage: of this mail as far as we can know.
    (NAMED, "450 4.7.1 greylisted", NOT_YET),
    (NAMED, "451 4.7.1 greylisted", NOT_YET),
    (NAMED, "450 4.2.0 greylisted", NOT_YET),
    (NAMED, "452 4.3.1 insufficient storage", NOT_YET),
    (NAMED, "451 4.3.0 local error", NOT_YET),
    (NAMED, "450 5.1.1 a class that contradicts its code", NOT_YET),
    # For good.
    (NAMED, "550 5.1.1 no such user", NEVER),
    (NAMED, "550 no such user", NEVER),
    (NAMED, "551 5.1.6 moved", NEVER),
    (NAMED, "552 5.2.2 over quota for good", NEVER),
    (NAMED, "553 5.1.3 bad address syntax", NEVER),
    (NAMED, "554 5.2.1 disabled", NEVER),
    (NAMED, "556 5.1.10 domain takes no mail", NEVER),
    (NAMED, "550 5.1.2 no such domain", NEVER),
    (NAMED, "550 5.2.0 mailbox disabled", NEVER),
    (NAMED, "550 5.4.1 recipient address rejected: access denied", NEVER),
    (NAMED, "550 5.5.0 mailbox unavailable", NEVER),
    (NAMED, "501 5.1.3 bad address syntax", NEVER),
    (NAMED, "504 5.5.2 need a fully qualified address", NEVER),
    (NAMED, "553 sorry, no such user here (#5.1.1)", NEVER),
    (NAMED, "541 spam", NEVER),
    (NAMED, "599 no", NEVER),
    (NAMED, "552 5.3.4 too big", NEVER),
    # A policy of the mailbox's own.
    (NAMED, "550 5.7.2 list is closed to you", NEVER),
    (NAMED, "550 5.7.17 mailbox owner has changed", NEVER),
    # A policy, whoever's: a relay that is not to relay for us says so of everybody.
    ((RECIPIENT,), "550 5.7.1 not authorized", NOT_YET),
    ((RECIPIENT,), "554 5.7.1 <mau@example.vn>: Relay access denied", NOT_YET),
    ((RECIPIENT,), "554 5.7.1 <mau@example.vn>: Recipient address rejected: policy", NOT_YET),
    ((RECIPIENT,), "550 5.7.0 local policy", NOT_YET),
    ((RECIPIENT,), "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", NOT_YET),
    ((RECIPIENT,), "550 5.7.64 TenantAttribution; Relay Access Denied", NOT_YET),
    ((RECIPIENT,), "550 5.7.509 does not pass DMARC", NOT_YET),
    ((RECIPIENT,), "550 relay not permitted", NOT_YET),
    ((RECIPIENT,), "550 Relaying denied", NOT_YET),
    ((RECIPIENT,), "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", NOT_YET),
    # The mail system's, not the mailbox's.
    ((RECIPIENT,), "554 5.3.0 other or undefined mail system status", NOT_YET),
    ((RECIPIENT,), "554 5.3.2 system not accepting network messages", NOT_YET),
    ((RECIPIENT,), "550 5.3.5 system incorrectly configured", NOT_YET),
    # The content.
    ((CONTENT,), "552 5.3.4 too big", NEVER),
    ((CONTENT,), "554 5.6.0 bad content", NEVER),
    ((CONTENT,), "550 5.7.1 looks like spam", NEVER),
    ((CONTENT,), "554 5.7.1 refused by policy", NEVER),
    ((CONTENT,), "554 5.3.0 undefined", NEVER),
    ((CONTENT,), "500 5.5.2 line too long", NEVER),
    # Us, though only said now.
    (NAMED, "450 4.1.8 sender's domain not found", SERVER),
    (NAMED, "550 5.1.7 bad sender address", SERVER),
    (NAMED, "553 5.1.8 sender refused", SERVER),
    (NAMED, "454 4.7.0 temporary authentication failure", SERVER),
    (NAMED, "503 bad sequence", SERVER),
    (NAMED, "503 5.5.1 need MAIL command", SERVER),
    (NAMED, "503 AUTH first", SERVER),
    ((RECIPIENT,), "500 what", SERVER),
    ((RECIPIENT,), "502 5.5.1 not implemented", SERVER),
    (NAMED, "523 5.7.10 encryption needed", SERVER),
    (NAMED, "554 5.7.14 trust relationship required", SERVER),
    (NAMED, "530 authentication required", SERVER),
    (NAMED, "530 5.7.0 must issue STARTTLS", SERVER),
    (NAMED, "534 5.7.9 mechanism too weak", SERVER),
    (NAMED, "535 5.7.8 bad credentials", SERVER),
    (NAMED, "538 5.7.11 encryption required", SERVER),
    (NAMED, "550 5.7.8 bad credentials", SERVER),
    (NAMED, "550 5.7.20 no passing DKIM signature", SERVER),
    (NAMED, "550 5.7.23 SPF validation failed", SERVER),
    (NAMED, "550 5.7.25 reverse DNS validation failed", SERVER),
    (NAMED, "451 4.7.24 SPF validation error", SERVER),
    (NAMED, "550 5.7.26 multiple authentication checks failed", SERVER),
    (NAMED, "550 5.7.27 sender address has null MX", SERVER),
    # The connection is given up, or it is no answer at all.
    (NAMED, "421 closing", UNCLEAR),
    (NAMED, "421 4.7.0 rate limited", UNCLEAR),
    (NAMED, "199 what", UNCLEAR),
    (NAMED, "600 what", UNCLEAR),
    (NAMED, "-1 garbage", UNCLEAR),
    # All is well.
    ((BEFORE, RECIPIENT, CONTENT), "250 2.1.5 fine", TAKEN),
    ((RECIPIENT,), "251 2.1.5 will forward", TAKEN),
    ((CONTENT,), "354 go on", TAKEN),
)


@pytest.mark.parametrize(
    ("stage", "answer", "comes_to"),
    [(stage, answer, comes_to) for stages, answer, comes_to in TABLE for stage in stages],
)
def test_what_an_answer_comes_to(stage: Stage, answer: str, comes_to: Meaning) -> None:
    code, _, text = answer.partition(" ")
    assert meaning(stage, int(code), enhanced(text)) is comes_to


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("code", range(400, 600))
def test_every_no_means_something_and_before_a_recipient_it_is_always_to_us(stage: Stage, code: int) -> None:
    found = meaning(stage, code, None)
    assert found is not TAKEN
    to_us = {454, 503, 530, 534, 535, 538} | ({500, 502} if stage is RECIPIENT else set())
    assert (found is SERVER) == (stage is BEFORE or code in to_us)
    assert found is not NEVER or code >= 500


@pytest.mark.parametrize(
    ("text", "found"),
    [("4.2.2 full", (2, 2)), ("5.7.1", (7, 1)), ("2.1.5 OK", (1, 5)), ("4.7.25\nmore", (7, 25)),
     ("no such 5.1.1", None), ("5.1 user", None), ("3.1.1 x", None), ("5.1.1000 x", None), ("5.1.1. x", None),
     ("", None), ("no such user (#5.1.1)", (1, 1)), ("no (5.7.1)\n", (7, 1)), ("see (5.1.1) there", None),
     ("Relaying denied", (7, 1)), ("unable to relay for mau@example.vn", (7, 1)), ("5.1.1 no relay", (1, 1)),
     ("no such user at correlay.example", None), ("relay.example: no such user", None),
     ("No such user here (smtp-relay-3.example.vn)", None), ("<relay@x.vn>: User unknown", None),
     ("mx-relay says no", None), ("a@relay: no", None), ("relay-2: no", None)],
)  # fmt: skip
def test_an_enhanced_code_is_one_that_stands_first_or_as_qmail_and_exim_have_it(text: str, found: object) -> None:
    assert enhanced(text) == found


@pytest.mark.parametrize(
    ("code", "more", "word"),
    [(452, (2, 2), "4.2"), (550, None, "5yz"), (421, None, "4yz"), (550, (99, 1), "5yz"), (-1, None, "0yz"),
     (999, None, "0yz")],
)  # fmt: skip
def test_metrics_know_answers_by_a_few_dozen_words(code: int, more: tuple[int, int] | None, word: str) -> None:
    assert code_class(code, more) == word
