"""Counters of pictures that are told in steps, once in a while (docs/privacy.md). Threads may share them."""

from collections import Counter
from threading import Lock

from services.privacy.steps import published_loss

PERIOD_S = 60.0
"""Metrics of pictures change once in this time where people depend on a site, and not with each picture."""


class Outcomes:
    """Counts pictures by what became of them, until they are taken."""

    def __init__(self, usual: str) -> None:
        self._usual, self._counts, self._guard = usual, Counter[str](), Lock()

    def add(self, outcome: str) -> None:
        """Count one."""
        with self._guard:
            self._counts[outcome] += 1

    def take(self) -> dict[str, int]:
        """Return the counts since the last call: each unusual outcome in steps, all others as the usual one.

        Steps that are more than the whole together are scaled down to it: no picture is told twice.
        """
        with self._guard:
            counts, self._counts = self._counts, Counter()
        whole = counts.total()
        found = {one: published_loss(count, whole) for one, count in counts.items() if one != self._usual}
        most = max(whole, sum(found.values()))
        found = {one: count * whole // most for one, count in found.items() if most}
        return {**found, self._usual: whole - sum(found.values())}


class Times:
    """Counts times by whether they were within a limit, until they are taken."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s, self._all, self._beyond, self._guard = limit_s, 0, 0, Lock()

    def add(self, seconds: float) -> None:
        """Count one."""
        with self._guard:
            self._all += 1
            self._beyond += seconds > self._limit_s

    def take(self) -> tuple[int, int]:
        """Return how many since the last call were within the limit, and beyond it, in steps."""
        with self._guard:
            whole, beyond, self._all, self._beyond = self._all, self._beyond, 0, 0
        late = published_loss(beyond, whole)
        return whole - late, late
