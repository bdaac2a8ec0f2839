"""No form takes a line end for the end of the text: for Python's `$` a text may also end before its last line end."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from services.payment.gateways import BadCallback
from shared.errors import Refused
from shared.events import base, payment
from shared.events.envelope import traceparent
from shared.law import application
from shared.runtime.http.door import Client, Door
from shared.runtime.service.settings import Settings
from tests.unit.payment.test_payment_platform import CALLBACK, PLATFORM, signed

TRACE = f"00-{'1' * 32}-{'2' * 16}-01"
CLIENT = Client(name="app", role="citizen", token="t" * 32)

MODELS: tuple[tuple[Any, str], ...] = (
    (base.Word, "word"),
    (base.Digest, "0" * 64),
    (base.Sealed, "sealed.v1." + "A" * 40),
    (payment.Url, "https://bank.example/pay"),
    (payment.BankReference, "r1"),
    (application.IdentityNumber, "001199000017"),
    (application.Phone, "0900000017"),
    (application.Email, "an@example.com"),
    (application.BirthDate, "1999-05-01"),
    (application.SubmittedAt, "2026-09-16T08:30:00+07:00"),
    (application.MediaType, "application/pdf"),
    (application.IdempotencyKey, "key"),
)


def refuses(read: Callable[[str], object], text: str, *failures: type[Exception]) -> bool:
    """Whether the text is taken as it is, and refused with a line end behind it."""
    read(text)
    try:
        read(text + "\n")
    except failures:
        return True
    return False


@pytest.mark.parametrize(("model", "text"), MODELS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_value_with_a_line_end_behind_it_is_malformed(model: Any, text: str) -> None:
    assert refuses(TypeAdapter(model).validate_python, text, ValidationError)


@pytest.mark.parametrize("name", sorted(CALLBACK.keys() - {"vnp_OrderInfo", "vnp_TransactionStatus"}))
def test_a_signed_callback_with_a_line_end_in_it_is_not_about_our_payment(name: str) -> None:
    def read(value: str) -> object:
        return PLATFORM.report(urlencode(signed(**{name: value})))

    assert refuses(read, CALLBACK[name], BadCallback)


def test_an_idempotency_key_with_a_line_end_behind_it_is_none() -> None:
    def ask(key: str) -> object:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"idempotency-key", key.encode())]}
        return Door(commands=None, hmac_key=b"k").asked(Request(scope), CLIENT, {}, 200, lambda state: {})  # type: ignore[arg-type]

    assert refuses(ask, "key", Refused)


def test_a_trace_with_a_line_end_behind_it_is_not_passed_on() -> None:
    assert traceparent(TRACE) == TRACE
    assert traceparent(TRACE + "\n") is None


@pytest.mark.parametrize("name", ["LOG_LEVEL", "INSTANCE"])
def test_a_setting_with_a_line_end_behind_it_is_wrong(name: str) -> None:
    given = {"kafka_bootstrap_servers": "kafka:9092", "database_url": "postgresql://x@db/x", "http_port": 1}

    def read(value: str) -> object:
        return Settings.model_validate({**given, name.lower(): value})

    assert refuses(read, "INFO" if name == "LOG_LEVEL" else "intake-0", ValidationError)
