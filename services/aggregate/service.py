"""Wiring of aggregate: which parts run, and what a reload changes."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from proto.subjects import AGGREGATE_REPLICAS, DRIFT, SIGHTINGS, SITE_LEASES, STREAMS
from services.aggregate import removed_sites, stream_retention
from services.aggregate.clock_skew import ClockSteppedBack
from services.aggregate.core.config import SiteConfig
from services.aggregate.drift_days import SiteDrift
from services.aggregate.mirrors import metrics as reader_metrics
from services.aggregate.mirrors.keeper import Mirrors
from services.aggregate.page_server import PageServer
from services.aggregate.removed_sites import RemovedSites
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateFile, AggregateSettings
from services.aggregate.stats import Stats
from services.aggregate.stream_retention import Retention
from services.bus import Bus, Fenced, LeaseCheck, NoRoom, StreamConflict
from services.bus.clock import HostClock
from services.kernel.app import STEP_LIMIT_S, App, end_tasks
from services.kernel.faults import StartError
from services.kernel.log import get_logger
from services.leases import Leases, SiteSharing, new_replica_name
from services.sites import metrics as configured
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings

log = get_logger()


@dataclass(frozen=True)
class _Running:
    tasks: list[asyncio.Task[None]]
    runner: SiteRunner | None = None
    """None: a site that the settings no longer have, which is being ended."""
    drift: SiteDrift | None = None

    def configure(self, site: SiteSettings) -> None:
        if self.drift is not None:
            self.drift.configure(site)
        if self.runner is not None:
            self.runner.configure(SiteConfig.of(site))

    def close(self) -> None:
        for part in (self.drift, self.runner):
            if part is not None:
                part.close()


class SiteRunners:
    """The sites of the settings, those that are to end, and those of both that run in this replica."""

    def __init__(self, app: App, bus: Bus, settings: AggregateSettings, host: HostClock) -> None:
        self._app, self._bus, self._settings, self._host = app, bus, settings, host
        self.configured: dict[str, SiteSettings] = {}
        self.removed: set[str] = set()
        """Sites that no settings have, and that are to end here."""
        self.running: dict[str, _Running] = {}
        self.caught_up: set[str] = set()
        """Running sites that have read all messages stored before they started."""
        self.fenced: set[str] = set()
        """Running sites that were given up: another replica publishes them, or they begin again."""

    @property
    def wanted(self) -> set[str]:
        """The sites to run: those of the settings, and those that are to end."""
        return self.configured.keys() | self.removed

    def apply(self, file: AggregateFile) -> None:
        """Apply new settings to the sites that run."""
        configured.update(file.sites)
        self.configured = {site.id: site for site in file.sites}
        for name, running in self.running.items():
            if (site := self.configured.get(name)) is not None:
                running.configure(site)

    def start(self, name: str, held: LeaseCheck) -> None:
        """Run a site from now on, or end it if it is to end; publish only while `held`.

        Do neither if a reload removed it while its lease was being taken: another replica's settings may still have it.
        """
        if (site := self.configured.get(name)) is not None:
            self._run(name, site, held)
        elif name in self.removed:
            ending = self._app.spawn(f"end {name}", self._end(name, held), may_end=True)
            self.running[name] = _Running([ending])

    def _run(self, name: str, site: SiteSettings, held: LeaseCheck) -> None:
        if notice := PROFILES[site.profile].notice:
            log.warning("profile with a notice", site=name, profile=site.profile, notice=notice)

        def ready(done: bool, why: str = "reading what was stored before the start") -> None:
            self._app.probes.ready(f"site {name}", ok=done, why=why)
            if done:
                self.caught_up.add(name)

        ready(False)
        drift = SiteDrift(self._bus, site, held=held)
        retention = Retention(self._bus, name, self._app.probes.ready)
        runner = SiteRunner(self._bus, SiteConfig.of(site), self._settings, self._host, ready, drift, held, retention)
        tasks = [
            self._app.spawn(f"follow {name}", self._until_fenced(name, runner.follow()), may_end=True),
            self._app.spawn(f"tick {name}", runner.tick()),
            self._app.spawn(f"drift {name}", drift.run()),
            self._app.spawn(f"streams of {name}", retention.watch(lambda: SiteConfig.of(self.configured[name]))),
        ]
        self.running[name] = _Running(tasks, runner, drift)
        log.info("site in service", site=name)

    async def stop(self, name: str) -> None:
        """Stop a site at its current position; a replay, here or elsewhere, continues from there."""
        if (running := self.running.pop(name, None)) is None:  # it has ended meanwhile
            return
        await end_tasks(running.tasks, STEP_LIMIT_S)
        running.close()
        self.caught_up.discard(name)
        self.fenced.discard(name)
        self._app.probes.forget(f"streams of {name}")
        self._app.probes.forget(f"site {name}")
        log.info("site out of service", site=name)

    async def stop_all(self) -> None:
        """Stop every site."""
        for name in list(self.running):
            await self.stop(name)

    async def _end(self, name: str, held: LeaseCheck) -> None:
        """End a removed site; then its lease is given back."""
        with removed_sites.attempt():  # whatever fails, the next look says what is left
            await removed_sites.end(self._bus, name, held)
        self.removed.discard(name)
        self.running.pop(name, None)

    async def _until_fenced(self, name: str, following: Coroutine[Any, Any, None]) -> None:
        try:
            await following
        except Fenced as error:
            log.warning("site published by another replica", site=name, subject=str(error))
            self.fenced.add(name)
        except ClockSteppedBack as error:
            log.error("clocks set back, site restarted", site=name, were_ahead=str(error))
            self.fenced.add(name)


async def wire(app: App, file: AggregateFile) -> None:
    """Connect, and run this replica's share of the configured sites until the app stops."""
    bus = await Bus.connect(file.nats, "aggregate")
    app.on_stop("close the bus", bus.close)
    app.watch(bus)
    # Only aggregate may create these streams. The stream of days may come later: windows come out without it (ADR 9).
    try:
        await bus.ensure_streams(stream.name for stream in STREAMS if stream.name != DRIFT.stream)
    except (NoRoom, StreamConflict) as error:
        raise StartError(str(error)) from None
    mirrors = Mirrors(bus)
    reader_metrics.show(mirrors.states)
    mirrors.consumer_removed.append(reader_metrics.count_removed)
    if file.nats.seed is not None:  # a server without identities has no readers' accounts
        app.spawn("keep the readers' streams", mirrors.run(reader_metrics.show))
        app.spawn("limit the readers' consumers", mirrors.keep_limits())
    host = HostClock(lambda: bus.clock_offset(str(SIGHTINGS.stream)), app.probes.ready)
    await host.measure()
    leases = Leases(bus, SITE_LEASES, AGGREGATE_REPLICAS, file.aggregate.replica or new_replica_name())
    sites = SiteRunners(app, bus, file.aggregate, host)
    gone = RemovedSites(bus, leases, sites)
    sharing = SiteSharing(sites, leases, wrong=lambda: host.wrong)
    stats = Stats(bus)
    page = PageServer(file.aggregate.page) if file.aggregate.page else None
    if page is not None:
        page.apply(file.sites)
        await page.start()
        app.on_stop("close the page", page.stop)

    async def apply(new: AggregateFile) -> None:
        if page is not None:
            page.reload()
            page.apply(new.sites, new.aggregate.page)
        sites.apply(new)
        await sharing.turn()
        await stats.apply(new.sites)

    app.spawn("watch the streams", stream_retention.watch(bus))
    app.spawn("watch the clock", host.watch())
    app.on_stop("stop the sites", sites.stop_all)
    app.on_stop("stop answering questions", stats.stop)
    await leases.read()
    await leases.announce()
    app.spawn("watch the leases", leases.watch())
    await apply(file)
    app.spawn("keep the leases", leases.keep())
    app.spawn("share the sites", sharing.run())
    app.spawn("end removed sites", gone.run())
    app.on_stop("hand the sites over", sharing.hand_over)
    app.on_reload(apply)
