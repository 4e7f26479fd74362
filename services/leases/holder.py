"""The loop by which a replica takes leases, acts on changes, and hands over when it leaves (ADR 12)."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection

from services.leases.assignment import LeaseKey, to_claim
from services.leases.leases import Leases

TURN_S = 0.25
LEAVE_S = 4.0
_OVERDUE_S = 1.0
"""After this time, any replica with room takes a free lease that the replica due to take it has not taken."""
_UNCLAIMED_S = 3.0
"""After this time, any replica takes a free lease, whatever the shares: settings may differ for a while."""
_RESET_S = 2.5
"""After the bucket was lost, holders have this long to write their leases again. Only then are missing leases free to
take."""


class Taking:
    """Takes leases by their shares; remembers for how long each lease has been free."""

    def __init__(self, leases: Leases, clock: Callable[[], float] = time.monotonic) -> None:
        self._leases, self._clock = leases, clock
        self._open: dict[LeaseKey, float] = {}
        self._resets, self._patient_until = leases.resets, 0.0

    async def turn(self, wanted: Collection[LeaseKey]) -> None:
        """Take the leases that are due to this replica now.

        It also takes those that it held in an earlier run under the same name.
        """
        view, now = self._leases.view, self._clock()
        if self._leases.resets != self._resets:
            self._resets, self._patient_until = self._leases.resets, now + _RESET_S
        if now < self._patient_until:
            return
        self._open = {key: self._open.get(key, now) for key in wanted if key not in view.leases}
        overdue = [key for key, since in self._open.items() if now - since >= _OVERDUE_S]
        unclaimed = [key for key, since in self._open.items() if now - since >= _UNCLAIMED_S]
        due = {*to_claim(self._leases.me, view, wanted, overdue, unclaimed), *self._own(wanted)}
        await asyncio.gather(*(self._leases.take(key) for key in sorted(due)))

    def _own(self, wanted: Collection[LeaseKey]) -> set[LeaseKey]:
        """Return the leases that the bucket says are ours, but that we do not keep.

        Either we were killed, or we did not hear that our write was stored.
        """
        if self._leases.view.replicas.get(self._leases.me, True):
            return set()
        return (self._leases.view.held_by(self._leases.me) & set(wanted)) - set(self._leases.held)


class Holder:
    """Calls its owner's `turn` whenever leases change, and a few times a second besides."""

    def __init__(self, leases: Leases, turn: Callable[[], Awaitable[None]], clock: Callable[[], float]) -> None:
        self._leases, self._turn, self._clock = leases, turn, clock
        self.taking = Taking(leases, clock)

    async def step_back(self, *, unfit: bool) -> None:
        """Let other replicas take all leases while this one is unfit to serve; alone, it keeps them."""
        view = self._leases.view
        others = any(not leaving for name, leaving in view.replicas.items() if name != self._leases.me)
        if view.replicas.get(self._leases.me, False) != (unfit and others):
            await self._leases.announce(leaving=unfit and others)

    async def run(self) -> None:
        """Act on changes, for ever."""
        while True:
            await self._turn()
            self._leases.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leases.changed.wait(), TURN_S)

    async def hand_over(self, giving: Callable[[], object], give_back: Callable[[], Awaitable[None]]) -> None:
        """Offer all leases, go on until they are taken or the time is over, then give back the rest.

        `giving` is true while work of a lease that was taken still goes on here.
        """
        with contextlib.suppress(TimeoutError):  # NATS may be away: then the leases expire by themselves
            async with asyncio.timeout(LEAVE_S + 0.5):
                await self._leases.announce(leaving=True)
                end = self._clock() + LEAVE_S
                while self._clock() < end and (self._leases.held or giving()):
                    await self._turn()
                    if not any(held.offered for held in self._leases.held.values()) and not giving():
                        break  # there is nobody to hand over to
                    await asyncio.sleep(TURN_S / 5)
                await give_back()
                await self._leases.leave()
