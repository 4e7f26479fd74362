"""When a replica takes what is free: its part at once, others' parts when they don't (ADR 12)."""

import asyncio
import time
from collections.abc import Callable, Collection

from services.leases.leases import Leases
from services.leases.plan import to_take
from services.leases.view import LeaseKey

_OVERDUE_S = 1.0
"""What its replica-by-share did not take for so long is anybody's who has room."""
_FORSAKEN_S = 3.0
"""What nobody took for so long is anybody's, whatever the shares: settings may differ for a while."""
_RESET_S = 2.5
"""When the bucket was lost, holders have so long to write their leases anew before anybody takes them for free."""


class Taking:
    """Takes leases as the plan says; remembers for how long each has been free."""

    def __init__(self, leases: Leases, clock: Callable[[], float] = time.monotonic) -> None:
        self._leases, self._clock = leases, clock
        self._open: dict[LeaseKey, float] = {}
        self._resets, self._patient_until = leases.resets, 0.0

    async def turn(self, wanted: Collection[LeaseKey]) -> None:
        """Take what is due to this replica now, and what it had in an earlier life under the same name."""
        view, now = self._leases.view, self._clock()
        if self._leases.resets != self._resets:
            self._resets, self._patient_until = self._leases.resets, now + _RESET_S
        if now < self._patient_until:
            return
        self._open = {key: self._open.get(key, now) for key in wanted if key not in view.leases}
        overdue = [key for key, since in self._open.items() if now - since >= _OVERDUE_S]
        forsaken = [key for key, since in self._open.items() if now - since >= _FORSAKEN_S]
        due = {*to_take(self._leases.me, view, wanted, overdue, forsaken), *self._own(wanted)}
        await asyncio.gather(*(self._leases.take(key) for key in sorted(due)))

    def _own(self, wanted: Collection[LeaseKey]) -> set[LeaseKey]:
        """Return what the bucket says is ours though we don't keep it: we were killed, or didn't hear of our write."""
        if self._leases.view.replicas.get(self._leases.me, True):
            return set()
        return (self._leases.view.held_by(self._leases.me) & set(wanted)) - set(self._leases.held)
