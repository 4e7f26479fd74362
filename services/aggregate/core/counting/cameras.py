"""The state of one camera: its fence, its observed time and its tracker."""

from dataclasses import dataclass

from proto.public import GapReason
from proto.sightings import CameraEventV1, SightingsV1
from proto.types import CameraState
from services.aggregate.core.config import SECOND
from services.aggregate.core.counting.coverage import Coverage
from services.aggregate.core.counting.tracking import Tracker

_REASONS: dict[CameraState, GapReason] = {"live": "frames-lost", "paused": "paused"}
"""By camera state: the gap reason for time in which no picture follows."""


QUIET = 10 * SECOND
"""If nothing came of the lease with the higher number for this long, a lower one counts: a lease lives for 3 s."""


@dataclass(frozen=True, slots=True, order=True)
class _Position:
    lease: int
    sequence: int


class CameraRecord:
    """One camera of a site."""

    def __init__(self, since: int, reason: GapReason) -> None:
        self.tracker = Tracker()
        self.watch = Coverage(since, reason)
        self.reached = 0
        """Latest event time of the camera's messages, ns."""
        self._fence = _Position(-1, -1)
        self._heard = 0
        """When something under the fence's number was stored last, ns."""
        self._ended: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the camera has announced that no sighting will follow."""
        return self._ended is not None

    def admit(self, message: SightingsV1, now: int) -> bool:
        """Return whether a picture is later than all before it by (lease, sequence); if so, move the fence to it.

        Correctness rests on this fence, not on the lease (ADR 12): two lease holders may overlap for a moment. `now` is
        when the picture was stored, ns.
        """
        position = _Position(message.lease, message.sequence)
        if position <= self._fence and not self._is_left(message, now):
            return False
        self._fence, self._heard = position, now
        return True

    def _is_left(self, message: SightingsV1 | CameraEventV1, now: int) -> bool:
        """Return whether a lower number may follow: nothing comes of the higher one, which a clock gave that was ahead.

        A message that is no later than all that came was sent by an ingest that held the lease before. A camera of
        which a picture is analysed seldom is silent between two of them, too.
        """
        quiet = max(QUIET, 3 * message.period) if isinstance(message, SightingsV1) else QUIET
        return message.lease < self._fence.lease and now - self._heard > quiet and message.at > self.reached

    def forget_fence(self) -> None:
        """Forget the fence: after a reset of the bus, leases begin again."""
        self._fence = _Position(-1, -1)
        if self._ended is not None:
            self._ended = -1

    def picture(self, message: SightingsV1) -> None:
        """Record a picture.

        Inference may store sightings that it had in hand after `ended`. Only another lease means that the camera began
        again.
        """
        if self._ended is not None and message.lease != self._ended:
            self._ended = None
        self.reached = max(self.reached, message.at)
        self.watch.picture(message.at, message.period)

    def event(self, event: CameraEventV1, now: int) -> bool:
        """Record a change of state, stored at `now`, and return True; return False if it comes from an old lease."""
        if self._is_left(event, now):
            self._fence = _Position(event.lease, -1)
        if event.lease < self._fence.lease:
            return False
        self._fence, self._heard = max(self._fence, _Position(event.lease, -1)), now
        self.reached = max(self.reached, event.at)
        self._ended = event.lease if event.state == "ended" else None
        self.watch.turn(event.at, _REASONS.get(event.state, "camera-down"))
        return True
