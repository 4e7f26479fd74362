"""An SMS gateway that delivers nothing: it passes each request to a callback."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web


class SmsGateway:
    """Listens on a free port of the loopback address while its block runs; `take` gets each whole request."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/sms"

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = "".join(f"{name}: {value}\n" for name, value in request.headers.items())
        self._take(f"{request.method} {request.path_qs}\n{headers}\n".encode() + await request.read())
        return web.json_response({"status": "taken"})
