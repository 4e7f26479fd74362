"""One camera: its decode thread, its states and its reconnecting (docs/cameras.md)."""

import asyncio
import contextlib
import dataclasses
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from proto.types import CameraReason, CameraState
from services.frames.budget.shedding import Shedder
from services.ingest.address import Kind, SourceError, address_of
from services.ingest.core.reconnect import STUCK_LIMIT_S, Backoff, has_moved, stall_timeout, stuck_after
from services.ingest.lookup import addresses_of
from services.ingest.metrics import LAG
from services.ingest.peer import PeerSource, Seat
from services.ingest.pictures import Picture
from services.ingest.playback import CameraStats, Playback
from services.ingest.slot import Slot
from services.ingest.source import Source, open_source
from services.kernel.log import get_logger
from services.sites.settings import CameraSettings

log = get_logger()

PauseReason = Literal["operator", "schedule"]
SECOND_NS = 1_000_000_000
WATCH_S = 0.2
DECODE_NICE = 10
SLOW_RETRY_S = 30.0
"""How often a camera is tried that only a person can mend: a missing file, a wrong password."""
_PERSON_MENDS: frozenset[CameraReason] = frozenset(
    {"bad-source", "unauthorised", "no-video", "picture-changed", "no-decoder"}
)


@dataclass(frozen=True)
class CameraStatus:
    """A camera's state since `at` (ns UTC). `message` is for the log and names no credentials; it isn't published."""

    site: str
    camera: str
    lease: int
    state: CameraState
    reason: CameraReason | None
    at: int
    message: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether this is as far as the camera gets: whoever served it before may let go."""
        return self.state in {"live", "paused", "ended"}


class Camera:
    """One camera within one lease. `start`, `stop`, `pause`, `resume` and `take` belong to the loop's thread.

    `on_state` is called on the loop for every change, in order. A live source is tried again for ever; a file that has
    ended (state `ended`) is over. After a pause a file plays from its beginning. Once a picture was not the one that
    the privacy areas were drawn on, nothing is tried again: only other settings, and with them a new Camera, end that.

    `on_stuck` is called on the loop with the reason, once, when the thread is beyond help: only a new process mends
    that. A local device that hangs is only told by its state (`stalled`): it would hang a new process too.
    """

    def __init__(
        self,
        site: str,
        settings: CameraSettings,
        *,
        lease: int,
        phase_ns: int,
        on_state: Callable[[CameraStatus], None],
        clock: Callable[[], int] = time.monotonic_ns,
        utc: Callable[[], int] = time.time_ns,
        backoff: Backoff | None = None,
        slow_retry_s: float = SLOW_RETRY_S,
        stuck_limit_s: float = STUCK_LIMIT_S,
        on_stuck: Callable[[str], None] | None = None,
        resolve: Callable[[str], frozenset[str]] = addresses_of,
    ) -> None:
        self.site, self.settings, self.lease = site, settings, lease
        self._on_state, self._clock, self._utc = on_state, clock, utc
        self._backoff, self._slow_retry_s = backoff or Backoff(), slow_retry_s
        self._stuck_limit_s, self._on_stuck = stuck_limit_s, on_stuck or log.error
        self._resolve, self._addresses = resolve, frozenset[str]()
        self._stopping_since: int | None = None
        self._is_file, self._is_device = _kind(settings) == "file", _kind(settings) == "device"
        self.seat = Seat() if _kind(settings) == "peer" else None
        """Where a peer may sit down to publish; None for a camera that is fetched."""
        self._random = random.SystemRandom()
        self._guard = threading.Lock()
        self._status: CameraStatus | None = None
        self._stopping = self._paused = False
        self._leaving = threading.Event()
        """Set while the thread is to leave what it is doing: the camera is paused or being stopped."""
        self._changed = threading.Event()
        paced = settings.paced or not self._is_file  # a live source has its own pace
        self._slot = Slot(clock, self.count_shed, expires=paced)
        self._play = Playback(
            settings,
            paced=paced,
            lease=lease,
            phase_ns=phase_ns,
            slot=self._slot,
            shedder=Shedder(),
            leaving=self._leaving,
            clock=clock,
            utc=utc,
            on_picture=self._is_live,
            on_lag=LAG.labels(site, settings.id).observe,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._watch_handle: asyncio.TimerHandle | None = None
        self._other_picture: SourceError | None = None
        self._is_stuck = False
        self._stuck_after = stuck_after(settings.open_timeout_s, settings.read_timeout_s, stuck_limit_s)
        self._gone = asyncio.Event()

    # --- on the loop

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the decode thread; a camera starts once."""
        assert self._thread is None, "a camera starts once"
        self._loop = loop
        self._slot.attach(loop)
        self._thread = threading.Thread(target=self._run, name=f"camera {self.site}/{self.settings.id}", daemon=False)
        self._thread.start()
        self._watch()

    async def take(self) -> Picture | None:
        """Return the newest picture as soon as there is one; None when no more will come. The caller releases it."""
        return await self._slot.take()

    async def stop(self, limit_s: float) -> bool:
        """End the thread, overwrite what wasn't taken and let `take` return None.

        Returns False, and reports it, if the thread did not end within the limit: FFmpeg can be blocked in a read. The
        watchdog looks on until the thread has ended, or is stuck.
        """
        with self._guard:
            self._stopping = True
        if self._stopping_since is None:
            self._stopping_since = self._clock()
        self._leave()
        self._slot.close()
        if self._thread is None:
            return True
        try:
            await asyncio.wait_for(self._gone.wait(), limit_s)
        except TimeoutError:
            log.warning("a camera's thread has not ended yet", site=self.site, camera=self.settings.id, limit_s=limit_s)
            return False
        if self._watch_handle is not None:
            self._watch_handle.cancel()
        self._thread.join()  # it has said goodbye as its last act
        return True

    def pause(self, reason: PauseReason = "operator") -> None:
        """Stop processing now: wipe what wasn't taken, refuse what comes, close the connection, until resumed."""
        with self._guard:
            if self._stopping or self._gone.is_set():  # what has ended stays so: nothing of it is processed
                return
            was_paused, self._paused = self._paused, True
        if was_paused:  # only the reason may be another
            self._set("paused", reason)
            return
        self._leave()
        self._slot.shut()
        decoder = self._play.decoder
        if decoder is not None:
            decoder.discard(wait=False)  # if it is decoding, the thread or the watchdog does it
        self._set("paused", reason)

    def resume(self) -> None:
        """Go on after a pause."""
        with self._guard:
            if not self._paused or self._stopping:
                return
            self._paused = False
        if self._other_picture is None:
            self._set("connecting")  # now: the thread may be blocked in a read, and go on without connecting anew
        self._slot.open()
        self._leaving.clear()
        self._changed.set()

    def renumber(self, lease: int) -> None:
        """Go on under a higher lease: ours was lost with the bus, and is ours again."""
        with self._guard:
            self.lease = self._play.lease = lease
            if self._status is not None:
                status = self._status = dataclasses.replace(self._status, lease=lease)
                self._call(lambda: self._on_state(status))

    def stats(self) -> CameraStats:
        """Return what was counted since the start."""
        return self._play.stats()

    @property
    def plays_once(self) -> bool:
        """Whether this is a film that comes to an end."""
        return self._is_file and not self.settings.loop

    @property
    def picture_changed(self) -> bool:
        """Whether a picture had another size than its privacy areas were drawn on: it is stopped for its whole life."""
        return self._other_picture is not None

    @property
    def status(self) -> CameraStatus | None:
        """The state in force; None before the start."""
        return self._status

    # --- on any thread

    def may_send(self, age_ns: int) -> bool:
        """Return whether a picture of this age can make the budget (core.shedding)."""
        return self._play.may_send(age_ns)

    def answered(self, service_ns: int) -> None:
        """Count a measured round trip; a picture without a reply counts as the budget."""
        self._play.answered(service_ns)

    def count_shed(self) -> None:
        """Count a sampled picture that was dropped unread."""
        self._play.count_shed()

    # --- the watchdog, on the loop

    def _watch(self) -> None:
        """Notice a silent camera long before its read times out, and drop the codec's reference pictures."""
        assert self._loop is not None
        if self._gone.is_set():
            return
        self._watch_handle = self._loop.call_later(WATCH_S, self._watch)
        self._watch_thread()
        status, decoder = self._status, self._play.decoder
        if decoder is None or status is None:
            return
        if status.state == "paused" or self._stopping:
            decoder.discard(wait=False)
        elif status.state == "live" and self._is_silent() and decoder.discard(wait=False):
            self._set("stalled", "timeout", "no picture came")

    def _watch_thread(self) -> None:
        # Whoever waits for a peer, or for its next picture, can be woken at any time.
        since, limit = self._play.busy_since if self.seat is None else None, self._stuck_after
        if self._stopping_since is not None:
            since, limit = self._stopping_since, round(self._stuck_limit_s * SECOND_NS)
        was_stuck, self._is_stuck = self._is_stuck, since is not None and self._clock() - since >= limit
        if since is None or was_stuck or not self._is_stuck:
            return
        doing = "has not ended" if self._stopping else "has shown no sign of life"
        seconds = (self._clock() - since) / SECOND_NS
        why = f"the thread of camera {self.site}/{self.settings.id} is stuck: it {doing} for {seconds:.0f} s"
        if self._is_device:  # it would hang in a new process as well, and each one would stop every other camera
            log.error(why)
            self._set("stalled", "timeout", why)
        else:
            self._on_stuck(why)

    def _is_silent(self) -> bool:
        silent_ns = self._clock() - self._play.last_picture_ns
        return not self._is_file and silent_ns > stall_timeout(self._play.rate.per_second)

    # --- on the camera's thread

    def _run(self) -> None:
        try:
            _give_way()
            while not self._stopping:
                if self._leaving.is_set():
                    self._sleep(None)
                    continue
                delay_ns = self._connect()
                if delay_ns is None:
                    return
                self._sleep(delay_ns / SECOND_NS)
        finally:
            self._slot.close()
            self._call(self._gone.set)

    def _connect(self) -> int | None:
        """Play the source once; returns how long to wait before the next time (ns), None if there is none."""
        if self._other_picture is not None:
            return self._failed(self._other_picture)
        if self._status is None or self._status.state != "failed-config":  # trying again in vain is no news
            self._set("connecting")
        self._play.busy_since = self._clock()
        try:
            self._play.reconnected()
            self._play_source()
        except SourceError as error:
            return self._failed(error)
        except Exception as error:
            log.exception("a camera's thread failed", site=self.site, camera=self.settings.id)
            return self._failed(SourceError("other", f"an error of our own: {type(error).__name__}"))
        return 0 if self._leaving.is_set() else self._ended()

    def _play_source(self) -> None:
        while True:
            with self._open() as source:
                self._addresses = self._resolve(self.settings.url)
                self._play.play(source)
            if self._leaving.is_set() or not (self._is_file and self.settings.loop):
                return

    def _open(self) -> Source | PeerSource:
        return open_source(self.settings) if self.seat is None else self.seat.wait(self._leaving)

    def _ended(self) -> int | None:
        if not self._is_file:
            return self._failed(SourceError("end-of-stream", "the camera closed the stream"))
        self._play.drain()  # `ended` says that nothing more of this lease will come
        self._set("ended")
        return None

    def _failed(self, error: SourceError) -> int | None:
        if error.reason == "picture-changed":  # the old size may come back and show something else: a person looks
            self._other_picture = error
        if self._leaving.is_set():
            return 0
        if self._is_file and error.reason == "picture-changed":  # from its beginning it would only come to this again
            self._set("failed-config", error.reason, error.message)
            return None
        if self._is_file or error.reason in _PERSON_MENDS:
            self._set("failed-config", error.reason, error.message)
            return round(self._slow_retry_s * SECOND_NS)
        if self.seat is not None:  # nobody is to be spared: the next peer comes by itself
            self._set("stalled", error.reason, error.message)
            return 0
        self._set("backing-off", error.reason, error.message)
        return self._backoff.failed(self._clock(), self._random.random(), moved=self._has_moved())

    def _has_moved(self) -> bool:
        return self._backoff.may_hurry and has_moved(self._addresses, self._resolve(self.settings.url))

    def _is_live(self) -> None:
        if self._leaving.is_set() or (self._status is not None and self._status.state == "live"):
            return
        self._backoff.live(self._clock())
        self._set("live")

    # --- both

    def _leave(self) -> None:
        self._leaving.set()
        self._changed.set()
        if self.seat is not None:
            self.seat.clear()

    def _sleep(self, limit_s: float | None) -> None:
        self._play.busy_since = None
        self._changed.wait(limit_s)
        self._changed.clear()

    def _set(self, state: CameraState, reason: CameraReason | None = None, message: str = "") -> None:
        with self._guard:
            old = self._status
            if self._stopping or (self._paused and state != "paused"):
                return
            if old is not None and (old.state, old.reason, old.message) == (state, reason, message):
                return
            status = CameraStatus(self.site, self.settings.id, self.lease, state, reason, self._utc(), message)
            self._status = status
            self._call(lambda: self._on_state(status))

    def _call(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
                self._loop.call_soon_threadsafe(function)


def _give_way() -> None:
    """Let event loops and inference go before this thread: no picture waits for more to be decoded (ADR 14)."""
    if sys.platform != "linux":  # threads have no priorities of their own
        return
    with contextlib.suppress(OSError):  # a container may forbid it
        as_it_is = os.getpriority(os.PRIO_PROCESS, 0)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(as_it_is, DECODE_NICE))


def _kind(settings: CameraSettings) -> Kind | None:
    try:
        return address_of(settings).kind
    except SourceError:
        return None
