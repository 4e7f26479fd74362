"""The cameras in service: come and go with the settings without touching the rest (design §3)."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.app import App
from services.bus import Bus
from services.ingest.camera import Camera, PauseReason
from services.ingest.core.orders import Orders
from services.ingest.core.sampling import phase_of
from services.ingest.core.schedule import rests
from services.ingest.keys import KeyGiver
from services.ingest.reporter import Reporter
from services.ingest.sender import Sender
from services.ingest.settings import IngestSettings
from services.log import get_logger
from services.sites.settings import CameraSettings, RestSettings, SiteSettings, local_zone

log = get_logger()

_AGAIN_S = 0.1
_HOURS_S = 0.5

Place = tuple[str, str]
"""Site and camera."""


@dataclass(slots=True)
class Post:
    """One camera in service."""

    settings: CameraSettings
    camera: Camera
    reporter: Reporter
    tasks: list[asyncio.Task[None]]


class Fleet:
    """Starts and stops cameras so that they are those of the settings."""

    def __init__(
        self, app: App, main: Bus, frames: Bus, settings: IngestSettings, utc: Callable[[], float] = time.time
    ) -> None:
        self._app, self._main, self._frames, self._settings = app, main, frames, settings
        self._posts: dict[Place, Post] = {}
        self._lease = 0
        self._changing = asyncio.Lock()
        self._over = False
        self._utc = utc
        self.orders = Orders()
        self._hours: dict[Place, tuple[list[RestSettings], ZoneInfo]] = {}

    def cameras(self, site: str) -> list[Camera]:
        """Return the cameras of a site."""
        return [post.camera for (owner, _), post in self._posts.items() if owner == site]

    def obey(self, orders: Orders) -> None:
        """Put these orders of operators in force, now."""
        self.orders = orders
        self._pause_or_resume()

    async def keep_hours(self) -> None:
        """Pause and resume by the clock on the wall, for ever."""
        while True:
            self._pause_or_resume()
            await asyncio.sleep(_HOURS_S)

    def _pause_or_resume(self) -> None:
        for place, post in self._posts.items():
            held = self._held(place)
            post.camera.resume() if held is None else post.camera.pause(held)

    def _held(self, place: Place) -> PauseReason | None:
        """Why this camera is not to process pictures now; an operator's order comes first: only an operator ends it."""
        if self.orders.hold(*place):
            return "operator"
        hours, zone = self._hours.get(place, ([], ZoneInfo("UTC")))
        return "schedule" if rests(hours, datetime.fromtimestamp(self._utc(), zone)) else None

    async def apply(self, sites: list[SiteSettings], givers: dict[str, KeyGiver]) -> None:
        """Stop the cameras that are gone or changed, start the new ones. One call at a time; after `stop` nothing."""
        wanted = {(site.id, camera.id): camera for site in sites for camera in site.cameras}
        async with self._changing:
            self._hours = {
                (site.id, camera.id): ([*site.rests, *camera.rests], local_zone(site))
                for site in sites
                for camera in site.cameras
            }
            gone = [place for place, post in self._posts.items() if wanted.get(place) != post.settings]
            await asyncio.gather(*(self._stop(place) for place in gone))
            for index, (place, camera) in enumerate(wanted.items()):
                if place not in self._posts and not self._over:
                    phase = phase_of(index, len(wanted), round(1e9 / camera.fps))
                    self._start(place, camera, phase, givers[place[0]])

    def _start(self, place: Place, settings: CameraSettings, phase_ns: int, giver: KeyGiver) -> None:
        site, name = place
        reporter = Reporter(self._main, self._settings.report_s)
        lease = self._next_lease()
        camera = Camera(site, settings, lease=lease, phase_ns=phase_ns, on_state=reporter.changed)
        sender = Sender(self._frames, camera, giver.current)
        reporter.attach(camera, sender)
        held = self._held(place)
        if held is not None:  # before it starts, so that it opens nothing; it has no loop yet to tell of it
            camera.pause(held)
            assert camera.status is not None
            reporter.changed(camera.status)
        sending = self._app.spawn(f"send {site}/{name}", sender.run(), may_end=True)
        reporting = self._app.spawn(f"report {site}/{name}", reporter.run(_until(sending)))
        camera.start(asyncio.get_running_loop())
        self._posts[place] = Post(settings, camera, reporter, [sending, reporting])

    def _next_lease(self) -> int:
        """Return a lease revision above every earlier one, also of this ingest's former lives."""
        self._lease = max(time.time_ns() // 1_000_000, self._lease + 1)
        return self._lease

    async def _stop(self, place: Place) -> None:
        post = self._posts.pop(place)
        await post.camera.stop(self._settings.stop_limit_s)
        await _end(post.tasks)
        post.reporter.retire()
        log.info("camera out of service", site=place[0], camera=place[1])

    async def stop(self) -> None:
        """Stop all cameras at the same time, for good."""
        self._over = True
        async with self._changing:
            await asyncio.gather(*(self._stop(place) for place in list(self._posts)))


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: before Python 3.12 `wait_for`, in which nats-py waits, may lose a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_S)


def _until(task: asyncio.Task[None]) -> Callable[[], "asyncio.Future[None]"]:
    async def wait() -> None:
        await asyncio.wait([task])

    return lambda: asyncio.ensure_future(wait())
