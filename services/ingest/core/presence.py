"""When a publishing peer counts as gone, judged by what comes of it. Pure; times are in seconds of any one clock."""

from proto.types import CameraReason

CONNECT_LIMIT_S = 4.5
"""A peer that sent nothing for so long after its offer is given up."""
SILENT_S = 3.0
"""So is one that sent something, and then nothing for so long."""
UNDECODABLE_S = 10.0
"""And one that sends, but for so long no frame that a decoder can begin or go on with."""


class Presence:
    """What is known of one peer since its offer."""

    def __init__(self, now: float) -> None:
        self._heard = self._fed = now
        self._has_sent = False
        self._frames = 0

    def judge(self, now: float, *, heard: bool, frames: int) -> tuple[CameraReason, str] | None:
        """Return why the peer is to be let go, None if it may stay.

        `heard` says whether packets came since the last time; `frames` counts what went to the decoder since the offer.
        """
        if heard:
            self._heard, self._has_sent = now, True
        if frames != self._frames or not self._has_sent:
            self._fed, self._frames = now, frames
        limit_s = SILENT_S if self._has_sent else CONNECT_LIMIT_S
        if now - self._heard > limit_s:
            return "timeout", f"the peer sent nothing for {limit_s:g} s"
        if now - self._fed > UNDECODABLE_S:
            return "undecodable", f"the peer sent no key frame for {UNDECODABLE_S:g} s, though it was asked for one"
        return None
