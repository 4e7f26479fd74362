"""The state of one camera: its fence, its observed time and its tracker."""

from dataclasses import dataclass

from proto.public import GapReason
from proto.sightings import CameraEventV1, SightingsV1
from proto.types import CameraState
from services.aggregate.core.coverage import Watch
from services.aggregate.core.tracking import Tracker

_REASONS: dict[CameraState, GapReason] = {"live": "frames-lost", "paused": "paused"}
"""By camera state: the gap reason for time in which no picture follows."""


@dataclass(frozen=True, slots=True, order=True)
class _Position:
    lease: int
    sequence: int


class CameraRecord:
    """One camera of a site."""

    def __init__(self, since: int, reason: GapReason) -> None:
        self.tracker = Tracker()
        self.watch = Watch(since, reason)
        self.reached = 0
        """Latest event time of the camera's messages, ns."""
        self._fence = _Position(-1, -1)
        self._ended: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the camera has announced that no sighting will follow."""
        return self._ended is not None

    def admit(self, lease: int, sequence: int) -> bool:
        """Return whether a picture is later than all before it by (lease, sequence); if so, move the fence up to it.

        Correctness rests on this fence, not on the lease (ADR 12): two lease holders may overlap for a moment.
        """
        position = _Position(lease, sequence)
        if position <= self._fence:
            return False
        self._fence = position
        return True

    def forget_fence(self) -> None:
        """Forget the fence: after a reset of the bus, leases begin anew."""
        self._fence = _Position(-1, -1)
        if self._ended is not None:
            self._ended = -1

    def picture(self, message: SightingsV1) -> None:
        """Record a picture.

        Inference may store sightings that it had in hand after `ended`. Only a later lease means that the camera began
        again.
        """
        if self._ended is not None and message.lease > self._ended:
            self._ended = None
        self.reached = max(self.reached, message.at)
        self.watch.picture(message.at, message.period)

    def event(self, event: CameraEventV1) -> bool:
        """Record a change of state and return True; return False if it comes from an old lease."""
        if event.lease < self._fence.lease:
            return False
        self._fence = max(self._fence, _Position(event.lease, -1))
        self.reached = max(self.reached, event.at)
        self._ended = event.lease if event.state == "ended" else None
        self.watch.turn(event.at, _REASONS.get(event.state, "camera-down"))
        return True
