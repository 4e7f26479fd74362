"""`POST /api/SITE/CAMERA/aim`: aims a camera for an operator and answers with one AimReportV1 per line."""

import asyncio
from contextlib import aclosing, suppress
from http import HTTPStatus

import msgspec
from aiohttp import web

from proto.aiming import LONGEST_S, AimReportV1, AimRequestV1, AimSeconds
from proto.codec import encode_as
from proto.control import OperatorName, Why
from services.ingest.orders.aim_orders import Aimer, AimRefused
from services.ingest.web.access import Access, not_allowed, problem
from services.kernel.listener import BODY_S
from services.kernel.settings import Secret

_STATUS = {
    "unknown": HTTPStatus.NOT_FOUND,
    "elsewhere": HTTPStatus.SERVICE_UNAVAILABLE,
    "not-live": HTTPStatus.CONFLICT,
}


class AimBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The operator who aims, and the reason; both are recorded."""

    operator: OperatorName
    why: Why = ""
    seconds: AimSeconds = LONGEST_S


class Aim:
    """The endpoint. Without an operator's token in the settings it refuses everybody."""

    def __init__(self, access: Access, aimer: Aimer, token: Secret | None) -> None:
        self._access, self._aimer, self._token = access, aimer, token

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes to serve."""
        return [web.route("*", "/api/{site}/{camera}/aim", self._aim)]

    async def _aim(self, request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(headers={"Allow": "POST, OPTIONS"})
        if request.method != "POST":
            return not_allowed("POST", "OPTIONS")
        refusal = self._access.operator(request, self._token)
        if refusal is not None:
            return refusal
        try:
            body = await _body(request)
            place = {"site": request.match_info["site"], "camera": request.match_info["camera"]}
            order = msgspec.convert({**place, **msgspec.to_builtins(body), "type": "AimRequestV1"}, AimRequestV1)
            reports = await self._aimer.start(order)
        except msgspec.MsgspecError as error:
            return problem(HTTPStatus.BAD_REQUEST, f"send JSON with operator and why: {error}")
        except AimRefused as error:
            return problem(_STATUS[error.reason], str(error))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        async with aclosing(reports):
            with suppress(ConnectionResetError):  # a client that leaves has seen enough
                await response.prepare(request)
                async for report in reports:
                    await response.write(_line(report))
        return response


async def _body(request: web.Request) -> AimBody:
    """Return the body; msgspec.MsgspecError if it is wrong, 408 if it does not come."""
    try:
        async with asyncio.timeout(BODY_S):
            return msgspec.json.decode(await request.read(), type=AimBody)
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def _line(report: AimReportV1) -> bytes:
    return encode_as("json", report) + b"\n"
