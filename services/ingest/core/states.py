"""A camera's state machine: which state follows an event, and when to retry (docs/cameras.md). Pure."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from proto.types import CameraReason, CameraState

Origin = Literal["file", "network", "device", "peer"]
Again = Literal["now", "backoff", "slowly", "never"]
PauseReason = Literal["operator", "schedule", "wrong-clock"]
_PERSON_MENDS: frozenset[CameraReason] = frozenset(
    {"bad-source", "unauthorised", "no-video", "picture-changed", "no-decoder"}
)


class CameraTrouble(NamedTuple):
    """Why there is no picture; the message is for the log and names no credentials."""

    reason: CameraReason
    message: str


class ReportedState(NamedTuple):
    """The last reported state of a camera."""

    state: CameraState
    reason: CameraReason | None = None
    message: str = ""


CLOSED = CameraTrouble("end-of-stream", "the camera closed the stream")


@dataclass(frozen=True, slots=True)
class CameraProgress:
    """A camera's place in its life. Each method returns the life that follows; with news, `reported` is a new one."""

    origin: Origin
    reported: ReportedState | None = None
    paused: bool = False
    stopping: bool = False
    other_picture: CameraTrouble | None = None
    """Set when a picture was not the one that the privacy areas were drawn on. The old size may come back and show
    something else, so nothing is retried until a person has looked."""
    stuck: CameraTrouble | None = None
    """Set when the thread got stuck (ADR 39). Nothing is retried in this life, even if the thread comes back."""

    @property
    def is_leaving(self) -> bool:
        """Whether the thread must stop its current work."""
        return self.paused or self.stopping

    @property
    def state(self) -> CameraState | None:
        """The current state; None before the start."""
        return None if self.reported is None else self.reported.state

    def enter(self, state: CameraState, reason: CameraReason | None = None, message: str = "") -> "CameraProgress":
        """Return the life in this state. While stopping it stays as it is; while paused it takes only `paused`.

        When stuck it takes only that and `paused`.
        """
        reported = ReportedState(state, reason, message)
        is_held = self.paused or (self.stuck is not None and reason != "stuck")
        if self.stopping or (is_held and state != "paused") or reported == self.reported:
            return self
        return replace(self, reported=reported)

    def connecting(self) -> "CameraProgress":
        """Note an attempt to connect. `failed-config` stays: only a person can fix it, so a vain attempt is no news."""
        return self if self.state == "failed-config" else self.enter("connecting")

    def live(self) -> "CameraProgress":
        """Note that a picture came."""
        return self if self.is_leaving else self.enter("live")

    def silent(self) -> "CameraProgress":
        """Note that no picture came for too long."""
        return self.enter("stalled", "timeout", "no picture came") if self.state == "live" else self

    def ended(self) -> "CameraProgress":
        """Note the end of the source: a file is over, any other source should have gone on."""
        return self.enter("ended") if self.origin == "file" else self.failed(CLOSED)

    def failed(self, trouble: CameraTrouble) -> "CameraProgress":
        """Note that pictures have stopped, or that none came."""
        life = replace(self, other_picture=trouble) if trouble.reason == "picture-changed" else self
        if life.is_leaving:
            return life
        again = life.again(trouble)
        state: CameraState = "failed-config"
        if again == "now":
            state = "stalled"
        elif again == "backoff":
            state = "backing-off"
        return life.enter(state, trouble.reason, trouble.message)

    def again(self, trouble: CameraTrouble | None) -> Again:
        """Return when to retry after this trouble or, with None, after the source's end."""
        if self.stuck is not None:
            return "never"
        if self.is_leaving:
            return "now"
        if trouble is None:
            return "never" if self.origin == "file" else self.again(CLOSED)
        if self.origin == "file" and trouble.reason == "picture-changed":
            return "never"  # a retry from its beginning would fail in the same way
        if self.origin == "file" or trouble.reason in _PERSON_MENDS:
            return "slowly"
        return "now" if self.origin == "peer" else "backoff"  # no back-off is needed: the next peer comes by itself

    def pause(self, reason: PauseReason) -> "CameraProgress":
        """Pause for this reason; a camera that is being stopped, or has ended, stays so."""
        return self if self.stopping or self.state == "ended" else replace(self, paused=True).enter("paused", reason)

    def resume(self) -> "CameraProgress":
        """End the pause and report it at once: the thread may be blocked in a read, and go on without reconnecting."""
        if not self.paused or self.stopping:
            return self
        life = replace(self, paused=False)
        if life.stuck is not None:
            return life.enter("failed-config", *life.stuck)
        return life if life.other_picture else life.enter("connecting")

    def stick(self, message: str) -> "CameraProgress":
        """Note that the thread is stuck, or was in an earlier life of this camera."""
        life = replace(self, stuck=CameraTrouble("stuck", message))
        return life.enter("failed-config", "stuck", message)

    def stop(self) -> "CameraProgress":
        """Take the camera out of service: it reports nothing any more."""
        return replace(self, stopping=True)
