"""Connects a camera to its source, on the camera's thread, and says how long to wait before the next attempt."""

import random
import threading
from collections.abc import Callable

from services.ingest.camera.leased import LeasedLife
from services.ingest.camera.playback import Playback
from services.ingest.core.reconnect import Backoff, has_moved
from services.ingest.core.states import Again, CameraProgress, CameraTrouble
from services.ingest.sources.address import SourceError
from services.ingest.sources.peer import PeerSlot, PeerSource
from services.ingest.sources.source import Source, open_source
from services.kernel.log import get_logger
from services.sites.settings import CameraSettings

log = get_logger()

SECOND_NS = 1_000_000_000


class Connector:
    """Opens one camera's source and plays it, as often as it is called; a looped file repeatedly.

    `peer_slot` takes a peer; None for a source that ingest opens itself. `resolve` returns the addresses of a
    URL's host name.
    """

    def __init__(
        self,
        settings: CameraSettings,
        life: LeasedLife,
        play: Playback,
        *,
        peer_slot: PeerSlot | None,
        leaving: threading.Event,
        clock: Callable[[], int],
        steady: Callable[[], int],
        backoff: Backoff,
        slow_retry_s: float,
        resolve: Callable[[str], frozenset[str]],
    ) -> None:
        self._settings, self._leased, self._play = settings, life, play
        self._peer_slot, self._leaving, self._clock, self._steady = peer_slot, leaving, clock, steady
        self._backoff, self._slow_retry_s = backoff, slow_retry_s
        self._resolve, self._addresses = resolve, frozenset[str]()
        self._random = random.SystemRandom()

    def connect(self) -> int | None:
        """Play the source once; return the wait before the next attempt in ns, None if there is none."""
        other_picture = self._leased.life.other_picture
        if other_picture is not None:
            return self._failed(other_picture)
        self._leased.turn(CameraProgress.connecting)
        self._play.busy_since = self._steady()
        try:
            self._leased.event_time.read_clock_again()
            left = self._play_source()
        except SourceError as error:
            return self._failed(CameraTrouble(error.reason, error.message))
        except Exception as error:
            log.exception("a camera's thread failed", site=self._leased.site, camera=self._leased.camera)
            return self._failed(CameraTrouble("other", f"an error of our own: {type(error).__name__}"))
        return 0 if left else self._ended()

    def _play_source(self) -> bool:
        """Play the source to its end, a looped file repeatedly; return whether a pause or a stop interrupted it."""
        while True:
            with self._open() as source:
                self._addresses = self._looked_up(self._settings.url)
                left = self._play.play(source)
            if left or not (self._leased.life.origin == "file" and self._settings.loop):
                return left

    def _open(self) -> Source | PeerSource:
        if self._peer_slot is not None:
            return self._peer_slot.wait(self._leaving)
        return open_source(self._settings, self._looked_up)

    def _looked_up(self, url: str) -> frozenset[str]:
        """Return the addresses of a URL's host name now. To wait for the system's resolver is no standstill."""
        self._play.busy_since = None
        try:
            return self._resolve(url)
        finally:
            self._play.busy_since = self._steady()

    def _ended(self) -> int | None:
        if self._leased.life.origin == "file":
            self._play.drain()  # `ended` says that no more pictures of this lease will come
        return self._delay_ns(self._leased.turn(CameraProgress.ended).again(None))

    def _failed(self, trouble: CameraTrouble) -> int | None:
        return self._delay_ns(self._leased.turn(lambda life: life.failed(trouble)).again(trouble))

    def _delay_ns(self, again: Again) -> int | None:
        """Return the wait before the next attempt in ns; None if there is none."""
        if again == "backoff":
            return self._backoff.failed(self._clock(), self._random.random(), moved=self._has_moved())
        return {"now": 0, "slowly": round(self._slow_retry_s * SECOND_NS), "never": None}[again]

    def _has_moved(self) -> bool:
        return self._backoff.may_hurry and has_moved(self._addresses, self._looked_up(self._settings.url))
