"""A TCP server whose connections end with it, and the pace at which a camera sends."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD_BYTES = 16_384
"""The most that a request's head may be long."""
_BROKEN = (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError)
"""What a client does to its own connection; nobody else's."""


class TcpServer:
    """Serves each connection by `handle` while its block runs. Port 0 takes a free port."""

    def __init__(self, handle: Handle, host: str = "127.0.0.1", port: int = 0) -> None:
        self._handle, self._host, self.port = handle, host, port
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        """Listen; OSError if the address can't be used."""
        self._server = await asyncio.start_server(self._connected, self._host, self.port, limit=HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and end every connection."""
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
            with contextlib.suppress(*_BROKEN):
                await self._handle(reader, writer)
        except asyncio.CancelledError:
            pass  # the server ends; asyncio would call that an error of its own
        finally:
            self._open.discard(task)
            writer.transport.abort()


async def send_paced(writer: asyncio.StreamWriter, parts: Iterable[tuple[float, bytes]]) -> None:
    """Send each part when its second has come, counted from now."""
    began = time.monotonic()
    for at, part in parts:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        writer.write(part)
        await writer.drain()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection once all that was written to it is sent."""
    writer.close()
    await writer.wait_closed()
