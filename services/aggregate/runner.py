"""One site on the bus: restores the core, feeds it the stream in order, publishes what it decides."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

from msgspec import Struct

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import PassageV1, SightingsV1, SiteConfigV1, TickV1
from proto.subjects import (
    ALERTS,
    CAMERA_EVENTS,
    OPERATIONS,
    PASSAGES,
    RULES,
    SIGHTINGS,
    SITE_CONFIG,
    TICKS,
    WINDOWS,
    Subject,
)
from proto.types import WHOLE_SITE
from services.aggregate import published
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.exchange import Dropped, Output, Reset
from services.aggregate.core.site import SiteCore
from services.aggregate.drift import SiteDrift
from services.aggregate.metrics import LAG, REPLAYED, RESETS, SiteMetrics
from services.aggregate.retention import Retention
from services.aggregate.settings import AggregateSettings
from services.aggregate.window_metrics import WindowMetrics
from services.bus import Bus, LeaseCheck, Stored, StreamReset
from services.kernel.log import get_logger
from services.kernel.tracing import MOST_LINKS, begin

log = get_logger()

_ONCE: dict[type[Struct], tuple[Subject, str, str]] = {
    WindowV1: (WINDOWS, "start", ""),
    AlertV1: (ALERTS, "start", "resolved"),
    RuleStateV1: (RULES, "start", "normal"),
    OperationalAlertV1: (OPERATIONS, "at", ""),
}
"""What is stored once, the field that says up to which window a subject is published, and the state that a new
configuration may put behind what the same window decided."""


class SiteRunner:
    """Runs one site; `ready` is told once what was stored before the start has been read. `drift` looks on.

    Nothing is stored but while `held`: another replica may decide this site by now (ADR 12).
    """

    def __init__(
        self,
        bus: Bus,
        config: SiteConfig,
        settings: AggregateSettings,
        ready: Callable[[bool], None],
        drift: SiteDrift | None = None,
        held: LeaseCheck | None = None,
        retention: Retention | None = None,
    ) -> None:
        self._bus, self._config, self._settings, self._ready = bus, config, settings, ready
        self._drift, self._held, self._retention = drift, held, retention
        self._site = config.site
        self._lag, self._replayed = LAG.labels(self._site), REPLAYED.labels(self._site)
        self._metrics = SiteMetrics(self._site)
        self._shown = WindowMetrics(config, wanted=settings.publish_metrics)
        self._frames: deque[tuple[int, str]] = deque(maxlen=8 * MOST_LINKS)
        """When pictures were taken that are traced, and their traceparents."""
        self._windows: dict[str, str] = {}
        """The traceparent of each zone's last published window."""
        self._replay_to = 0
        self._is_new = False

    @property
    def filters(self) -> list[str]:
        """The subjects of the stream that this site's decisions rest on."""
        site = self._site
        return [
            SIGHTINGS.wildcard(site=site),
            *(row.subject(site=site) for row in (TICKS, SITE_CONFIG, CAMERA_EVENTS)),
        ]

    async def follow(self) -> None:
        """Restore, then process the stream for ever; Fenced if somebody else publishes this site."""
        core = await self._restore()
        if self._drift is not None:
            await self._drift.until_restored()
        async for stored in self._bus.follow("SIGHTINGS", self.filters):
            if isinstance(stored, StreamReset):
                await self._reset(core)
                continue
            if stored.trace and isinstance(stored.message, SightingsV1):
                self._frames.append((stored.message.at, stored.trace))
            outputs = core.step(stored)
            await self._publish(outputs)
            if self._drift is not None:
                self._drift.step(stored, outputs)
            self._observe(stored)

    async def tick(self) -> None:
        """Let time pass in the stream, and repeat the configuration, for ever."""
        announced = -self._settings.announce_s
        while True:
            await self._bus.store(TICKS, TickV1(site=self._site), held=self._held)
            is_new, self._is_new = self._is_new, False
            if time.monotonic() - announced >= self._settings.announce_s:
                await self._bus.store(SITE_CONFIG, self._config.message(), held=self._held)
                announced = time.monotonic()
            elif is_new:
                await self._announce()
            await asyncio.sleep(self._settings.tick_s)

    def configure(self, config: SiteConfig) -> None:
        """Have a configuration put into force, with the next tick."""
        self._metrics.configure(config)
        self._shown.configure(config)
        self._config, self._is_new = config, True

    async def _announce(self) -> None:
        """Put our configuration into force, unless the stream says already that it is."""
        last = await self._bus.last(SITE_CONFIG, site=self._site)
        if last is None or cast("SiteConfigV1", last.message).sha256 != self._config.sha256:
            await self._bus.store(SITE_CONFIG, self._config.message(), held=self._held)
            log.info("a configuration takes over at the next border", site=self._site, sha256=self._config.sha256)

    async def _restore(self) -> SiteCore:
        """Return a core that knows what was published; what a crash kept from being published is published now."""
        _, self._replay_to = await self._bus.streams.created("SIGHTINGS")
        self._ready(self._replay_to == 0)
        configs = await self._configs()
        await self._announce()
        core = SiteCore(configs[0])
        passages = [cast("PassageV1", s.message) for s in await self._bus.history(PASSAGES, site=self._site)]
        found = await published.read(self._bus, self._site, configs)
        ends = [window.end for window in found.windows if window.zone == WHOLE_SITE]
        await self._check(ends)
        self._metrics.begin(self._config, max(ends, default=0))
        self._shown.show(found.windows)
        restored = core.restore(passages, found.windows, found.alerts, configs, found.states, found.operational)
        await self._publish(restored)
        log.info("restored", site=self._site, windows=len(found.windows), messages=self._replay_to)
        return core

    async def _check(self, ends: list[int]) -> None:
        """Have it said if the stream holds no more what the open window counts; a new site has lost nothing."""
        if self._retention is not None and ends:
            await self._retention.check_start(max(ends))

    async def _configs(self) -> list[SiteConfig]:
        """Return the configurations of the stream, in order, and ours last."""
        found = []
        for stored in await self._bus.history(SITE_CONFIG, site=self._site):
            try:
                found.append(SiteConfig.decode(cast("SiteConfigV1", stored.message)))
            except ValueError as error:
                log.error("an unreadable configuration in the stream", site=self._site, error=str(error))
        return [*found, self._config]

    async def _reset(self, core: SiteCore) -> None:
        log.warning("the sightings stream was lost; the open windows lose coverage", site=self._site)
        RESETS.labels(self._site).inc()
        core.step(Reset())
        self._replay_to = 0
        await self._announce()

    def close(self) -> None:
        """Take the site's metrics away."""
        self._metrics.retire()
        self._shown.retire()

    async def _publish(self, outputs: Iterable[Output]) -> None:
        """Publish in order: passages and operational alerts before a window, and after it what its rules decide."""
        for output in outputs:
            match output:
                case Dropped(reason):
                    self._metrics.dropped(reason)
                case WindowV1():
                    await self._publish_window(output)
                case AlertV1() | RuleStateV1() | OperationalAlertV1():
                    await self._publish_once(output)
                case PassageV1():
                    await self._bus.store(PASSAGES, output, message_id=_passage_id(output), held=self._held)

    async def _publish_window(self, window: WindowV1) -> None:
        links = [trace for at, trace in self._frames if window.start <= at < window.end]
        with begin("aggregate.window", links=links, site=window.site, zone=window.zone) as span:
            is_new = await self._bus.store_once(WINDOWS, window, is_done=partial(_is_as_late, window), held=self._held)
            span.tell(outcome="published" if is_new else "known")
            self._windows[window.zone] = span.traceparent
        self._metrics.window(window, is_new=is_new)
        self._shown.show([window] if is_new else await self._stored(window.zone))
        if is_new:
            log.info("window published", site=window.site, zone=window.zone, start=window.start, gaps=window.gaps)

    async def _stored(self, zone: str) -> list[WindowV1]:
        """Return a zone's newest window as it is on the bus: somebody else may have decided it otherwise."""
        last = await self._bus.last(WINDOWS, site=self._site, zone=zone)
        return [] if last is None else [cast("WindowV1", last.message)]

    async def _publish_once(self, message: AlertV1 | RuleStateV1 | OperationalAlertV1) -> None:
        row, done = _ONCE[type(message)][0], partial(_is_as_late, message)
        if isinstance(message, RuleStateV1):
            await self._bus.store_once(row, message, is_done=done, held=self._held)
            return
        zone, rule = (message.zone, message.rule) if isinstance(message, AlertV1) else (None, message.kind)
        parent = self._windows.get(zone, "") if zone else ""
        with begin("aggregate.alert", parent, site=self._site, zone=zone, rule=rule) as span:
            stored = await self._bus.store_once(row, message, is_done=done, held=self._held)
            span.tell(outcome=message.state if stored else "known")
        if stored and isinstance(message, OperationalAlertV1):
            what = {"kind": message.kind, "name": message.name, "state": message.state, "reason": message.reason}
            log.warning("operational alert", site=self._site, **what)

    def _observe(self, stored: Stored) -> None:
        self._lag.set(max(0.0, time.time() - stored.time / 1e9))
        if stored.sequence <= self._replay_to:
            self._replayed.inc()
        if stored.sequence >= self._replay_to:
            self._ready(True)


def _is_as_late(message: Struct, last: Struct) -> bool:
    return _place(last) >= _place(message)


def _place(message: Struct) -> tuple[int, bool]:
    """Return where in the order of its subject a message belongs."""
    _, at, final = _ONCE[type(message)]
    return getattr(message, at), final != "" and getattr(message, "state", "") == final


def _passage_id(passage: PassageV1) -> str:
    return f"{passage.stream_created}/{passage.stream_sequence}/{passage.index}/{passage.at}"
