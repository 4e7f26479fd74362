"""Event time of pictures (ingest's UTC at arrival, advanced by pts differences, never backwards), and their lag.

The camera's own clock is never used. Only differences of its time stamps count, and only as far as the monotonic clock
confirms them. All inputs are arguments; times and durations are integer nanoseconds.
"""

TOLERANCE_NS = 500_000_000
"""How far event time may be from the monotonic clock. A burst after a network stall stays within it."""
LONGEST_GAP_NS = 60_000_000_000
"""In a file that is read without pacing, a larger step of pts counts as a damaged time stamp."""
_SLEW = 64
"""1/64 of the deviation is corrected per picture: follows a crystal's drift, and smooths the network's jitter."""


class Timeline:
    """One camera's event time within one lease; it never goes back.

    `paced` is False for a file that is read as fast as it is analysed: then pts alone moves time. `period_ns` is the
    step where a picture of such a file has no usable pts.
    """

    def __init__(self, *, paced: bool = True, period_ns: int = 40_000_000) -> None:
        self._paced = paced
        self._step = period_ns
        self._anchored = self._jumped = False
        self._event = -1
        self._pts: int | None = None
        self._monotonic = 0
        self._offset = 0
        """Event time that the monotonic clock alone would give, minus the monotonic clock."""

    def connected(self) -> None:
        """Set the anchor again at the next picture: a new connection begins, or the wall clock was set forward."""
        self._anchored = False

    def has_jumped(self) -> bool:
        """Whether the last picture's event time was read from the wall clock; the time since the one before says
        nothing then.
        """
        return self._jumped

    def at(self, pts_ns: int | None, utc_ns: int, monotonic_ns: int) -> int:
        """Return the event time (UTC) of a picture that arrived now; greater than or equal to the last one's.

        `utc_ns` counts at a connection's first picture only, so that a stepped wall clock can't move a running stream
        by itself: `connected` says when to read it again.
        """
        self._jumped = not self._anchored
        if not self._anchored:
            self._anchor(utc_ns, monotonic_ns)
        elif self._paced:
            self._event = self._checked(self._difference(pts_ns), monotonic_ns)
        else:
            self._event += self._unchecked(self._difference(pts_ns))
        self._pts = pts_ns
        self._monotonic = max(self._monotonic, monotonic_ns)
        return self._event

    def _anchor(self, utc_ns: int, monotonic_ns: int) -> None:
        self._event = max(utc_ns, self._event + 1)
        self._offset = self._event - monotonic_ns
        self._monotonic = monotonic_ns
        self._anchored = True

    def _difference(self, pts_ns: int | None) -> int | None:
        """Return the step of pts; None without pts, or if it went backwards (reordered, looped or wrapped)."""
        if pts_ns is None or self._pts is None or pts_ns < self._pts:
            return None
        return pts_ns - self._pts

    def _checked(self, difference: int | None, monotonic_ns: int) -> int:
        elapsed = max(0, monotonic_ns - self._monotonic)
        expected = self._offset + max(monotonic_ns, self._monotonic)
        step = elapsed
        if difference is not None and abs(expected - self._event - difference) <= TOLERANCE_NS:
            step = difference
        candidate = self._event + step
        return max(self._event, candidate + (expected - candidate) // _SLEW)

    def _unchecked(self, difference: int | None) -> int:
        if difference is not None and 0 < difference <= LONGEST_GAP_NS:
            self._step = difference
        return self._step


LONGEST_JUMP_NS = 10_000_000_000
_DRIFT = 10_000
"""Clocks differ by less than 1 in 10 000, so the least delay may rise no faster than that."""


class Lag:
    """The delay between presentation time and decoding, above the least delay of this connection.

    The least delay stands for the unknown part: the camera's own delay and that of an empty network. The rest is time
    spent in a buffer, on the network or waiting for the processor.
    """

    def __init__(self) -> None:
        self._pts: int | None = None
        self._least = 0
        self._at = 0

    def add(self, pts_ns: int | None, now_ns: int) -> int | None:
        """Return the lag of a picture that was decoded now, at least 0; None without a time stamp.

        Time stamps that go back or jump (another connection, a file from its beginning) restart the measurement.
        """
        before, self._pts = self._pts, pts_ns
        if pts_ns is None:
            return None
        delay = now_ns - pts_ns
        if before is None or not 0 <= pts_ns - before <= LONGEST_JUMP_NS:
            self._least = delay
        else:
            self._least = min(delay, self._least + (now_ns - self._at) // _DRIFT)
        self._at = now_ns
        return delay - self._least
