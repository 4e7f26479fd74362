"""Which cameras this replica serves: those whose leases it holds (ADR 12)."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from proto.public import CameraV1
from services.ingest.camera import Camera
from services.ingest.fleet import HAND_OVER_S, Fleet, SiteCamera
from services.kernel.app import App
from services.kernel.log import get_logger
from services.leases import LeaseKey, Leases, Taking
from services.leases.plan import to_offer
from services.sites.settings import CameraSettings

log = get_logger()

_TURN_S = 0.25
_LEAVE_S = 4.0


class Sharing:
    """Takes leases, starts and stops cameras accordingly, keeps the balance, hands over."""

    def __init__(self, app: App, fleet: Fleet, leases: Leases, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._fleet, self._leases, self._clock = app, fleet, leases, clock
        self._turning = asyncio.Lock()
        self._taking = Taking(leases, clock)
        self._ceded: dict[LeaseKey, float] = {}
        self._used: dict[LeaseKey, int] = {}

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
            await self._taking.turn(self._fleet.wanted)
            self._leases.offer(to_offer(self._leases.me, self._leases.view, self._fleet.wanted, self._movable()))
            await self._release()
            self._drop()
            await self._serve()
            self._tell()

    def settings(self, site: str, name: str) -> CameraSettings | None:
        """Return what the settings say of a camera, whoever serves it."""
        return self._fleet.wanted.get((site, name))

    def camera(self, site: str, name: str) -> Camera | None:
        """Return a camera that is served here."""
        return self._fleet.running.get((site, name))

    def figures(self, site: str, name: str) -> CameraV1 | None:
        """Return what was last published of a camera that is served here."""
        return self._fleet.figures(site, name)

    async def claim(self, site: str, name: str) -> Camera | None:
        """Return a camera whose peer has come here, taken from another replica unless a peer is there; else None."""
        place = site, name
        if place in self._fleet.wanted and not await self._leases.confirm(place):
            async with self._turning:
                await self._leases.take(place, idle_too=True)
            await self.turn()
        return self._fleet.running.get(place) if place in self._leases.held else None

    async def hand_over(self) -> None:
        """Offer everything, go on until successors are live or the time is over, then give the rest back."""
        with contextlib.suppress(TimeoutError):  # NATS may be away: then the leases expire by themselves
            async with asyncio.timeout(_LEAVE_S + 0.5):
                await self._hand_over()

    async def _hand_over(self) -> None:
        await self._leases.announce(leaving=True)
        end = self._clock() + _LEAVE_S
        while self._clock() < end and (self._leases.held or self._ceded):
            await self.turn()
            if not any(held.offered for held in self._leases.held.values()) and not self._ceded:
                break  # there is nobody to hand over to
            await asyncio.sleep(_TURN_S / 5)
        await asyncio.gather(*(self._leases.release(key) for key in list(self._leases.held)))
        await self._leases.leave()

    async def _release(self) -> None:
        gone = [key for key in self._leases.held if key not in self._fleet.wanted]
        await asyncio.gather(*(self._leases.release(key) for key in gone))

    def _drop(self) -> None:
        """Stop what isn't ours any more; what was handed over only when its successor is live, or has had its time."""
        now, ceded = self._clock(), self._leases.ceded
        self._ceded = {k: self._ceded.get(k, now) for k in ceded if k in self._fleet.running}
        for place in self._fleet.running:
            if place in self._leases.held:
                ceded.discard(place)
            elif place not in ceded or self._is_over(place, now):
                ceded.discard(place)
                self._ceded.pop(place, None)
                self._app.spawn(f"drop {'/'.join(place)}", self._fleet.drop(place), may_end=True)
        ceded &= set(self._fleet.running)

    def _is_over(self, place: SiteCamera, now: float) -> bool:
        seat = self._fleet.running[place].seat
        if seat is not None and not seat.is_taken:
            return True
        successor = self._leases.view.leases.get(place)
        return now - self._ceded[place] >= HAND_OVER_S or (successor is not None and successor.live)

    async def _serve(self) -> None:
        for key, held in list(self._leases.held.items()):
            place, running = _place(key), self._fleet.running
            if place in running:
                self._renumber(running[place], held.number)
            elif not self._fleet.is_ending(place):
                number = held.number
                if number <= self._used.get(key, -1):  # it begins again under a lease that it had before
                    number = await self._leases.renumber(key) or 0
                if number:
                    self._used[key] = number
                    self._fleet.start(place, number, relieves=key in self._leases.relieved)
                    self._leases.relieved.discard(key)

    def _renumber(self, camera: Camera, number: int) -> None:
        if camera.lease < number:
            self._used[camera.site, camera.settings.id] = number
            camera.renumber(number)

    def _tell(self) -> None:
        for place, camera in self._fleet.running.items():
            self._leases.say(place, live=self._is_live(place, camera))

    def _is_live(self, place: SiteCamera, camera: Camera) -> bool:
        """Whether a lease has effect here; where a peer is waited for it has none, and another replica may take it.

        Not where that would forget that the picture was another one.
        """
        if camera.seat is not None:
            return camera.seat.is_taken or camera.picture_changed
        return self._fleet.takes_effect(place)

    def _movable(self) -> set[LeaseKey]:
        """What can go on elsewhere as if nothing had been.

        A film played once begins again, a peer is here, and only we know that a camera's picture was another one.
        """
        running = self._fleet.running
        return {key for key in self._leases.held if key not in running or not _stays(running[_place(key)])}


def _stays(camera: Camera) -> bool:
    return camera.plays_once or camera.picture_changed or (camera.seat is not None and camera.seat.is_taken)


def _place(key: LeaseKey) -> SiteCamera:
    site, camera = key
    return site, camera
