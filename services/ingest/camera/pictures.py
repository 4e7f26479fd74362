"""Plain pixels exist only here: preallocated buffers, overwritten before they are used again (docs/privacy.md).

A camera's decode thread hands pictures to the event loop. A newer picture replaces one that waits (ADR 14).
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from services.frames.budget import BUDGET_NS
from services.ingest.core.picture import i420_size


class BufferPool:
    """A camera's few preallocated buffers. Thread-safe."""

    def __init__(self, long_side: int, count: int = 3) -> None:
        size = i420_size(long_side, long_side)
        self._free = [memoryview(bytearray(size)) for _ in range(count)]
        self._zeros = memoryview(bytes(size))
        self._count = count
        self._changed = threading.Condition()

    def take(self) -> memoryview | None:
        """Return a buffer of zeros, or None if all are in use."""
        with self._changed:
            return self._free.pop() if self._free else None

    def give_back(self, buffer: memoryview, used: int) -> None:
        """Overwrite the first `used` bytes with zeros and put the buffer back."""
        buffer[:used] = self._zeros[:used]
        with self._changed:
            self._free.append(buffer)
            self._changed.notify_all()

    def wait_idle(self, limit_s: float) -> bool:
        """Wait up to `limit_s` until every buffer is back; return whether all are."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._free) == self._count, limit_s)


@dataclass(eq=False, slots=True)
class Picture:
    """One sampled picture: planar I420, rows without padding. The task that took it must release it."""

    width: int
    height: int
    sequence: int
    lease: int
    at: int
    """Event time, ns UTC."""
    decoded_ns: int
    """Time (`boottime_ns`) right after `decode()` returned it: the start of its pixels' lifetime."""
    period_ns: int
    """Time between two samples of this camera; the camera's own interval where that is longer."""
    _buffer: memoryview = field(repr=False)
    _pool: BufferPool = field(repr=False)
    _released: bool = field(default=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def pixels(self) -> memoryview:
        """The picture's bytes: Y, U, V. ValueError after release, when the buffer may hold another picture."""
        if self._released:
            raise ValueError("the picture was released; its pixels are overwritten")
        return self._buffer[: self._size]

    def release(self) -> None:
        """Overwrite the pixels with zeros and give the buffer back, only once. Any thread may call it."""
        with self._lock:
            if self._released:
                return
            self._released = True
        self._pool.give_back(self._buffer, self._size)

    @property
    def _size(self) -> int:
        return i420_size(self.width, self.height)


SECOND_NS = 1_000_000_000


class Slot:
    """A slot for one picture. One thread puts, one task takes.

    The slot overwrites a picture, and counts it by `on_shed`, if a newer one displaces it or nobody took it within the
    budget. With `expires` False nothing expires: the putting thread waits until its picture was taken.
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
        """Offer a picture, from the decode thread. A slot that is shut overwrites it at once."""
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
        """Overwrite the picture in the slot and refuse new ones until `open`."""
        with self._lock:
            self._shut = True
            picture, self._picture = self._picture, None
        self._shed(picture)

    def open(self) -> None:
        """Accept pictures again."""
        with self._lock:
            self._shut = False

    def close(self) -> None:
        """Overwrite the picture in the slot and make `take` return None: no more will come. Any thread may call it."""
        with self._lock:
            self._closed = True
            picture, self._picture = self._picture, None
        self._shed(picture)
        self._call(self._wake)

    async def _wait(self) -> None:
        # No wake-up is lost between the check and here: the thread's call runs on this loop, so after this line.
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
        """Start the expiry timer for the picture in the slot; one timer at a time, whatever the camera's rate."""
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
