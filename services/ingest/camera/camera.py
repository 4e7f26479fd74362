"""One camera: its thread, and what the loop may do with it (docs/cameras.md)."""

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable

from services.ingest.camera.connector import Connector
from services.ingest.camera.frame_sampler import FrameSampler, Shedding
from services.ingest.camera.leased import CameraStatus, EventTime, LeasedLife
from services.ingest.camera.pictures import Picture, Slot
from services.ingest.camera.playback import CameraStats, Playback
from services.ingest.camera.watchdog import Watchdog
from services.ingest.core.reconnect import STUCK_LIMIT_S, Backoff, stuck_after
from services.ingest.core.states import CameraProgress, PauseReason
from services.ingest.sources.address import addresses_of, kind_of
from services.ingest.sources.peer import PeerSlot
from services.kernel.clock import boottime_ns
from services.kernel.log import get_logger
from services.sites.settings import CameraSettings

log = get_logger()

SECOND_NS = 1_000_000_000
DECODE_NICE = 10
STUCK_NICE = 19
SLOW_RETRY_S = 30.0
"""Retry interval in seconds for a fault that only a person can fix: a missing file, a wrong password."""


class Camera:
    """One camera within one lease. Call `start`, `stop`, `pause`, `resume` and `take` only on the loop's thread.

    The camera calls `on_state` on the loop for every change, in order. It retries a live source for ever. A file that
    has ended (state `ended`) does not play again. After a pause a file plays from its beginning. If a picture is not
    the one that the privacy areas were drawn on, the camera retries nothing. Only changed settings, and with them a new
    Camera, end that.

    When the thread is stuck in the decoder, the camera calls `on_stuck` on the loop once, with the reason. The camera
    stays `failed-config` and `stuck`, also if the thread comes back, which then only ends. The process goes on for the
    other cameras (ADR 39). A thread that hangs elsewhere, as in a resolver without an answer, and a local device that
    hangs, are only reported by the state (`stalled`), and go on when they come back.

    `clock` gives pictures their ages. `steady` stops while the host is suspended: it paces films, and tells how long
    the thread has shown no sign of life, since a thread that slept with its host is not stuck.
    """

    def __init__(
        self,
        site: str,
        settings: CameraSettings,
        *,
        lease: int,
        phase_ns: int,
        on_state: Callable[[CameraStatus], None],
        clock: Callable[[], int] = boottime_ns,
        steady: Callable[[], int] = time.monotonic_ns,
        utc: Callable[[], int] = time.time_ns,
        backoff: Backoff | None = None,
        slow_retry_s: float = SLOW_RETRY_S,
        stuck_limit_s: float = STUCK_LIMIT_S,
        on_stuck: Callable[[str], None] | None = None,
        resolve: Callable[[str], frozenset[str]] = addresses_of,
        on_lag: Callable[[float], None] = lambda _seconds: None,
        on_shed: Callable[[], None] = lambda: None,
    ) -> None:
        self.site, self.settings = site, settings
        self._clock, self._steady = clock, steady
        self._backoff, self._on_stuck = backoff or Backoff(), on_stuck or (lambda _: None)
        origin = kind_of(settings)
        self.peer_slot = PeerSlot() if origin == "peer" else None
        """The slot that a peer takes to publish; None for a camera that ingest opens itself."""
        self._leaving = threading.Event()
        """Set while the thread must stop its current work: the camera is paused or being stopped."""
        self._changed = threading.Event()
        self.is_live = paced = settings.paced or origin != "file"
        """Whether it has the pace of its source: a camera, or a file that is played as one."""
        event_time = EventTime(lease, settings.fps, phase_ns, paced=paced, utc=utc)
        self._leased = LeasedLife(site, settings.id, CameraProgress(origin), event_time, utc, on_state)
        self.shedding = Shedding(on_shed, round(SECOND_NS / settings.fps))
        """The sender asks it whether to send a picture, and reports round trips and dropped pictures to it."""
        self._slot = Slot(clock, self.shedding.drop, expires=paced)
        sampler = FrameSampler(
            settings.long_side,
            event_time,
            paced=paced,
            slot=self._slot,
            shedding=self.shedding,
            leaving=self._leaving,
            clock=clock,
            on_lag=on_lag,
        )
        self._play = Playback(
            settings,
            sampler,
            paced=paced,
            leaving=self._leaving,
            clock=clock,
            steady=steady,
            on_picture=self._is_live,
        )
        self._connector = Connector(
            settings,
            self._leased,
            self._play,
            peer_slot=self.peer_slot,
            leaving=self._leaving,
            clock=clock,
            steady=steady,
            backoff=self._backoff,
            slow_retry_s=slow_retry_s,
            resolve=resolve,
        )
        self._thread: threading.Thread | None = None
        limit = stuck_after(settings.open_timeout_s, settings.read_timeout_s, stuck_limit_s)
        self._watchdog = Watchdog(
            f"{site}/{settings.id}",
            self._play,
            lambda: self._leased.life,
            clock,
            steady,
            # A thread that waits for a peer, or for its next picture, can be woken at any time.
            stuck_after=limit if self.peer_slot is None else None,
            stop_limit_ns=round(stuck_limit_s * SECOND_NS),
            on_silent=self._silent,
            on_stuck=self._stuck,
        )
        self._gone = asyncio.Event()

    # --- on the loop

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the decode thread, but not that of a camera that is stuck; a camera starts once."""
        assert self._thread is None, "a camera starts once"
        self._leased.attach(loop)
        self._slot.attach(loop)
        if self.is_stuck:
            return
        self._thread = threading.Thread(target=self._run, name=f"camera {self.site}/{self.settings.id}", daemon=False)
        self._thread.start()
        self._watchdog.look(loop, self._gone.is_set)

    async def take(self) -> Picture | None:
        """Return the newest picture as soon as there is one; None when no more will come. The caller releases it."""
        return await self._slot.take()

    async def stop(self, limit_s: float) -> bool:
        """End the thread, overwrite pictures that nobody took, and make `take` return None.

        Returns False, and logs it, if the thread did not end within the limit: FFmpeg can be blocked in a read. The
        watchdog keeps checking until the thread has ended, and logs if it is stuck.
        """
        self._leased.turn(CameraProgress.stop)
        self._watchdog.stopping()
        self._leave()
        self._slot.close()
        if self._thread is None:
            return True
        try:
            await asyncio.wait_for(self._gone.wait(), limit_s)
        except TimeoutError:
            log.warning("camera thread still running", site=self.site, camera=self.settings.id, limit_s=limit_s)
            return False
        self._watchdog.cancel()
        self._thread.join()  # setting `_gone` was its last step
        return True

    def pause(self, reason: PauseReason = "operator") -> None:
        """Stop processing until resumed: overwrite the waiting picture, refuse new ones, and close the connection."""
        life = self._leased.life
        processes_nothing = life.state == "ended" or (self._gone.is_set() and not self.is_stuck)
        if life.stopping or processes_nothing:
            return
        was_paused = self._leased.life.paused
        self._leased.turn(lambda life: life.pause(reason))
        if was_paused:  # only the reason may differ
            return
        self._leave()
        self._slot.shut()
        decoder = self._play.decoder
        if decoder is not None:
            decoder.discard(wait=False)  # if the thread is decoding, it or the watchdog discards later

    def resume(self) -> None:
        """Continue after a pause."""
        if not self._leased.life.paused or self._leased.life.stopping:
            return
        self._leased.turn(CameraProgress.resume)
        if self.is_stuck:
            return
        self._slot.open()
        self._leaving.clear()
        self._changed.set()

    def stick(self, why: str) -> None:
        """Leave this camera out: end its thread as soon as it comes back, and start none. `why` is for the log."""
        self._leased.turn(lambda life: life.stick(why))
        self._leave()

    def renumber(self, lease: int) -> None:
        """Continue under a higher lease number; event time may be earlier under it than before."""
        self._leased.renumber(lease)

    def read_clock_again(self) -> None:
        """Take event time from this host's clock again, since it was set forward."""
        self._leased.event_time.read_clock_again()

    def stats(self) -> CameraStats:
        """Return the counts since the start."""
        return self._play.stats()

    @property
    def lease(self) -> int:
        """The number of the lease."""
        return self._leased.lease

    @property
    def plays_once(self) -> bool:
        """Whether this is a file that plays once and ends."""
        return self._leased.life.origin == "file" and not self.settings.loop

    @property
    def is_stuck(self) -> bool:
        """Whether its thread got stuck, here or in an earlier life of this camera."""
        return self._leased.life.stuck is not None

    @property
    def picture_changed(self) -> bool:
        """Whether a picture had another size than its privacy areas were drawn on; then this Camera stays stopped."""
        return self._leased.life.other_picture is not None

    @property
    def status(self) -> CameraStatus | None:
        """The current state; None before the start."""
        return self._leased.status

    def _silent(self) -> None:
        self._leased.turn(CameraProgress.silent)

    def _stuck(self, why: str) -> None:
        """Report a stuck thread, and let it disturb nobody. One that was told to end needs no state any more."""
        log.error("camera thread stuck", site=self.site, camera=self.settings.id, reason=why)
        is_for_good = self._play.is_decoding and self._leased.life.origin != "device"
        if not (is_for_good or self._leased.life.stopping):  # it waits, and may go on
            self._leased.turn(lambda life: life.enter("stalled", "timeout", why))
            return
        if self._thread is not None:
            _give_way(self._thread, STUCK_NICE)
        if not self._leased.life.stopping:
            self.stick(why)
            self._on_stuck(why)

    # --- on the camera's thread

    def _run(self) -> None:
        try:
            _give_way(threading.current_thread(), DECODE_NICE)
            while not (self._leased.life.stopping or self.is_stuck):
                if self._leaving.is_set():
                    self._sleep(None)
                    continue
                delay_ns = self._connector.connect()
                if delay_ns is None:
                    return
                self._sleep(delay_ns / SECOND_NS)
        finally:
            self._slot.close()
            self._leased.on_loop(self._gone.set)

    def _is_live(self) -> None:
        if self._leaving.is_set() or self._leased.life.state == "live":
            return
        self._backoff.live(self._clock())
        self._leased.turn(CameraProgress.live)

    # --- both

    def _leave(self) -> None:
        self._leaving.set()
        self._changed.set()
        if self.peer_slot is not None:
            self.peer_slot.clear()

    def _sleep(self, limit_s: float | None) -> None:
        self._play.busy_since = None
        self._changed.wait(limit_s)
        self._changed.clear()


def _give_way(thread: threading.Thread, nice: int) -> None:
    """Give event loops and inference priority over this thread: no picture waits while others are decoded (ADR 14)."""
    if sys.platform != "linux":  # threads have no priorities of their own
        return
    assert thread.native_id is not None
    with contextlib.suppress(OSError):  # a container may forbid it, or the thread has just ended
        as_it_is = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, thread.native_id, max(as_it_is, nice))
