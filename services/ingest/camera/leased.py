"""A camera's life under its lease: the number, event time, and the states that are reported (ADR 12, ADR 38)."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from proto.types import CameraReason, CameraState
from services.ingest.core.sampling import Sampler
from services.ingest.core.states import CameraProgress
from services.ingest.core.timeline import Timeline


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
        """Whether nothing better will follow by itself: the replica that served it before may let it go."""
        return self.state in {"live", "paused", "ended"} or self.reason == "stuck"


@dataclass(frozen=True, slots=True)
class LeaseRun:
    """Event time and sampling under one lease; replaced as a whole, since the loop does it while the thread plays."""

    lease: int
    timeline: Timeline
    sampler: Sampler


class EventTime:
    """The event time of a camera's pictures, and which of them are analysed.

    `paced` is False for a file that is read as fast as it is analysed: it keeps its own time. `utc` is this host's
    clock in ns.
    """

    def __init__(self, lease: int, fps: float, phase_ns: int, *, paced: bool, utc: Callable[[], int]) -> None:
        self._fps, self._phase_ns, self._paced, self._utc = fps, phase_ns, paced, utc
        self.run = LeaseRun(lease, Timeline(paced=paced), Sampler(fps, phase_ns))
        """What holds under the current lease. The thread reads it once for each picture."""

    def read_clock_again(self) -> None:
        """Set the anchor of event time again: a new connection begins, or the host's clock was set forward."""
        self.run.timeline.connected()

    def renumber(self, lease: int) -> None:
        """Continue under another lease; a source with a pace takes its event time from the host's clock again."""
        if self._paced:
            self.run = LeaseRun(lease, Timeline(), Sampler(self._fps, self._phase_ns))
        else:
            self.run = replace(self.run, lease=lease)

    def anchor(self, run: LeaseRun) -> int:
        """Return UTC in ns. For a file without pacing it is a little earlier, on the run's sampling grid.

        So each run samples the same pictures.
        """
        utc = self._utc()
        return utc if self._paced else utc - (utc - self._phase_ns) % run.sampler.period_ns


class LeasedLife:
    """A camera's life under its lease. Any thread may call it; `on_state` hears every new state on the loop, in order.

    `utc` is the host's clock, in ns: a status has the time of its change.
    """

    def __init__(
        self,
        site: str,
        camera: str,
        life: CameraProgress,
        event_time: EventTime,
        utc: Callable[[], int],
        on_state: Callable[[CameraStatus], None],
    ) -> None:
        self.site, self.camera, self.event_time = site, camera, event_time
        self._utc, self._on_state = utc, on_state
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._life = life
        self.status: CameraStatus | None = None
        """The last state that was reported; None before the start."""

    @property
    def life(self) -> CameraProgress:
        """The life as it is at this moment; `turn` changes it."""
        return self._life

    @property
    def lease(self) -> int:
        """The lease's number."""
        return self.event_time.run.lease

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the loop on which states are reported; before that nobody hears them."""
        self._loop = loop

    def turn(self, step: Callable[[CameraProgress], CameraProgress]) -> CameraProgress:
        """Apply a step to the camera's life and report a new state; return the life after it."""
        with self._guard:
            before, self._life = self._life, step(self._life)
            if (reported := self._life.reported) is not None and reported is not before.reported:
                self._report(
                    CameraStatus(self.site, self.camera, self.lease, *reported[:2], self._utc(), reported.message)
                )
            return self._life

    def renumber(self, lease: int) -> None:
        """Continue under a higher lease number, and report the state under it.

        Either this replica lost the lease with the bus, and holds it again, or this host's clock was set back: under
        the new number event time may be earlier than before.
        """
        with self._guard:
            self.event_time.renumber(lease)
            if self.status is not None:
                self._report(replace(self.status, lease=lease))

    def on_loop(self, function: Callable[[], None]) -> None:
        """Call a function on the loop."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
                self._loop.call_soon_threadsafe(function)

    def _report(self, status: CameraStatus) -> None:
        self.status = status
        self.on_loop(lambda: self._on_state(status))
