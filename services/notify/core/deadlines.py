"""When what has to be looked at again."""

from heapq import heapify, heappop, heappush

_SLACK = 64
LOOK_S = 60.0
"""A timer doesn't notice that the clock is put forward, or that the machine slept: so often it is looked at."""


def seconds_until(at: int | None, now: int) -> float:
    """Return how long to sleep at `now` before an instant (ns; None: there is none) is looked for again, s."""
    return LOOK_S if at is None else min(LOOK_S, max(0.0, (at - now) / 1e9))


class Deadlines:
    """One instant (ns) a name; the next is found without looking at all."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, name: str, at: int | None) -> None:
        """Replace a name's instant; None: it has none."""
        if at is None:
            self._at.pop(name, None)
        elif self._at.get(name) != at:
            self._at[name] = at
            heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [(at, name) for name, at in self._at.items()]
            heapify(self._heap)

    def hasten(self, name: str, at: int) -> None:
        """Put a name's instant forward to this one, unless it comes before."""
        if at < self._at.get(name, at + 1):
            self.set(name, at)

    def first(self) -> int | None:
        """Return the earliest instant, None if there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: int) -> list[str]:
        """Remove and return the names whose instant has come."""
        found = []
        while (at := self.first()) is not None and at <= now:
            name = heappop(self._heap)[1]
            del self._at[name]
            found.append(name)
        return found
