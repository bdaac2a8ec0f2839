"""The HTTP side that the simulators share: failures on command, and the control port."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import ValidationError

from deploy.simulators.faults import Faults, Mode, Settings
from deploy.simulators.journal import History

WRONG = "wrong"
"""Key of a request that is to be answered with false content; the handler looks at it."""
GARBAGE = bytes(range(256))


def failing(faults: Faults[Any], history: History) -> Middleware:
    """A middleware that makes each call meet what `faults` draws, and records those that failed."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        met = faults.draw()
        await faults.delay()
        if met in ("up", "wrong"):
            request[WRONG] = met == "wrong"
            return await handler(request)
        request[WRONG] = False
        history.record("fault", mode=met, method=request.method, path=request.path, when=faults.settings.when)
        if faults.settings.when == "after":
            await handler(request)
        return await _failure(met, request, faults)

    return middleware


async def _failure(met: Mode, request: web.Request, faults: Faults[Any]) -> web.StreamResponse:
    if met == "down":
        return web.Response(status=503, text="unavailable", headers={"Retry-After": "1"})
    if met == "error":
        return web.Response(status=500, text="internal error")
    if met == "garbage":
        return web.Response(body=GARBAGE, content_type="text/html")
    if met == "hang":
        await faults.until_changed()
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def control_app(faults: Faults[Any], stats: Callable[[], dict[str, Any]]) -> web.Application:
    """The control port: GET, PUT (some settings) and DELETE (all back) `/control`; GET `/control/stats`."""

    def shown() -> web.Response:
        settings: Settings = faults.settings
        return web.json_response(settings.model_dump(mode="json"))

    async def look(_: web.Request) -> web.Response:
        return shown()

    async def put(request: web.Request) -> web.Response:
        await faults.tell(await json_object(request))
        return shown()

    async def reset(_: web.Request) -> web.Response:
        await faults.reset()
        return shown()

    async def counts(_: web.Request) -> web.Response:
        return web.json_response({"calls": faults.counts.total(), "met": dict(faults.counts), **stats()})

    app = web.Application(middlewares=[_bad_settings_are_400])
    app.router.add_get("/control", look)
    app.router.add_put("/control", put)
    app.router.add_delete("/control", reset)
    app.router.add_get("/control/stats", counts)
    return app


@web.middleware
async def _bad_settings_are_400(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as error:
        faults = [{"at": ".".join(map(str, fault["loc"])), "fault": fault["msg"]} for fault in error.errors()]
        return web.json_response({"faults": faults}, status=400)


async def json_object(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body of `request`. Raises web.HTTPBadRequest when there is none."""
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError as error:
        raise web.HTTPBadRequest(text="not JSON") from error
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="not a JSON object")
    return body
