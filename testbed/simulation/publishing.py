"""Publishes a simulation straight to NATS, as ingest and inference would: a day in about a minute."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from msgspec import Struct, field
from nats.js.errors import NotFoundError

from operate.orders import connect_as, counted_sites
from operate.output import Advance
from proto.public import CameraV1, WindowV1
from proto.sightings import CameraEventV1, SightingsV1
from proto.subjects import CAMERA_EVENTS, CAMERAS, SIGHTINGS, WINDOWS, Identity
from proto.types import WHOLE_SITE
from services.aggregate.core.config import AHEAD
from services.bus import Bus, NatsSettings
from services.kernel.settings import SettingsError, load
from services.sites.settings import SiteSettings
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.scenario import Scenario
from testbed.simulation.sightings import SECOND, messages

SPEED = 1_440.0
"""Seconds of the scenario in one second: a day in a minute."""
_IN_FLIGHT = 256
"""Messages that may wait for their acknowledgement at a time."""
_SOON_S = 0.02
"""Messages may be sent so many seconds early: a sleep for each of them would take longer."""
_FRESH = 60 * SECOND
"""An older state is left over from an ingest that has ended: a running one publishes it every few seconds."""
_RUNNING = {"live", "stalled", "backing-off"}
_COMMAND = "moretta simulate"
_OWN_CLOCK = "must be true for a simulation: without it a window closes when the real clock has reached its end"


class BusFile(Struct, frozen=True, kw_only=True):
    """The settings that `--bus` reads."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "password", "token"})

    nats: NatsSettings = NatsSettings()
    sites: list[SiteSettings] = field(default_factory=list)


class SimulatedSite:
    """A site on the bus in which only the simulation runs; it has connections of three identities."""

    def __init__(self, operator: Bus, ingest: Bus, inference: Bus, site: str, cameras: list[str]) -> None:
        self._operator, self._ingest, self._inference = operator, ingest, inference
        self.site, self.cameras = site, cameras

    async def began(self, scenario: Scenario) -> int:
        """Return the start of the simulation, ns UTC: now, or the end of the site's last published window.

        SettingsError if it would end further ahead than aggregate accepts.
        """
        now = time.time_ns()
        last = await self._operator.last(WINDOWS, site=self.site, zone=WHOLE_SITE)
        began = max(now, last.message.end) if last and isinstance(last.message, WindowV1) else now
        over = began - now + scenario.length_s * SECOND - AHEAD
        if over > 0:
            ahead = f"an earlier simulation published its windows up to {(began - now) / 3.6e12:.1f} h ahead of now"
            why = (
                f"{ahead}; this one would end {over / SECOND:.0f} s too far ahead: wait so long, or start the site anew"
            )
            raise SettingsError(_COMMAND, [(f"site {self.site}", why)])
        return began

    async def run(
        self, scenario: Scenario, plans: Mapping[str, Plan], began: int, speed: float, advance: Advance
    ) -> int:
        """Publish all messages in order; return their number. `advance` is called with the seconds done."""
        waiting: deque[asyncio.Task[int]] = deque()
        count, begun = 0, time.monotonic()
        # Above every lease so far, and below every later one (ADR 12).
        found = messages(scenario, plans, site=self.site, began=began, lease=time.time_ns() // 1_000)
        try:
            for count, message in enumerate(found, start=1):
                done = (message.at - began) / SECOND
                early = begun + done / speed - time.monotonic()
                if early > _SOON_S or count % _IN_FLIGHT == 0:
                    advance(done)
                    await asyncio.sleep(max(0.0, early))
                await self._publish(message, waiting)
            await _drain(waiting, 0)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return count

    async def _publish(self, message: SightingsV1 | CameraEventV1, waiting: "deque[asyncio.Task[int]]") -> None:
        if isinstance(message, CameraEventV1):
            await _drain(waiting, 0)  # it has another connection and may not overtake
            await self._ingest.store(CAMERA_EVENTS, message)
            return
        name = f"{message.site}/{message.camera}/{message.lease}/{message.sequence}"
        waiting.append(asyncio.create_task(self._inference.store(SIGHTINGS, message, message_id=name)))
        await _drain(waiting, _IN_FLIGHT)


async def _drain(waiting: "deque[asyncio.Task[int]]", most: int) -> None:
    """Wait until at most so many messages are not acknowledged."""
    while len(waiting) > most:
        await waiting[0]
        waiting.popleft()


@asynccontextmanager
async def ground(file: Path, site: str | None) -> AsyncIterator[SimulatedSite]:
    """Connect as operator, ingest and inference; SettingsError if there is no such site, or one of its cameras runs."""
    settings = load(file, BusFile)
    chosen = _site(file, settings.sites, site)
    _require_own_clock(file, settings.sites, chosen)
    async with contextlib.AsyncExitStack() as stack:
        buses: dict[Identity, Bus] = {}
        for identity in ("operator", "ingest", "inference"):
            bus = buses[identity] = await connect_as(identity, _file_of(identity, file, settings.nats))
            stack.push_async_callback(bus.close)
        await _require_aggregate(buses["operator"], chosen)
        await buses["ingest"].ensure_streams(["SIGHTINGS", "CAMERAS"])
        states = [s.message for s in await buses["operator"].history(CAMERAS, site=chosen)]
        cameras = _cameras(chosen, settings.sites, [s for s in states if isinstance(s, CameraV1)])
        yield SimulatedSite(buses["operator"], buses["ingest"], buses["inference"], chosen, cameras)


def _site(file: Path, sites: list[SiteSettings], wanted: str | None) -> str:
    known = [site.id for site in sites]
    wanted = known[0] if wanted is None and len(known) == 1 else wanted
    if wanted is None:
        raise SettingsError(_COMMAND, [("--site", f"is missing; {file} names {', '.join(known) or 'no site'}")])
    if known and wanted not in known:
        raise SettingsError(_COMMAND, [("--site", f"{wanted!r} is not in {file}; it has {', '.join(known)}")])
    return wanted


def _require_own_clock(file: Path, sites: list[SiteSettings], chosen: str) -> None:
    """Raise SettingsError for a site whose windows close by the real clock alone: simulated time is ahead of it."""
    for index, site in enumerate(sites):
        if site.id == chosen and not site.close_on_end:
            raise SettingsError(file, [(f"sites[{index}].close_on_end", _OWN_CLOCK)])


def _file_of(identity: Identity, file: Path, nats: NatsSettings) -> Path:
    """Return an identity's settings file, which lies beside the operator's. An open server needs none."""
    if identity == "operator" or nats.user is None:
        return file
    found = file.with_name(f"{identity}.yaml")
    if not found.exists():
        why = f"publishing as {identity} needs {found}, with nats.url, .user and .seed_file, as `moretta up` makes it"
        raise SettingsError(file, [("", why)])
    return found


def _cameras(site: str, sites: Iterable[SiteSettings], states: list[CameraV1]) -> list[str]:
    """Return the names of the site's cameras: those in the settings, else those that have published a state."""
    now = time.time_ns()
    running = [s for s in states if s.state in _RUNNING and now - s.at < _FRESH]
    if running:
        states_text = ", ".join(f"{s.camera} is {s.state}" for s in running)
        why = (
            f"has cameras that run ({states_text}); pause it first (`moretta pause {site}`), or take a site of its own"
        )
        raise SettingsError(_COMMAND, [(f"site {site}", why)])
    names = [camera.id for one in sites if one.id == site for camera in one.cameras] or [s.camera for s in states]
    if not names:
        why = "has no camera that is known; give the settings file with its cameras, or start ingest once"
        raise SettingsError(_COMMAND, [(f"site {site}", why)])
    return sorted(names)


async def _require_aggregate(operator: Bus, site: str) -> None:
    """Raise SettingsError if aggregate has never run, or if it closes the site's windows by the real clock now."""
    try:
        await operator.streams.created("WINDOWS")
    except NotFoundError:
        why = "aggregate has never run there: the stream WINDOWS is missing; start it first"
        raise SettingsError(_COMMAND, [("--bus", why)]) from None
    metadata = (await counted_sites(operator)).get(site, {})
    if metadata.get("close_on_end") == "false":
        raise SettingsError(_COMMAND, [(f"site {site}", f"close_on_end {_OWN_CLOCK}; set it in aggregate's settings")])
