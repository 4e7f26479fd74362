"""The cameras in service: new settings start and stop only those that they change (docs/architecture.md)."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from proto.public import CameraV1
from proto.types import Profile
from services.bus import Bus
from services.ingest.camera.camera import Camera
from services.ingest.camera.keys import KeyGiver
from services.ingest.camera.metrics import PictureMetrics, forget
from services.ingest.camera.reporter import Pace, Reporter
from services.ingest.camera.sender import FrameSender
from services.ingest.core.orders import Orders, rests
from services.ingest.core.sampling import phase_of
from services.ingest.core.states import PauseReason
from services.ingest.settings import IngestSettings
from services.kernel.app import App, end_tasks
from services.kernel.log import get_logger
from services.sites import metrics as configured
from services.sites.settings import CameraSettings, RestSettings, SiteSettings, local_zone

log = get_logger()

HAND_OVER_S = 5.0
"""How many seconds the old replica may serve a camera beside the new one, whose states are not published meanwhile."""
_HOURS_S = 0.5
_STEP_S = 0.05

SiteCamera = tuple[str, str]
"""Site and camera."""


@dataclass(slots=True)
class RunningCamera:
    """One camera in service."""

    settings: CameraSettings
    camera: Camera
    sender: FrameSender
    reporter: Reporter
    tasks: list[asyncio.Task[None]]


class Fleet:
    """Starts and stops cameras. Sharing decides which of the settings' cameras are served here."""

    def __init__(
        self, app: App, main: Bus, frames: Bus, settings: IngestSettings, utc: Callable[[], float] = time.time
    ) -> None:
        self._app, self._main, self._frames, self._settings = app, main, frames, settings
        self._posts: dict[SiteCamera, RunningCamera] = {}
        self._ending: set[SiteCamera] = set()
        self._givers: dict[str, KeyGiver] = {}
        self._over = False
        self._utc = utc
        self.wanted: dict[SiteCamera, CameraSettings] = {}
        """All cameras of the settings, whichever replica serves them."""
        self.profiles: dict[str, Profile] = {}
        """Each site's legal profile."""
        self.orders = Orders()
        self._wrong_clock = ""
        """Why this host's clock can't be counted by; empty if it can."""
        self._hours: dict[SiteCamera, tuple[list[RestSettings], ZoneInfo]] = {}
        self._paces: dict[str, Pace] = {}
        self.record_stuck: Callable[[SiteCamera, bool], None] = self._mark
        """Called when a camera got stuck here (True), or is to be tried again because its settings changed (False)."""

    def cameras(self, site: str) -> list[Camera]:
        """Return a site's cameras that are served here."""
        return [post.camera for (owner, _), post in self._posts.items() if owner == site]

    @property
    def running(self) -> dict[SiteCamera, Camera]:
        """The cameras that are served here."""
        return {place: post.camera for place, post in self._posts.items()}

    def takes_effect(self, place: SiteCamera) -> bool:
        """Whether a camera is served here and no longer needs another replica (see `Reporter`)."""
        post = self._posts.get(place)
        return post is not None and post.reporter.takes_effect

    def is_ending(self, place: SiteCamera) -> bool:
        """Whether a camera that was served here is still stopping."""
        return place in self._ending

    def figures(self, site: str, name: str) -> CameraV1 | None:
        """Return the last published figures of a camera in service; None before the first report."""
        post = self._posts.get((site, name))
        return post.reporter.latest if post else None

    def post(self, place: SiteCamera) -> RunningCamera | None:
        """Return a camera with the parts that serve it; None if it isn't served here."""
        return self._posts.get(place)

    def obey(self, orders: Orders) -> None:
        """Put these operators' orders in force now."""
        self.orders = orders
        self._pause_or_resume()

    def mind_clock(self, wrong: str) -> None:
        """Pause live cameras as long as there is a reason why this host's clock can't be counted by."""
        if wrong != self._wrong_clock:
            self._wrong_clock = wrong
            self._pause_or_resume()

    def read_clock_again(self) -> None:
        """Take each live camera's event time from this host's clock again, since it was set forward."""
        for post in self._posts.values():
            if post.camera.is_live:
                post.camera.read_clock_again()

    async def keep_hours(self) -> None:
        """Pause and resume cameras by local time, for ever."""
        while True:
            self._pause_or_resume()
            await asyncio.sleep(_HOURS_S)

    def _mark(self, place: SiteCamera, stuck: bool) -> None:
        self.obey(self.orders.marked(*place, stuck=stuck))

    def _pause_or_resume(self) -> None:
        for place, post in self._posts.items():
            if post.camera.is_stuck and place not in self.orders.stuck:  # sharing starts it again
                self._app.spawn(f"drop {'/'.join(place)}", self.drop(place), may_end=True)
                continue
            held = self._held(place, post.camera)
            post.camera.resume() if held is None else post.camera.pause(held)

    def _held(self, place: SiteCamera, camera: Camera) -> PauseReason | None:
        """Return why this camera must not process pictures now; None if it may.

        An operator's order comes first: only an operator ends it.
        """
        if self.orders.hold(*place):
            return "operator"
        if self._wrong_clock and camera.is_live:
            return "wrong-clock"
        hours, zone = self._hours.get(place, ([], ZoneInfo("UTC")))
        return "schedule" if rests(hours, datetime.fromtimestamp(self._utc(), zone)) else None

    async def apply(self, sites: list[SiteSettings], givers: dict[str, KeyGiver]) -> None:
        """Apply new settings: stop the cameras that were removed or changed; the others play on."""
        self._givers, before = givers, set(self.wanted)
        configured.update(sites)
        self.profiles = {site.id: site.profile for site in sites}
        self._paces = {site.id: Pace.of(site) for site in sites}
        self.wanted = {(site.id, camera.id): camera for site in sites for camera in site.cameras}
        self._hours = {
            (site.id, camera.id): ([*site.rests, *camera.rests], local_zone(site))
            for site in sites
            for camera in site.cameras
        }
        gone = [place for place, post in self._posts.items() if self.wanted.get(place) != post.settings]
        stuck = [place for place in gone if self._posts[place].camera.is_stuck]
        await asyncio.gather(*(self.drop(place) for place in gone))
        for (owner, _), post in self._posts.items():
            if owner in self._paces:  # else another reload, which came meanwhile, drops it
                post.reporter.keep(self._paces[owner])
        for place in stuck:
            self.record_stuck(place, False)
        for place in before - set(self.wanted):
            forget(*place)

    def start(self, place: SiteCamera, lease: int, *, takes_over: bool = False) -> None:
        """Serve a camera of the settings under this lease. With `takes_over` another replica serves until ours is live.

        Does nothing if the camera is served already, or after `stop`.
        """
        settings = self.wanted.get(place)
        if settings is None or place in self._posts or self._over:
            return
        pace = self._paces[place[0]]
        metrics = PictureMetrics(*place, is_trial=pace.is_trial)
        reporter = Reporter(self._main, self._settings.report_s, pace, quiet_s=HAND_OVER_S if takes_over else 0.0)
        camera = Camera(
            place[0],
            settings,
            lease=lease,
            phase_ns=self._phase(place),
            on_state=reporter.changed,
            stuck_limit_s=self._settings.stuck_limit_s,
            on_stuck=lambda _: self.record_stuck(place, True),
            on_lag=metrics.lagged,
            on_shed=lambda: metrics.ended("shed"),
        )
        giver = self._givers[place[0]]
        giver.begin()
        sender = FrameSender(self._frames, camera, giver.current, metrics)
        reporter.attach(camera, sender)
        self._hold(place, camera)
        if camera.status is not None:  # it has no loop yet to report on
            reporter.changed(camera.status)
        name = "/".join(place)
        sending = self._app.spawn(f"send {name}", sender.run(), may_end=True)
        reporting = self._app.spawn(f"report {name}", reporter.run(_until(sending)))
        measuring = self._app.spawn(f"measure {name}", reporter.measure())
        camera.start(asyncio.get_running_loop())
        self._posts[place] = RunningCamera(settings, camera, sender, reporter, [sending, reporting, measuring])
        log.info("camera in service", site=place[0], camera=place[1], lease=lease)

    def _hold(self, place: SiteCamera, camera: Camera) -> None:
        """Keep a camera that is stuck or paused from opening anything; to be called before its start."""
        if place in self.orders.stuck:
            camera.stick("its decoder got stuck before; moretta resume tries it again")
        held = self._held(place, camera)
        if held is not None:
            camera.pause(held)

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
        self._end_keys(place[0])
        log.info("camera out of service", site=place[0], camera=place[1])

    def _end_keys(self, site: str) -> None:
        """Overwrite a site's frame keys once none of its cameras is served here: workers keep room for few ingests."""
        if all(owner != site for owner, _ in (*self._posts, *self._ending)):
            self._givers[site].end()

    async def stop(self) -> None:
        """Stop all cameras at the same time, for good."""
        self._over = True
        await asyncio.gather(*(self.drop(place) for place in list(self._posts)))
        while self._ending:  # cameras that were handed over a moment ago
            await asyncio.sleep(_STEP_S)


def _until(task: asyncio.Task[None]) -> Callable[[], "asyncio.Future[None]"]:
    async def wait() -> None:
        await asyncio.wait([task])

    return lambda: asyncio.ensure_future(wait())
