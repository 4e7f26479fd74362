"""When a lane is stuck: its thread has been at one picture for far longer than any honest one takes (ADR 39)."""

from collections.abc import Sequence

SECOND_NS = 1_000_000_000
LEAST_NS = 5 * SECOND_NS
START_NS = 60 * SECOND_NS
"""The limit of the first, cold runs, when nobody knows yet how long one takes here."""
_RUNS = 100
"""Warm runs that one picture may take: it may be sixteen times as large, full of faces, and beside other lanes."""


def limit_ns(warm_ns: int) -> int:
    """Return how long a thread may take for one picture, where a warm run takes `warm_ns`; ns."""
    return max(LEAST_NS, _RUNS * warm_ns)


class StuckWatch:
    """Adds up, at each look, how long each lane has been at the same run.

    Between two looks at most a second counts: after a process was frozen, all its threads look late.
    """

    def __init__(self, lanes: int) -> None:
        self._last: int | None = None
        self._runs: list[int | None] = [None] * lanes
        self._watched = [0] * lanes

    def look(self, now: int, runs: Sequence[int | None], limit: int) -> int | None:
        """Return the first lane that is stuck, or None; `now` and `limit` in ns.

        `runs` has the number of what each lane does now, None if it does nothing.
        """
        passed = 0 if self._last is None else min(now - self._last, SECOND_NS)
        for lane, run in enumerate(runs):
            same = run is not None and run == self._runs[lane]
            self._watched[lane] = self._watched[lane] + passed if same else 0
        self._last, self._runs = now, list(runs)
        return next((lane for lane, watched in enumerate(self._watched) if watched >= limit), None)
