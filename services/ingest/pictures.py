"""Plain pixels exist only here: preallocated buffers, overwritten before they are used again (docs/privacy.md)."""

import threading
from dataclasses import dataclass, field

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
        """Wait until every buffer is back, for so long at most; returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._free) == self._count, limit_s)


@dataclass(eq=False, slots=True)
class Picture:
    """One sampled picture: planar I420, rows without padding. Whoever took it must release it."""

    width: int
    height: int
    sequence: int
    lease: int
    at: int
    """Event time, ns UTC."""
    decoded_ns: int
    """Monotonic time right after `decode()` returned it: the start of its pixels' lifetime."""
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
        """Overwrite the pixels with zeros and give the buffer back; again does nothing. Any thread may call it."""
        with self._lock:
            if self._released:
                return
            self._released = True
        self._pool.give_back(self._buffer, self._size)

    @property
    def _size(self) -> int:
        return i420_size(self.width, self.height)
