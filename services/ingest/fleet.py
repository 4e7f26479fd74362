"""The cameras in service: come and go with the settings without touching the rest (docs/architecture.md)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from proto.public import CameraV1
from proto.types import Profile
from services.bus import Bus
from services.ingest.camera import Camera, PauseReason
from services.ingest.core.orders import Orders
from services.ingest.core.sampling import phase_of
from services.ingest.core.schedule import rests
from services.ingest.keys import KeyGiver
from services.ingest.metrics import forget
from services.ingest.reporter import Reporter
from services.ingest.sender import Sender
from services.ingest.settings import IngestSettings
from services.kernel.app import App, end_tasks
from services.kernel.log import get_logger
from services.sites import metrics as configured
from services.sites.settings import CameraSettings, RestSettings, SiteSettings, local_zone

log = get_logger()

HAND_OVER_S = 5.0
"""How long a predecessor may go on beside its successor, and the successor's states are nobody's news."""
_HOURS_S = 0.5
_STEP_S = 0.05

SiteCamera = tuple[str, str]
"""Site and camera."""


@dataclass(slots=True)
class Post:
    """One camera in service."""

    settings: CameraSettings
    camera: Camera
    sender: Sender
    reporter: Reporter
    tasks: list[asyncio.Task[None]]


class Fleet:
    """Starts and stops cameras. Which of the settings' cameras are served here is not its business (see Sharing)."""

    def __init__(
        self, app: App, main: Bus, frames: Bus, settings: IngestSettings, utc: Callable[[], float] = time.time
    ) -> None:
        self._app, self._main, self._frames, self._settings = app, main, frames, settings
        self._posts: dict[SiteCamera, Post] = {}
        self._ending: set[SiteCamera] = set()
        self._givers: dict[str, KeyGiver] = {}
        self._over = False
        self._utc = utc
        self.wanted: dict[SiteCamera, CameraSettings] = {}
        """The cameras of the settings, whoever serves them."""
        self.profiles: dict[str, Profile] = {}
        """Each site's legal profile."""
        self.orders = Orders()
        self._hours: dict[SiteCamera, tuple[list[RestSettings], ZoneInfo]] = {}

    def cameras(self, site: str) -> list[Camera]:
        """Return a site's cameras that are served here."""
        return [post.camera for (owner, _), post in self._posts.items() if owner == site]

    @property
    def running(self) -> dict[SiteCamera, Camera]:
        """The cameras that are served here."""
        return {place: post.camera for place, post in self._posts.items()}

    def takes_effect(self, place: SiteCamera) -> bool:
        """Whether a camera that is served here needs no other replica any more (see `Reporter`)."""
        post = self._posts.get(place)
        return post is not None and post.reporter.takes_effect

    def is_ending(self, place: SiteCamera) -> bool:
        """Whether a camera that was served here has not quite ended."""
        return place in self._ending

    def figures(self, site: str, name: str) -> CameraV1 | None:
        """Return what was last published of a camera in service; None before the first time."""
        post = self._posts.get((site, name))
        return post.reporter.latest if post else None

    def post(self, place: SiteCamera) -> Post | None:
        """Return a camera with what serves it, if it is served here."""
        return self._posts.get(place)

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

    def _held(self, place: SiteCamera) -> PauseReason | None:
        """Why this camera is not to process pictures now; an operator's order comes first: only an operator ends it."""
        if self.orders.hold(*place):
            return "operator"
        hours, zone = self._hours.get(place, ([], ZoneInfo("UTC")))
        return "schedule" if rests(hours, datetime.fromtimestamp(self._utc(), zone)) else None

    async def apply(self, sites: list[SiteSettings], givers: dict[str, KeyGiver]) -> None:
        """Take new settings: the cameras that are gone from them, or changed, are stopped; the others play on."""
        self._givers, before = givers, set(self.wanted)
        configured.tell(sites)
        self.profiles = {site.id: site.profile for site in sites}
        self.wanted = {(site.id, camera.id): camera for site in sites for camera in site.cameras}
        self._hours = {
            (site.id, camera.id): ([*site.rests, *camera.rests], local_zone(site))
            for site in sites
            for camera in site.cameras
        }
        gone = [place for place, post in self._posts.items() if self.wanted.get(place) != post.settings]
        await asyncio.gather(*(self.drop(place) for place in gone))
        for place in before - set(self.wanted):
            forget(*place)

    def start(self, place: SiteCamera, lease: int, *, relieves: bool = False) -> None:
        """Serve a camera of the settings under this lease. With `relieves` another replica goes on until ours is live.

        Nothing happens if it is served already, or after `stop`.
        """
        settings = self.wanted.get(place)
        if settings is None or place in self._posts or self._over:
            return
        reporter = Reporter(self._main, self._settings.report_s, quiet_s=HAND_OVER_S if relieves else 0.0)
        camera = Camera(
            place[0],
            settings,
            lease=lease,
            phase_ns=self._phase(place),
            on_state=reporter.changed,
            stuck_limit_s=self._settings.stuck_limit_s,
            on_stuck=self._app.fail,
        )
        sender = Sender(self._frames, camera, self._givers[place[0]].current)
        reporter.attach(camera, sender)
        held = self._held(place)
        if held is not None:  # before it starts, so that it opens nothing; it has no loop yet to tell of it
            camera.pause(held)
            assert camera.status is not None
            reporter.changed(camera.status)
        name = "/".join(place)
        sending = self._app.spawn(f"send {name}", sender.run(), may_end=True)
        reporting = self._app.spawn(f"report {name}", reporter.run(_until(sending)))
        measuring = self._app.spawn(f"measure {name}", reporter.measure())
        camera.start(asyncio.get_running_loop())
        self._posts[place] = Post(settings, camera, sender, reporter, [sending, reporting, measuring])
        log.info("camera in service", site=place[0], camera=place[1], lease=lease)

    def _phase(self, place: SiteCamera) -> int:
        period_ns = round(1e9 / self.wanted[place].fps)
        return phase_of(list(self.wanted).index(place), len(self.wanted), period_ns)

    async def drop(self, place: SiteCamera) -> None:
        """Stop serving a camera."""
        post = self._posts.pop(place, None)
        if post is None:
            return
        self._ending.add(place)
        try:
            await post.camera.stop(self._settings.stop_limit_s)
            await end_tasks(post.tasks)
        finally:
            self._ending.discard(place)
        post.reporter.retire()
        log.info("camera out of service", site=place[0], camera=place[1])

    async def stop(self) -> None:
        """Stop all cameras at the same time, for good."""
        self._over = True
        await asyncio.gather(*(self.drop(place) for place in list(self._posts)))
        while self._ending:  # what was handed over a moment ago
            await asyncio.sleep(_STEP_S)


def _until(task: asyncio.Task[None]) -> Callable[[], "asyncio.Future[None]"]:
    async def wait() -> None:
        await asyncio.wait([task])

    return lambda: asyncio.ensure_future(wait())
