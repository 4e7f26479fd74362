"""Test doubles for a proof: a camera, and an SMS gateway that delivers nothing.

The camera is an HTTP server that sends a film as MPEG-TS in real time; the proof can end its stream. The gateway hands
each request to the proof.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

_CHUNK_S = 0.05
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"


class FilmServer:
    """Sends `stream` from its beginning to each client, `rate` bytes a second. Port 0 takes a free port."""

    def __init__(self, stream: Path, rate: float, host: str = "127.0.0.1", port: int = 0) -> None:
        self._stream, self._rate, self._host = stream, rate, host
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = port
        self.taken = 0
        """Number of connections so far."""

    @property
    def url(self) -> str:
        """The film's URL."""
        return f"http://127.0.0.1:{self.port}/proof.ts"

    async def __aenter__(self) -> Self:
        """Listen; OSError if the address can't be used."""
        self._server = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop sending and listening."""
        assert self._server is not None
        self._server.close()
        await self.end()

    async def end(self) -> None:
        """End every connection, like a camera that is switched off. Clients may connect again at once."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.taken += 1
            writer.write(_HEAD)
            await self._send(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        began, sent, size = time.monotonic(), 0, round(self._rate * _CHUNK_S)
        with self._stream.open("rb") as film:
            while part := film.read(size):
                writer.write(part)
                await writer.drain()
                sent += len(part)
                await asyncio.sleep(max(0.0, began + sent / self._rate - time.monotonic()))


class SmsSink:
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
