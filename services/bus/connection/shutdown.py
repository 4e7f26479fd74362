"""How a connection to NATS ends: what was published goes out first, no step takes longer than its limit, none raises.

nats-py's `drain()` raises while reconnecting and may hang on a frozen server: then the connection is cut off. It does
not heed a cancellation, so it is a task of its own.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from nats.aio.client import Client

from services.bus.connection.client import cut_off, reader_of, reconnection_of, subscriptions_of, tasks_of
from services.kernel.app import end_tasks


async def end_client(client: Client, limit_s: float) -> str | None:
    """Close a client, whether it is connected or not; return why it could not be drained, or None.

    Afterwards its socket is closed, and none of its tasks is left.
    """
    subscriptions = subscriptions_of(client)  # closing forgets them
    why = await _tried(client.drain(), limit_s)
    await end_tasks(reconnection_of(client), limit_s)  # it would connect again what is closed
    await _tried(client.close(), limit_s)
    cut_off(client)
    await end_tasks([*tasks_of(client), *filter(None, map(reader_of, subscriptions))], limit_s)
    return why


async def _tried(step: Coroutine[Any, Any, None], limit_s: float) -> str | None:
    """Return None once a step is done, or why it is not; past the limit it is ended."""
    task = asyncio.create_task(step)
    try:
        await asyncio.wait([task], timeout=limit_s)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not task.done():
        await end_tasks([task], limit_s)
        return f"not within {limit_s:g} s"
    error = asyncio.CancelledError("cancelled") if task.cancelled() else task.exception()
    return None if error is None else str(error) or type(error).__name__
