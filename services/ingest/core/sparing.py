"""Decides whether pictures on which no other depends are left undecoded: encoders with B-pictures make many of them.

A picture whose NAL units say `nal_ref_idc` 0 is used by no other (ITU-T H.264, 7.4.1), so the others are decoded to the
same bytes without it. Enough must be left to choose from, since pictures are analysed on a fixed grid.

It is decided from a connection's first packets. It ends at most once, for good, where too few pictures are left.
Encoders that place B-pictures by what moves tell something of that by our processor time (docs/privacy.md).
"""

from services.ingest.core.packets import Data, h264_slices
from services.ingest.core.sampling import StreamPace

LOOK = 100
"""After so many packets it is decided."""
ENOUGH, TOO_FEW = 1.5, 1.1
"""Pictures left, as a multiple of those that are analysed: at least so many to begin with; below the second, nothing is
left out any more."""
_RECENT = 64
_IDC = 0x60


def is_unreferenced(codec: str, data: Data, extradata: bytes) -> bool:
    """Return whether a packet's picture is used by no other; of codecs but H.264 nobody says so here."""
    heads = list(h264_slices(data, extradata)) if codec == "h264" else []
    return bool(heads) and not any(head & _IDC for head in heads)


class Sparing:
    """One connection's decision. `fps` is how many pictures a second are analysed."""

    def __init__(self, fps: float) -> None:
        self._fps, self._rate = fps, StreamPace()
        self._packets = self._kept = 0
        self._share = 1.0
        self.is_on = False
        """Whether pictures are left out at present."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will be left out any more on this connection."""
        return self._packets >= LOOK and not self.is_on

    @property
    def per_second(self) -> float:
        """The pictures a second that the camera sends; 0 while unknown."""
        return self._rate.per_second

    def leaves_out(self, stamp_ns: int | None, *, is_unreferenced: bool) -> bool:
        """Count the next packet, with its decoding time stamp in ns; return whether it is not to be decoded."""
        if stamp_ns is not None:
            self._rate.add(stamp_ns)
        self._packets += 1
        if self._packets <= LOOK:
            self._kept += not is_unreferenced
            if self._packets == LOOK:
                self._share = self._kept / LOOK
                self.is_on = self._share < 1 and self._left() >= ENOUGH
            return False
        self._share += ((not is_unreferenced) - self._share) / _RECENT
        self.is_on = self.is_on and self._left() >= TOO_FEW
        return self.is_on and is_unreferenced

    def _left(self) -> float:
        """Return how many pictures would be decoded for each that is analysed."""
        return self._rate.per_second * self._share / self._fps
