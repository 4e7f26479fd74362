"""Orders in progress: each one is answered in its own task, and the number of tasks is limited."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from prometheus_client import Counter

from services.kernel.app import App

MAX_ORDERS = 64
DROPPED = Counter("moretta_ingest_orders_dropped_total", "Orders that came while too many were in hand")


class InHand:
    """The tasks of one kind of order."""

    def __init__(self, app: App) -> None:
        self._app, self._count, self._freed = app, 0, asyncio.Event()

    def has_room(self) -> bool:
        """Return whether there is room for another order; if not, count the order as dropped."""
        if self._count >= MAX_ORDERS:
            DROPPED.inc()
        return self._count < MAX_ORDERS

    async def room(self) -> None:
        """Wait until there is room."""
        while self._count >= MAX_ORDERS:
            self._freed.clear()
            await self._freed.wait()

    def spawn(self, name: str, coro: Coroutine[Any, Any, None]) -> None:
        """Carry an order out in a task."""
        self._count += 1
        self._app.spawn(name, coro, may_end=True).add_done_callback(self._done)

    def _done(self, _: object) -> None:
        self._count -= 1
        self._freed.set()
