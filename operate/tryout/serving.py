"""TCP servers whose connections end with them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD_BYTES = 16_384
"""The most that a request's head may be long."""
_BROKEN = (OSError, EOFError, asyncio.LimitOverrunError, TimeoutError)
"""What a client does to its own connection; nobody else's."""


@contextlib.asynccontextmanager
async def serving(handle: Handle, host: str, port: int) -> AsyncIterator[int]:
    """Serve each connection by `handle`; gives the port (a free one for 0). OSError if the address can't be used."""
    there: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        there.add(task)
        try:
            with contextlib.suppress(*_BROKEN):
                await handle(reader, writer)
        except asyncio.CancelledError:
            pass  # the server ends; asyncio would call that an error of its own
        finally:
            there.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, port, limit=HEAD_BYTES)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in there:
            task.cancel()
        await asyncio.gather(*there, return_exceptions=True)
