"""Runs the sites of this replica of aggregate or notify: those whose leases it holds (ADR 12)."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Protocol

from services.bus import LeaseCheck
from services.leases.assignment import LeaseKey, to_offer
from services.leases.holder import Holder
from services.leases.leases import Leases

_REST_S = 5.0
"""For this long, a site on which another replica wrote is left to that replica."""
_GIVEN_S = 60.0
"""For this long, a site that was given away and came back is not given away again for balance."""


class SharedSites(Protocol):
    """The shared sites: those that are wanted, and those of them that run here."""

    @property
    def wanted(self) -> Collection[str]: ...
    @property
    def running(self) -> Mapping[str, object]: ...
    @property
    def caught_up(self) -> Collection[str]: ...
    @property
    def fenced(self) -> Collection[str]: ...
    def start(self, name: str, held: LeaseCheck) -> None: ...
    async def stop(self, name: str) -> None: ...


class SiteSharing:
    """Takes leases, starts and stops sites accordingly, keeps the balance, hands over.

    The successor of a site reads its streams again, so only the lease is handed over (ADR 12). With `drains`, a site is
    stopped here before its lease is given away. Its effects are not stored in the same moment, so a successor that
    reads too early would repeat them. Such a site also starts again if its lease had expired, since another replica may
    have held it in between and be gone by now. Without `drains`, a site goes on until a successor takes over.
    """

    def __init__(
        self,
        sites: SharedSites,
        leases: Leases,
        clock: Callable[[], float] = time.monotonic,
        *,
        drains: bool = False,
        wrong: Callable[[], str] = str,
    ) -> None:
        """`wrong` returns why this host's clock can't be worked by; empty if it can.

        While it can't, sites go to other replicas. Alone, this one keeps them; with `drains` it serves none.
        """
        self._sites, self._leases, self._clock, self._drains, self._wrong = sites, leases, clock, drains, wrong
        self._holder = Holder(leases, self.turn, clock)
        self._turning = asyncio.Lock()
        self._rests: dict[str, float] = {}
        self._given: dict[LeaseKey, float] = {}
        self._numbers: dict[LeaseKey, int] = {}
        """The number of its lease under which each site was started."""
        self._leaving = False

    async def run(self) -> None:
        """Act on what changes, for ever."""
        await self._holder.run()

    async def turn(self) -> None:
        """Take, offer and release leases as is due now, and start and stop sites accordingly."""
        async with self._turning:
            wanted = self._wanted()
            if not (self._leaving or self._drains):
                await self._holder.step_back(unfit=bool(self._wrong()))
            await self._holder.taking.turn(wanted)
            offers = to_offer(self._leases.me, self._leases.view, wanted, set(self._leases.held))
            if self._drains:
                await asyncio.gather(*(self._give(key) for key in offers))
            else:
                self._leases.offer(offers)
            await self._serve(wanted)
            for name in self._sites.running:
                self._leases.set_live((name,), live=name in self._sites.caught_up)

    async def hand_over(self) -> None:
        """Offer all leases, wait until they are taken or the time is over, then give back the rest."""
        self._leaving = True
        await self._holder.hand_over(lambda: False, self._stop)

    async def _stop(self) -> None:
        async with self._turning:
            await self._serve(set())

    async def _give(self, key: LeaseKey) -> None:
        """Stop a site and free its lease.

        For balance this happens seldom: perhaps no other replica knows the site.
        """
        if not self._leaving and self._clock() < self._given.get(key, 0.0):
            return
        self._given[key] = self._clock() + _GIVEN_S
        if key[0] in self._sites.running:
            await self._sites.stop(key[0])
        await self._leases.release(key)

    def _wanted(self) -> set[LeaseKey]:
        """Return the sites of the settings, without those that are left to another replica that wrote on them."""
        if self._drains and self._wrong():
            return set()
        now = self._clock()
        self._rests |= dict.fromkeys(self._sites.fenced, now + _REST_S)
        self._rests = {name: until for name, until in self._rests.items() if now < until}
        return {(name,) for name in self._sites.wanted if name not in self._rests}

    async def _serve(self, wanted: set[LeaseKey]) -> None:
        """Run the sites that are held and wanted, and no others; give a lease back when nothing runs under it."""
        held = self._leases.held.keys() & wanted
        for name in [name for name in self._sites.running if (name,) not in held or self._lapsed((name,))]:
            await self._sites.stop(name)
        await asyncio.gather(*(self._leases.release(key) for key in self._leases.held.keys() - wanted))
        self._leases.handed_over.clear()
        self._leases.taken_over.clear()
        for key in sorted(held & self._leases.held.keys()):
            if key[0] not in self._sites.running and not self._leaving:
                self._numbers[key] = self._leases.held[key].number
                self._sites.start(key[0], partial(self._is_valid, key, self._numbers[key]))

    def _is_valid(self, key: LeaseKey, number: int) -> bool:
        """Return whether a site that was started under this number may write."""
        return self._leases.is_valid(key) and not (self._drains and self._leases.held[key].number != number)

    def _lapsed(self, key: LeaseKey) -> bool:
        """Return whether a site that drains was started under a number that its lease no longer has."""
        return self._drains and self._leases.held[key].number != self._numbers[key]
