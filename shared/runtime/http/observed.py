"""Around every route of a process: a request id, metrics, a problem for whatever goes wrong; and at a door, whatever
nobody has vouched for by the time it is answered is counted as a stranger's.

Plain ASGI and no `BaseHTTPMiddleware`, which runs each request in a task of its own behind two queues: half of what a
request to the desk cost.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import DossierError, Fault, KekNotHere, KeyDestroyed, KeyNotHere, Refused, Unavailable
from shared.runtime.aio.fatal import trace_only
from shared.runtime.http.door import problem
from shared.runtime.http.rates import Strangers, is_vouched_for
from shared.runtime.observe.metrics import Metrics
from shared.wording import language_of

log = structlog.get_logger(__name__)

ONCE = frozenset(
    (b"authorization", b"content-encoding", b"content-length", b"content-type", b"host", b"idempotency-key")
)
"""Fields that we read and that may come once only: of two, a proxy before us may have read the other one."""
FAILURES = (DossierError, HTTPException)
GONE = 499
"""Status, for the metric only, of a request whose client went away in the middle of its body; nginx's number."""


def observed(routes: Sequence[Route], metrics: Metrics, strangers: Strangers | None = None) -> Starlette:
    """An application of these routes, with request ids, metrics and problems for whatever is asked of it; `strangers`
    are counted at a door, and told 429 in the place of whatever they would be answered.
    """
    around = Middleware(_Observed, metrics=metrics, strangers=strangers)
    app = Starlette(routes=routes, middleware=[around], exception_handlers=dict.fromkeys(FAILURES, _handler))
    app.router.redirect_slashes = False
    return app


def head_faults(scope: Scope) -> list[Fault]:
    """What is wrong with the fields of a head: one that is there more often than once, no Host (RFC 9112, 3.2)."""
    names = [name for name, _ in scope["headers"] if name in ONCE]
    faults = [Fault("", "header-twice", (name.decode(),)) for name in {*names} if names.count(name) > 1]
    hostless = b"host" not in names and scope["http_version"] != "1.0"
    return [*faults, Fault("", "header-missing", ("host",))] if hostless else faults


@dataclass
class _Observed:
    app: ASGIApp
    metrics: Metrics
    strangers: Strangers | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace_id, began = uuid4().hex, time.perf_counter()
        scope.setdefault("state", {}).update(trace_id=trace_id, about={})
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=trace_id)
        answer = _Answer(Request(scope), receive, send, self.strangers)
        try:
            if faults := head_faults(scope):
                raise Refused("DOS-INT-400", sorted(faults))
            await self.app(scope, receive, answer)
        except ClientDisconnect:
            await Response(status_code=GONE)(scope, receive, answer)  # read by nobody
        except Exception as error:
            if answer.status:
                raise  # half an answer is out: the server cuts the connection
            await _answer_to(error, Request(scope))(scope, receive, answer)
        route = getattr(scope.get("route"), "path", "unknown")
        self.metrics.http_requests.labels(route, scope["method"], answer.status).inc()
        self.metrics.http_seconds.labels(route).observe(time.perf_counter() - began)


@dataclass
class _Answer:
    """Where an answer goes out: it gets the request's id; a stranger who asks for too much is sent another one."""

    request: Request
    receive: Receive
    send: Send
    strangers: Strangers | None
    status: int = 0
    _instead: bool = False

    async def __call__(self, message: Message) -> None:
        if self._instead:
            return
        fast = self._too_fast() if message["type"] == "http.response.start" else None
        if fast is None:
            await self._named(message)
        else:
            self._instead = True
            await _answer_to(fast, self.request)(self.request.scope, self.receive, self._named)

    def _too_fast(self) -> Refused | None:
        if self.strangers is None or is_vouched_for(self.request):
            return None
        try:
            forwarded = ",".join(self.request.headers.getlist("x-forwarded-for"))
            self.strangers.count(self.request.scope.get("client"), forwarded)
        except Refused as fast:
            return fast
        return None

    async def _named(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"].append((b"x-request-id", self.request.state.trace_id.encode()))
        await self.send(message)


async def _handler(request: Request, error: Exception) -> Response:
    return _answer_to(error, request)


def _answer_to(error: Exception, request: Request) -> Response:
    refused = _refusal_of(error)
    if refused.code == "DOS-INT-500":
        # The middleware does not see what the route has bound: that is another context.
        about = {"request_id": request.state.trace_id, **request.state.about}
        log.error("request-failed", error=type(error).__name__, exc_info=trace_only(error), **about)
    accepted = ",".join(request.headers.getlist("accept-language"))
    response = problem(refused, request.state.trace_id, language_of(accepted))
    if isinstance(error, HTTPException) and error.headers and "Allow" in error.headers:
        response.headers["allow"] = error.headers["Allow"]
    return response


def _refusal_of(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case Unavailable():
            return Refused(error.code)
        case KekNotHere():
            return Refused("DOS-INT-503")
        case KeyNotHere() | KeyDestroyed():
            return Refused("DOS-SEC-002")
        case HTTPException(status_code=404):
            return Refused("DOS-INT-404")
        case HTTPException(status_code=405):
            return Refused("DOS-INT-405")
        case HTTPException(status_code=400):
            return Refused("DOS-INT-005")
    return Refused("DOS-INT-500")
