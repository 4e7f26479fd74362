"""How far decoding is behind the camera. Times are integer nanoseconds."""

LONGEST_GAP_NS = 10_000_000_000
_DRIFT = 10_000
"""Clocks differ by less than 1 in 10 000: so fast may the least delay rise, and no faster."""


class Lag:
    """The delay between presentation time and decoding, above the least that this connection has had.

    The least one stands for what can't be known (the camera's own delay and that of an empty network); what is above it
    waits in a buffer, on the network or for the processor.
    """

    def __init__(self) -> None:
        self._pts: int | None = None
        self._least = 0
        self._at = 0

    def add(self, pts_ns: int | None, now_ns: int) -> int | None:
        """Return the lag of a picture that was decoded now, at least 0; None without a time stamp.

        Time stamps that go back or jump (another connection, a file from its beginning) begin anew.
        """
        before, self._pts = self._pts, pts_ns
        if pts_ns is None:
            return None
        delay = now_ns - pts_ns
        if before is None or not 0 <= pts_ns - before <= LONGEST_GAP_NS:
            self._least = delay
        else:
            self._least = min(delay, self._least + (now_ns - self._at) // _DRIFT)
        self._at = now_ns
        return delay - self._least
