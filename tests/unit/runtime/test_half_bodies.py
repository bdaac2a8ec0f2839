"""Half a body came, and no more: what the client is told, how it is counted, and what stands in the log."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive

from shared.runtime.http.door import read_body
from shared.runtime.http.observed import observed
from shared.runtime.observe.metrics import Metrics
from tests.asgi import Answer, ask
from tests.unit.conftest import LogLines

JSON = {"content-type": "application/json"}
KEYED = {**JSON, "idempotency-key": "half-a-body"}
HALF: Message = {"type": "http.request", "body": b'{"half": ', "more_body": True}
NO_TIME_S = 0.01


def application(metrics: Metrics) -> Starlette:
    """A door whose one route reads a body, and waits for it almost not at all."""

    async def route(request: Request) -> Response:
        await read_body(request, NO_TIME_S)
        return Response()

    return observed([Route("/", route, methods=["POST"])], metrics)


def half_and_then(then: Message | None) -> Receive:
    """Half a body, then this message, or nothing ever."""
    said = [HALF, *([then] if then else [])]

    async def receive() -> Message:
        if not said:
            await asyncio.Event().wait()
        return said.pop(0)

    return receive


def counted(metrics: Metrics) -> dict[str, float]:
    """Status → answers that operators are told of."""
    samples = [sample for family in metrics.http_requests.collect() for sample in family.samples]
    return {sample.labels["status"]: sample.value for sample in samples}


async def stalled(**headers: str) -> Answer:
    """The answer to half a body after which nothing comes."""
    return await asyncio.wait_for(
        ask(application(Metrics("intake")), "POST", "/", {**KEYED, **headers}, receive=half_and_then(None)), 60
    )


async def test_who_stops_in_the_middle_of_a_body_is_told_so_and_what_to_do() -> None:
    vietnamese, english = await stalled(), await stalled(**{"accept-language": "en"})
    assert [(one.status, one.content["code"], one.content["errors"]) for one in (vietnamese, english)] == [
        (408, "DOS-INT-408", [])
    ] * 2
    assert [(one.content["title"], one.content["detail"]) for one in (vietnamese, english)] == [
        ("Nội dung đến quá chậm", "Gửi lại với cùng khóa."),
        ("The body came too slowly", "Repeat with the same key."),
    ]


async def test_the_connection_of_who_stalled_is_given_up() -> None:
    assert (await stalled()).headers["connection"] == "close"


async def test_a_missing_key_is_told_together_with_a_body_that_did_not_come() -> None:
    answer = await stalled(**{"idempotency-key": ""})
    assert [fault["code"] for fault in answer.content["errors"]] == ["idempotency-key"]


@pytest.mark.parametrize(("then", "status"), [(None, "408"), ({"type": "http.disconnect"}, "499")])
async def test_half_a_body_is_counted_as_the_clients_failure_and_no_error_of_ours(
    then: Message | None, status: str, log_lines: LogLines
) -> None:
    metrics = Metrics("intake")
    await asyncio.wait_for(ask(application(metrics), "POST", "/", KEYED, receive=half_and_then(then)), 60)
    assert counted(metrics)[status] == 1
    assert not [one for one in counted(metrics) if one.startswith("5")]
    assert log_lines() == []
