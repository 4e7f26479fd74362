"""Hands pictures from a camera's decode thread to the event loop; the newest wins (ADR 14)."""

import asyncio
import threading
from collections.abc import Callable

from services.frames.budget.shedding import BUDGET_NS
from services.ingest.pictures import Picture

SECOND_NS = 1_000_000_000


class Slot:
    """Room for one picture. One thread puts, one task takes.

    A picture that is displaced by a newer one, or that nobody took within the budget, is overwritten and counted by
    `on_shed`. With `expires` False nothing expires: the putting thread waits until its picture was taken.
    """

    def __init__(self, clock: Callable[[], int], on_shed: Callable[[], None], *, expires: bool = True) -> None:
        self._clock, self._on_shed, self._expires = clock, on_shed, expires
        self._lock = threading.Lock()
        self._picture: Picture | None = None
        self._shut = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the loop on which pictures are taken."""
        self._loop = loop

    def put(self, picture: Picture) -> None:
        """Offer a picture, from the decode thread. While shut it is overwritten at once."""
        with self._lock:
            refused = self._shut or self._closed
            displaced, self._picture = (picture, self._picture) if refused else (self._picture, picture)
        self._shed(displaced)
        if not refused:
            self._call(self._arrived)

    async def take(self) -> Picture | None:
        """Return the newest picture as soon as there is one; None when no more will come."""
        while True:
            with self._lock:
                picture, self._picture = self._picture, None
                closed = self._closed
            if picture is not None or closed:
                return picture
            await self._wait()

    def shut(self) -> None:
        """Overwrite what is in the slot and refuse what comes, until `open`."""
        with self._lock:
            self._shut = True
            picture, self._picture = self._picture, None
        self._shed(picture)

    def open(self) -> None:
        """Accept pictures again."""
        with self._lock:
            self._shut = False

    def close(self) -> None:
        """No more will come: overwrite what is in the slot and let `take` return None. Any thread may call it."""
        with self._lock:
            self._closed = True
            picture, self._picture = self._picture, None
        self._shed(picture)
        self._call(self._wake)

    async def _wait(self) -> None:
        # Nothing is missed between the look and here: the thread's call runs on this loop, so after this line.
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _arrived(self) -> None:
        self._wake()
        if self._expires and self._expiry is None:
            self._arm()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _arm(self) -> None:
        """Set the alarm for the picture in the slot; one timer at a time, whatever the camera's rate."""
        picture = self._picture
        if picture is None or self._loop is None:
            return
        left = max(0, picture.decoded_ns + BUDGET_NS - self._clock())
        self._expiry = self._loop.call_later(left / SECOND_NS, self._expire)

    def _expire(self) -> None:
        self._expiry = None
        with self._lock:
            picture = self._picture
            if picture is None or self._clock() - picture.decoded_ns < BUDGET_NS:
                picture = None
            else:
                self._picture = None
        self._shed(picture)
        self._arm()

    def _shed(self, picture: Picture | None) -> None:
        if picture is not None:
            picture.release()
            self._on_shed()

    def _call(self, function: Callable[[], None]) -> None:
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: nobody is left to take anything
            self.shut()
