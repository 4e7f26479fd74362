"""Lease sharing: this replica serves the cameras whose leases it holds (ADR 12)."""

import asyncio
import time
from collections.abc import Callable

from proto.public import CameraV1
from services.bus.clock import HostClock
from services.ingest.camera.camera import Camera
from services.ingest.camera.fleet import HAND_OVER_S, Fleet, SiteCamera
from services.kernel.app import App
from services.kernel.log import get_logger
from services.leases import Holder, LeaseKey, Leases
from services.leases.assignment import to_offer
from services.sites.settings import CameraSettings

log = get_logger()

_SET_BACK = "this host's clock was set back"


class CameraSharing:
    """Takes leases, starts and stops cameras to match, keeps the balance between replicas, and hands over."""

    def __init__(
        self, app: App, fleet: Fleet, leases: Leases, host: HostClock, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app, self._fleet, self._leases, self._host, self._clock = app, fleet, leases, host, clock
        self._set_forward, self._set_back = host.forward, host.back
        self._turning = asyncio.Lock()
        self._holder = Holder(leases, self.turn, clock)
        self._handed_over: dict[LeaseKey, float] = {}
        self._used: dict[LeaseKey, int] = {}
        self._leaving = False

    async def run(self) -> None:
        """React to changes, for ever."""
        await self._holder.run()

    async def turn(self) -> None:
        """Take, offer and release leases, and start and stop cameras to match."""
        async with self._turning:
            await self._mind_the_clock()
            await self._holder.taking.turn(self._fleet.wanted)
            self._leases.offer(to_offer(self._leases.me, self._leases.view, self._fleet.wanted, self._movable()))
            await self._release()
            self._drop()
            await self._serve()
            self._set_live()

    async def _mind_the_clock(self) -> None:
        """Pause live cameras while this host's clock is wrong; go on by the clock as it is now (ADR 38).

        Event time never goes back within a lease: after a step back every lease gets a higher number first.
        """
        if not self._leaving:
            await self._holder.step_back(unfit=bool(self._host.wrong))
        back, forward = self._host.back, self._host.forward
        self._fleet.mind_clock(self._host.wrong or (_SET_BACK if back != self._set_back else ""))
        if back != self._set_back and not self._host.wrong:
            numbers = await asyncio.gather(*(self._leases.renumber(key) for key in list(self._leases.held)))
            if all(numbers):
                self._set_back = back
        if forward != self._set_forward:
            self._set_forward = forward
            self._fleet.read_clock_again()

    def settings(self, site: str, name: str) -> CameraSettings | None:
        """Return a camera's settings, whichever replica serves it."""
        return self._fleet.wanted.get((site, name))

    def camera(self, site: str, name: str) -> Camera | None:
        """Return a camera that is served here."""
        return self._fleet.running.get((site, name))

    def figures(self, site: str, name: str) -> CameraV1 | None:
        """Return the last published figures of a camera that is served here."""
        return self._fleet.figures(site, name)

    async def claim(self, site: str, name: str) -> Camera | None:
        """Return the camera whose peer connected here, or None. Take it from another replica unless a peer is there."""
        place = site, name
        if place in self._fleet.wanted and not await self._leases.confirm(place):
            async with self._turning:
                await self._leases.take(place, idle_too=True)
            await self.turn()
        return self._fleet.running.get(place) if place in self._leases.held else None

    async def hand_over(self) -> None:
        """Offer all leases, serve on until successors are live or the time is over, then release the rest."""
        self._leaving = True
        # A lease that was taken a moment ago is among the leases' own handed-over ones until the next turn.
        await self._holder.hand_over(lambda: self._handed_over or self._leases.handed_over, self._give_back)

    async def _give_back(self) -> None:
        await asyncio.gather(*(self._leases.release(key) for key in list(self._leases.held)))

    async def _release(self) -> None:
        gone = [key for key in self._leases.held if key not in self._fleet.wanted]
        await asyncio.gather(*(self._leases.release(key) for key in gone))

    def _drop(self) -> None:
        """Stop cameras whose lease is lost; a handed-over one when its successor is live or its time over."""
        now, handed_over = self._clock(), self._leases.handed_over
        self._handed_over = {k: self._handed_over.get(k, now) for k in handed_over if k in self._fleet.running}
        for place in self._fleet.running:
            if place in self._leases.held:
                handed_over.discard(place)
            elif place not in handed_over or self._is_over(place, now):
                handed_over.discard(place)
                self._handed_over.pop(place, None)
                self._app.spawn(f"drop {'/'.join(place)}", self._fleet.drop(place), may_end=True)
        handed_over &= set(self._fleet.running)

    def _is_over(self, place: SiteCamera, now: float) -> bool:
        peer_slot = self._fleet.running[place].peer_slot
        if peer_slot is not None and not peer_slot.is_taken:
            return True
        successor = self._leases.view.leases.get(place)
        return now - self._handed_over[place] >= HAND_OVER_S or (successor is not None and successor.live)

    async def _serve(self) -> None:
        for key, held in list(self._leases.held.items()):
            place, running = _place(key), self._fleet.running
            if place in running:
                self._renumber(running[place], held.number)
            elif not self._fleet.is_ending(place):
                number = held.number
                if number <= self._used.get(key, -1):  # the camera starts again under a number that it had before
                    number = await self._leases.renumber(key) or 0
                if number:
                    self._used[key] = number
                    self._fleet.start(place, number, takes_over=key in self._leases.taken_over)
                    self._leases.taken_over.discard(key)

    def _renumber(self, camera: Camera, number: int) -> None:
        if camera.lease < number:
            self._used[camera.site, camera.settings.id] = number
            camera.renumber(number)

    def _set_live(self) -> None:
        for place, camera in self._fleet.running.items():
            self._leases.set_live(place, live=self._is_live(place, camera))

    def _is_live(self, place: SiteCamera, camera: Camera) -> bool:
        """Whether a lease has effect here. While a camera waits for a peer, it has none: another replica may take it.

        A camera whose picture changed keeps its lease: another replica would not know about the change.
        """
        if camera.peer_slot is not None:
            return camera.peer_slot.is_taken or camera.picture_changed
        return self._fleet.takes_effect(place)

    def _movable(self) -> set[LeaseKey]:
        """Return the leases that another replica can take without losing anything.

        Three kinds of camera stay: a file that plays once would begin again; a peer is connected here; and only this
        replica knows that a camera's picture changed.
        """
        running = self._fleet.running
        return {key for key in self._leases.held if key not in running or not _stays(running[_place(key)])}


def _stays(camera: Camera) -> bool:
    return camera.plays_once or camera.picture_changed or (camera.peer_slot is not None and camera.peer_slot.is_taken)


def _place(key: LeaseKey) -> SiteCamera:
    site, camera = key
    return site, camera
