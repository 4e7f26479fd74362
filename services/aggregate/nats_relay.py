"""Passes browsers' connections on to NATS's WebSocket listener, so that one port and one certificate do (ADR 35).

Nothing is read or kept of what passes. NATS decides who comes in; the page's listener bounds how many connections.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from services.kernel.app import end_tasks

_ASKED_BYTES = 64 << 10
"""The most that a browser may send in a message: four times what NATS takes of the page in a question."""
_ANSWERED_BYTES = 16 << 20
"""The most that NATS may send in a message: twice its `max_payload`, since it may put several into one."""
_CONNECT_S = 5.0
_CLOSE_S = 1.0
"""How long the other side may take to answer that a connection is closed."""


class NatsRelay:
    """Connects each browser to a listener such as `ws://127.0.0.1:8443`, until one of both sides has gone."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve a browser. 403 for another page's, 502 if NATS is away, 426 for what asks for no WebSocket."""
        near = web.WebSocketResponse(max_msg_size=_ASKED_BYTES, compress=False, timeout=_CLOSE_S)
        if not near.can_prepare(request).ok:
            raise web.HTTPUpgradeRequired(headers={"Upgrade": "websocket"})
        if request.headers.get("Origin") != f"{request.url.scheme}://{request.host}":
            raise web.HTTPForbidden
        async with self._connected() as far:
            await near.prepare(request)
            both = [asyncio.create_task(one) for one in (_pass(near, far), _pass(far, near))]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await end_tasks(both)
        return near

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        limit = aiohttp.ClientWSTimeout(ws_close=_CLOSE_S)
        async with aiohttp.ClientSession() as session:
            try:
                async with asyncio.timeout(_CONNECT_S):
                    far = await session.ws_connect(self._upstream, max_msg_size=_ANSWERED_BYTES, timeout=limit)
            except (aiohttp.ClientError, OSError, TimeoutError):
                raise web.HTTPBadGateway from None
            async with far:
                yield far


_Side = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pass(source: _Side, target: _Side) -> None:
    """Pass messages on until one side has gone, or sends what NATS never does."""
    with contextlib.suppress(ConnectionError):
        async for message in source:
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            await target.send_bytes(message.data)
