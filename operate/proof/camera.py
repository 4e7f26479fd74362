"""The proof's camera: an HTTP server that sends a film as MPEG-TS at its own pace, and can be made to end."""

import asyncio
import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK_S = 0.05
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"


class FilmServer:
    """Sends `stream` from its beginning to whoever connects, so many bytes a second. Port 0 takes a free one."""

    def __init__(self, stream: Path, rate: float, host: str = "127.0.0.1", port: int = 0) -> None:
        self._stream, self._rate, self._host = stream, rate, host
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = port
        self.taken = 0
        """How often somebody connected."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/proof.ts"

    async def __aenter__(self) -> Self:
        """Listen; OSError if that can't be done there."""
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
        """End every connection, as a camera does that is switched off; it may be connected to again at once."""
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
