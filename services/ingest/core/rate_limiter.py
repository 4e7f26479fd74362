"""Limits how often an address may give a wrong token, or a camera be offered a peer. Pure."""

from collections import OrderedDict, deque

SECOND_NS = 1_000_000_000
MAX_ATTEMPTS = 10
MAX_OFFERS = 60
"""Limit of offers to one camera, from any address: a page that has lost its connection tries every few seconds."""
WITHIN_NS = 60 * SECOND_NS
_REMEMBERED = 1024


class RateLimiter:
    """The attempts of each address, or at each camera, in the last minute. It first forgets those quiet for longest."""

    def __init__(self, most: int = MAX_ATTEMPTS) -> None:
        self._most = most
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_ns(self, address: str, now_ns: int) -> int:
        """Return how many ns this address must wait before it may try again; 0 if it need not wait."""
        times = self._times.get(address, deque())
        while times and now_ns - times[0] >= WITHIN_NS:
            times.popleft()
        return times[0] + WITHIN_NS - now_ns if len(times) >= self._most else 0

    def note(self, address: str, now_ns: int) -> None:
        """Record an attempt of this address."""
        times = self._times.setdefault(address, deque(maxlen=self._most))
        times.append(now_ns)
        self._times.move_to_end(address)
        if len(self._times) > _REMEMBERED:
            self._times.popitem(last=False)
