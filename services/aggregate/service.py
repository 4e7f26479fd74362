"""Wiring: what of aggregate runs, and what a reload changes."""

import asyncio

from services.aggregate.core.config import SiteConfig
from services.aggregate.core.policy import NOTICES
from services.aggregate.drift import SiteDrift
from services.aggregate.runner import SiteRunner
from services.aggregate.settings import AggregateFile, AggregateSettings
from services.aggregate.stats import Stats
from services.app import App
from services.bus import Bus
from services.log import get_logger
from services.sites.settings import SiteSettings

log = get_logger()

STREAMS = ("SIGHTINGS", "PASSAGES", "WINDOWS", "ALERTS", "RULES", "OPERATIONS")
"""What aggregate cannot do without, made where they are missing; `SiteDrift` makes its own."""


class Sites:
    """The sites that run; they come and go with the settings without touching the others."""

    def __init__(self, app: App, bus: Bus, settings: AggregateSettings) -> None:
        self._app, self._bus, self._settings = app, bus, settings
        self._running: dict[str, tuple[SiteRunner, SiteDrift, list[asyncio.Task[None]]]] = {}

    async def apply(self, file: AggregateFile) -> None:
        """Make the sites of these settings run, under their configurations, and no others."""
        wanted = {site.id: site for site in file.sites}
        for name in [name for name in self._running if name not in wanted]:
            await self._stop(name)
        for name, site in wanted.items():
            if name in self._running:
                runner, drift, _ = self._running[name]
                drift.configure(site)
                await runner.announce(SiteConfig.of(site))
            else:
                self._start(site)

    def _start(self, site: SiteSettings) -> None:
        if site.profile in NOTICES:
            log.warning(NOTICES[site.profile], site=site.id, profile=site.profile)
        condition = f"site {site.id}"

        def ready(done: bool) -> None:
            self._app.probes.ready(condition, ok=done, why="reading what was stored before the start")

        ready(False)
        drift = SiteDrift(self._bus, site)
        runner = SiteRunner(self._bus, SiteConfig.of(site), self._settings, ready, drift)
        tasks = [
            self._app.spawn(f"follow {site.id}", runner.follow()),
            self._app.spawn(f"tick {site.id}", runner.tick()),
            self._app.spawn(f"drift {site.id}", drift.run()),
        ]
        self._running[site.id] = (runner, drift, tasks)

    async def _stop(self, name: str) -> None:
        _, drift, tasks = self._running.pop(name)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        drift.close()
        self._app.probes.ready(f"site {name}", ok=True)
        log.info("a site is no longer configured", site=name)

    async def stop(self) -> None:
        """End every site where it is; a replay goes on from there."""
        for name in list(self._running):
            await self._stop(name)


async def wire(app: App, file: AggregateFile) -> None:
    """Connect, and run every configured site until the app stops."""
    bus = await Bus.connect(file.nats, "aggregate")
    app.on_stop("close the bus", bus.close)
    app.watch(bus)
    await bus.ensure_streams(STREAMS)
    sites = Sites(app, bus, file.aggregate)
    app.on_stop("stop the sites", sites.stop)
    stats = Stats(bus)
    app.on_stop("stop answering questions", stats.stop)

    async def apply(new: AggregateFile) -> None:
        await sites.apply(new)
        await stats.apply(new.sites)

    await apply(file)
    app.on_reload(apply)
