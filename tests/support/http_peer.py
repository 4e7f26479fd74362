"""A real HTTP server on the test's own loop that keeps what it got and answers as the test says."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

Answer = Callable[["HttpPeer", web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Got:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpPeer:
    """`async with HttpPeer() as peer`: `peer.got` are the requests, `peer.answers` what the next ones get, then 200."""

    tls: ssl.SSLContext | None = None
    got: list[Got] = field(default_factory=list)
    answers: list[web.Response | str] = field(default_factory=list)
    """A response, or a fault: `hang`, `drop`, `garbage`; 200 and a body without an end, `drip`, or cut off, `short`."""
    port: int = 0

    async def __aenter__(self) -> Self:
        self._over = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    def url(self, path: str = "") -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/{path}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.got.append(Got(request.method, request.path_qs, dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if self.answers else web.Response()
        if isinstance(answer, web.Response):
            return answer
        assert request.transport is not None
        if answer == "garbage":
            request.transport.write(b"\x00\x01 no HTTP at all\r\n\r\n")
        elif answer in {"drip", "short"}:
            request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        if answer in {"hang", "drip"}:
            await self._over.wait()
        if answer == "short":
            request.transport.close()  # an abort might take back what was written
        else:
            request.transport.abort()
        return web.Response()
