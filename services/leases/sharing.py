"""Which sites this replica of aggregate or notify has: those whose leases it holds (ADR 12)."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Protocol

from services.bus import LeaseCheck
from services.leases.leases import Leases
from services.leases.plan import to_offer
from services.leases.taking import Taking
from services.leases.view import LeaseKey

_TURN_S = 0.25
_REST_S = 5.0
"""A site on which somebody else wrote is left to them for so long."""
_LEAVE_S = 4.0
_GIVEN_S = 60.0
"""What was given away and came back is not given away again for balance for so long."""


class Sites(Protocol):
    """What is shared: sites that are wanted, and those of them that run here."""

    @property
    def wanted(self) -> Mapping[str, object]: ...
    @property
    def running(self) -> Mapping[str, object]: ...
    @property
    def caught_up(self) -> Collection[str]: ...
    @property
    def fenced(self) -> Collection[str]: ...
    def start(self, name: str, held: LeaseCheck) -> None: ...
    async def stop(self, name: str) -> None: ...


class Sharing:
    """Takes leases, starts and stops sites accordingly, keeps the balance, hands over.

    Who takes a site over reads its streams again, so nothing is handed over but the lease (ADR 12). A site that
    `drains` is ended here before its lease is given away: what it does is not stored in the same moment, so whoever
    reads too early would do it again. It also begins anew when its lease had run out, since another may have had it in
    between and be gone by now. Else it goes on until somebody takes over.
    """

    def __init__(
        self, sites: Sites, leases: Leases, clock: Callable[[], float] = time.monotonic, *, drains: bool = False
    ) -> None:
        self._sites, self._leases, self._clock, self._drains = sites, leases, clock, drains
        self._taking = Taking(leases, clock)
        self._turning = asyncio.Lock()
        self._rests: dict[str, float] = {}
        self._given: dict[LeaseKey, float] = {}
        self._numbers: dict[LeaseKey, int] = {}
        """Under which number of its lease each site was started."""
        self._leaving = False

    async def run(self) -> None:
        """Act on what changes, for ever."""
        while True:
            await self.turn()
            self._leases.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leases.changed.wait(), _TURN_S)

    async def turn(self) -> None:
        """Do what is to be done now."""
        async with self._turning:
            wanted = self._wanted()
            await self._taking.turn(wanted)
            offers = to_offer(self._leases.me, self._leases.view, wanted, set(self._leases.held))
            if self._drains:
                await asyncio.gather(*(self._give(key) for key in offers))
            else:
                self._leases.offer(offers)
            await self._serve(wanted)
            for name in self._sites.running:
                self._leases.say((name,), live=name in self._sites.caught_up)

    async def hand_over(self) -> None:
        """Offer everything, wait until it is taken or the time is over, then give the rest back."""
        with contextlib.suppress(TimeoutError):  # NATS may be away: then the leases expire by themselves
            async with asyncio.timeout(_LEAVE_S + 0.5):
                await self._hand_over()

    async def _hand_over(self) -> None:
        self._leaving = True
        await self._leases.announce(leaving=True)
        end = self._clock() + _LEAVE_S
        while self._clock() < end and self._leases.held:
            await self.turn()
            if not any(held.offered for held in self._leases.held.values()):
                break  # there is nobody to hand over to
            await asyncio.sleep(_TURN_S / 5)
        async with self._turning:
            await self._serve(set())
        await self._leases.leave()

    async def _give(self, key: LeaseKey) -> None:
        """End a site and free its lease; seldom, where it is for balance: perhaps nobody else knows the site."""
        if not self._leaving and self._clock() < self._given.get(key, 0.0):
            return
        self._given[key] = self._clock() + _GIVEN_S
        if key[0] in self._sites.running:
            await self._sites.stop(key[0])
        await self._leases.release(key)

    def _wanted(self) -> set[LeaseKey]:
        """Return the sites of the settings, without those that rest because somebody else wrote on them."""
        now = self._clock()
        self._rests |= dict.fromkeys(self._sites.fenced, now + _REST_S)
        self._rests = {name: until for name, until in self._rests.items() if now < until}
        return {(name,) for name in self._sites.wanted if name not in self._rests}

    async def _serve(self, wanted: set[LeaseKey]) -> None:
        """Run what is held and wanted, and nothing else; a lease is given back when nothing runs under it any more."""
        held = self._leases.held.keys() & wanted
        for name in [name for name in self._sites.running if (name,) not in held or self._lapsed((name,))]:
            await self._sites.stop(name)
        await asyncio.gather(*(self._leases.release(key) for key in self._leases.held.keys() - wanted))
        self._leases.ceded.clear()
        self._leases.relieved.clear()
        for key in sorted(held & self._leases.held.keys()):
            if key[0] not in self._sites.running and not self._leaving:
                self._numbers[key] = self._leases.held[key].number
                self._sites.start(key[0], partial(self._is_valid, key, self._numbers[key]))

    def _is_valid(self, key: LeaseKey, number: int) -> bool:
        """Return whether a site that was started under this number may write."""
        return self._leases.is_valid(key) and not (self._drains and self._leases.held[key].number != number)

    def _lapsed(self, key: LeaseKey) -> bool:
        """Return whether a site that drains was started under a number that its lease has no more."""
        return self._drains and self._leases.held[key].number != self._numbers[key]
