"""Event time of pictures: ingest's UTC at arrival, advanced by pts differences, never backwards.

The camera's own clock is never used: only differences of its time stamps are, and only as far as the monotonic clock
confirms them. All inputs are arguments; times and durations are integer nanoseconds.
"""

TOLERANCE_NS = 500_000_000
"""How far event time may be from the monotonic clock. A burst after a network stall stays within it."""
LONGEST_GAP_NS = 60_000_000_000
"""In a file that is read without pacing, a larger step of pts is taken for a damaged time stamp."""
_SLEW = 64
"""1/64 of the deviation is corrected per picture: follows a crystal's drift, and smooths the network's jitter."""


class Timeline:
    """One camera's event time within one lease.

    `paced` is False for a file that is read as fast as it is analysed: then pts alone moves time. `period_ns` is the
    step where a picture of such a file has no usable pts.
    """

    def __init__(self, *, paced: bool = True, period_ns: int = 40_000_000) -> None:
        self._paced = paced
        self._step = period_ns
        self._anchored = False
        self._event = -1
        self._pts: int | None = None
        self._monotonic = 0
        self._offset = 0
        """Event time that the monotonic clock alone would give, less the monotonic clock."""

    def connected(self) -> None:
        """Anchor anew at the next picture: a new connection begins."""
        self._anchored = False

    def at(self, pts_ns: int | None, utc_ns: int, monotonic_ns: int) -> int:
        """Return the event time (UTC) of a picture that arrived now; greater than or equal to the last one's.

        `utc_ns` is read at a connection's first picture only, so that a stepped wall clock can't move a running stream.
        """
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
        """The step of pts; None where there is none, or where it went backwards (reordered, looped or wrapped)."""
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
