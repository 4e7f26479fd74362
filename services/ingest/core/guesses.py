"""How often an address may give a wrong token. Pure."""

from collections import OrderedDict, deque

SECOND_NS = 1_000_000_000
MOST = 10
WITHIN_NS = 60 * SECOND_NS
_REMEMBERED = 1024


class Guesses:
    """The wrong tokens of the last minute by address; the addresses that were quiet for longest are forgotten first."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_ns(self, address: str, now_ns: int) -> int:
        """Return how long this address must wait before it may try again; 0: not at all."""
        times = self._wrong.get(address, deque())
        while times and now_ns - times[0] >= WITHIN_NS:
            times.popleft()
        return times[0] + WITHIN_NS - now_ns if len(times) >= MOST else 0

    def wrong(self, address: str, now_ns: int) -> None:
        """Note a wrong token."""
        times = self._wrong.setdefault(address, deque(maxlen=MOST))
        times.append(now_ns)
        self._wrong.move_to_end(address)
        if len(self._wrong) > _REMEMBERED:
            self._wrong.popitem(last=False)
