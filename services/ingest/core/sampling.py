"""Selects the pictures to analyse (ADR 14), at a fixed rate in event time, staggered between cameras."""

SECOND_NS = 1_000_000_000


def phase_of(index: int, count: int, period_ns: int) -> int:
    """Return the phase of camera `index` of `count`, so that their samples spread evenly over a period."""
    return (index % count) * period_ns // count if count > 0 else 0


class Sampler:
    """Picks at most one picture per period of event time, on a fixed grid, so that nothing drifts.

    A camera about as fast as the grid may take one slot early: otherwise its jitter would put two pictures into one
    slot and none into the next, and up to half of them would be lost. Over any span of event time T at most
    T / period + 3 pictures are picked; a camera slower than the grid has every picture picked.
    """

    def __init__(self, fps: float, phase_ns: int = 0) -> None:
        self.period_ns = round(SECOND_NS / fps)
        self._phase = phase_ns
        self._taken_slot: int | None = None
        self._taken_at = 0
        self._seen_at: int | None = None

    def wants(self, event_ns: int) -> bool:
        """Return whether the picture of this event time is to be analysed, and remember it if so."""
        slot = (event_ns - self._phase) // self.period_ns
        before, self._seen_at = self._seen_at, event_ns
        if self._taken_slot is None or slot > self._taken_slot:
            return self._take(slot, event_ns)
        if slot == self._taken_slot and self._is_next(event_ns, before):
            return self._take(slot + 1, event_ns)
        return False

    def _is_next(self, event_ns: int, before: int | None) -> bool:
        """Whether a picture in a taken slot is an early one of the next slot: it directly follows the taken one."""
        return before == self._taken_at and event_ns - self._taken_at >= self.period_ns * 9 // 10

    def _take(self, slot: int, event_ns: int) -> bool:
        self._taken_slot, self._taken_at = slot, event_ns
        return True


class StreamPace:
    """The pace of a stream: an exponentially weighted mean of the time between its pictures (weight 1/16)."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._interval = 0.0

    def add(self, event_ns: int) -> None:
        """Count a picture of this event time."""
        if self._last is not None and event_ns > self._last:
            between = event_ns - self._last
            self._interval += (between - self._interval) / (16 if self._interval else 1)
        self._last = event_ns

    def restarted(self) -> None:
        """Forget the last picture: a new connection follows, and the gap before it says nothing about the pace."""
        self._last = None

    @property
    def interval_ns(self) -> int:
        """The mean time between two pictures; 0 while unknown."""
        return round(self._interval)

    @property
    def per_second(self) -> float:
        """Pictures per second; 0 while unknown."""
        return SECOND_NS / self._interval if self._interval else 0.0
