"""Watches a camera's thread from the event loop: missing pictures, a stuck thread, pictures that the codec keeps."""

import asyncio
from collections.abc import Callable

from services.ingest.camera.playback import Playback
from services.ingest.core.reconnect import Standstill, stall_timeout
from services.ingest.core.states import CameraProgress

WATCH_S = 0.2
SECOND_NS = 1_000_000_000


class Watchdog:
    """Watches one camera.

    It calls `on_silent` when a live camera delivers no pictures, long before its read times out. It calls `on_stuck`
    once, with the reason, when the thread is stuck.
    """

    def __init__(
        self,
        name: str,
        play: Playback,
        life: Callable[[], CameraProgress],
        clock: Callable[[], int],
        steady: Callable[[], int],
        *,
        stuck_after: int | None,
        stop_limit_ns: int,
        on_silent: Callable[[], None],
        on_stuck: Callable[[str], None],
    ) -> None:
        self._name, self._play, self._life = name, play, life
        self._clock, self._steady = clock, steady
        self._stuck_after, self._stop_limit_ns = stuck_after, stop_limit_ns
        self._on_silent, self._on_stuck = on_silent, on_stuck
        self._stopping_since: int | None = None
        self._is_stuck = False
        self._standstill = Standstill()
        self._handle: asyncio.TimerHandle | None = None

    def look(self, loop: asyncio.AbstractEventLoop, is_gone: Callable[[], bool]) -> None:
        """Check now, and repeat until the thread has ended."""
        if is_gone():
            return
        self._handle = loop.call_later(WATCH_S, self.look, loop, is_gone)
        self._look_at_thread()
        life, decoder = self._life(), self._play.decoder
        if decoder is None or life.reported is None:
            return
        if life.is_leaving:
            decoder.discard(wait=False)
        elif life.state == "live" and self._is_silent() and decoder.discard(wait=False):
            self._on_silent()

    def stopping(self) -> None:
        """Note that the thread must end from now on."""
        if self._stopping_since is None:
            self._stopping_since = self._steady()

    def cancel(self) -> None:
        """Stop checking."""
        if self._handle is not None:
            self._handle.cancel()

    def _look_at_thread(self) -> None:
        since, limit = self._play.busy_since if self._stuck_after else None, self._stuck_after or 0
        if self._stopping_since is not None:
            since, limit = self._stopping_since, self._stop_limit_ns
        lasted = self._standstill.look(self._steady(), since)
        was_stuck, self._is_stuck = self._is_stuck, since is not None and lasted >= limit
        if was_stuck or not self._is_stuck:
            return
        doing = "has not ended" if self._stopping_since is not None else "has shown no sign of life"
        self._on_stuck(f"the thread of camera {self._name} is stuck: it {doing} for {lasted / SECOND_NS:.0f} s")

    def _is_silent(self) -> bool:
        silent_ns = self._clock() - self._play.last_picture_ns
        return self._life().origin != "file" and silent_ns > stall_timeout(self._play.fps)
