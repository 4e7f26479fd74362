"""Runs one site on the bus: restores the core, feeds it the stream in order, publishes its decisions."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Protocol, cast

from msgspec import Struct

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.sightings import PassageV1, SightingsV1, SiteConfigV1, TickV1
from proto.subjects import (
    ALERTS,
    CAMERA_EVENTS,
    MODELS,
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
from services.aggregate.clock_skew import ClockSkewGate
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.exchange import Dropped, Output, Reset
from services.aggregate.core.restart.resume import SILENCE, ReplayStart, StoredConfig, first_config, last_ahead
from services.aggregate.core.site import SiteCore
from services.aggregate.drift_days import SiteDrift
from services.aggregate.metrics import LAG, REPLAYED, RESETS, SiteMetrics, WindowMetrics
from services.aggregate.published import Published
from services.aggregate.settings import AggregateSettings
from services.aggregate.stream_retention import Retention
from services.bus import Bus, LeaseCheck, Stored, StreamReset
from services.bus.clock import FAR_NS, LOOK_S, HostClock
from services.kernel.log import get_logger
from services.kernel.tracing import MAX_LINKS, begin
from services.sites.profiles import PROFILES

log = get_logger()

_ONCE: dict[type[Struct], tuple[Subject, str, str]] = {
    WindowV1: (WINDOWS, "start", ""),
    AlertV1: (ALERTS, "start", "resolved"),
    RuleStateV1: (RULES, "start", "normal"),
    OperationalAlertV1: (OPERATIONS, "at", "resolved"),
}
"""Types of messages that are stored once. For each: its subject; the field that says up to which window the subject is
published; and the state that new settings may add after the same window's own decisions."""


_REPAIR_S = 10.0
"""How often a site that waits for `moretta repair` looks whether it was done."""


class Ready(Protocol):
    """Called with whether the site has read all that was stored before the start, and if not, why."""

    def __call__(self, done: bool, why: str = ...) -> None: ...


class SiteRunner:
    """Runs one site; calls `ready` when it has read all that was stored before the start. `drift` looks on.

    It stores only while `held`: another replica may decide this site by now (ADR 12). It processes no message before
    this host's clock has come to the message's time (`ClockSkewGate`).
    """

    def __init__(
        self,
        bus: Bus,
        config: SiteConfig,
        settings: AggregateSettings,
        host: HostClock,
        ready: Ready,
        drift: SiteDrift | None = None,
        held: LeaseCheck | None = None,
        retention: Retention | None = None,
    ) -> None:
        self._bus, self._config, self._settings, self._host, self._ready = bus, config, settings, host, ready
        self._drift, self._held, self._retention = drift, held, retention
        self._site = config.site
        self._lag, self._replayed = LAG.labels(self._site), REPLAYED.labels(self._site)
        self._metrics = SiteMetrics(self._site)
        self._ahead = ClockSkewGate(lambda: self._config, host, partial(self._metrics.dropped, "ahead"))
        self._shown = WindowMetrics(config, wanted=settings.publish_metrics)
        self._frames: deque[tuple[int, str]] = deque(maxlen=8 * MAX_LINKS)
        """Event times and traceparents of traced pictures."""
        self._windows: dict[str, str] = {}
        """The traceparent of each zone's last published window."""
        self._replay_to = 0
        self._is_new = False
        self._start = ReplayStart(0)
        self._core: SiteCore | None = None
        """The core, once it has read all that was stored before the start."""

    @property
    def filters(self) -> list[str]:
        """The subjects of the stream on which this site's decisions are based."""
        site = self._site
        return [
            SIGHTINGS.wildcard(site=site),
            *(row.subject(site=site) for row in (TICKS, SITE_CONFIG, CAMERA_EVENTS, MODELS)),
        ]

    async def follow(self) -> None:
        """Restore, then process the stream for ever.

        Fenced if another replica publishes this site, ClockSteppedBack if it has to begin again from the stream.
        """
        core = await self._restore()
        if self._drift is not None:
            await self._drift.until_restored()
        async for found in self._bus.follow("SIGHTINGS", self.filters):
            if isinstance(found, StreamReset):
                await self._reset(core)
                continue
            stored = await self._ahead.placed(core.now, found)
            if stored is None or (stored.sequence <= self._replay_to and self._start.skips(stored.time)):
                continue
            if stored.trace and isinstance(stored.message, SightingsV1):
                self._frames.append((stored.message.at, stored.trace))
            outputs = core.step(stored)
            await self._publish(outputs)
            if self._drift is not None:
                self._drift.step(stored, outputs)
            self._observe(stored)
            self._core = core if stored.sequence >= self._replay_to else None

    async def tick(self) -> None:
        """Store ticks, so that time passes in the stream, and repeat the configuration, for ever."""
        announced = -self._settings.announce_s
        while True:
            await self._bus.store(TICKS, TickV1(site=self._site, sent=self._host.now()), held=self._held)
            is_new, self._is_new = self._is_new, False
            if time.monotonic() - announced >= self._settings.announce_s:
                since = self._core.border(self._config) if self._core is not None else None
                await self._bus.store(SITE_CONFIG, self._config.message(since), held=self._held)
                announced = time.monotonic()
            elif is_new:
                await self._announce()
            await asyncio.sleep(self._settings.tick_s)

    def configure(self, config: SiteConfig) -> None:
        """Put a configuration into force with the next tick."""
        self._metrics.configure(config)
        self._shown.configure(config)
        self._config = config
        self._is_new = True

    async def _announce(self) -> None:
        """Store our configuration, unless it is already the last one in the stream."""
        last = await self._bus.last(SITE_CONFIG, site=self._site)
        if last is None or cast("SiteConfigV1", last.message).sha256 != self._config.sha256:
            await self._bus.store(SITE_CONFIG, self._config.message(), held=self._held)
            log.info("configuration change at next border", site=self._site, sha256=self._config.sha256)

    async def _restore(self) -> SiteCore:
        """Return a core that knows the published messages; publish the decisions that a crash kept back."""
        _, self._replay_to = await self._bus.streams.created("SIGHTINGS")
        self._ready(self._replay_to == 0)
        await self._until_clock_is_right()
        stored = await self._configs()
        configs = [*(one.config for one in stored), self._config]
        await self._announce()
        found = await self._published(configs)
        stored_passages = await self._bus.history(PASSAGES, site=self._site)
        passages = [cast("PassageV1", s.message) for s in stored_passages if not self._ahead.is_ahead(s.message)]
        done = max((window.end for window in found.windows if window.zone == WHOLE_SITE), default=0)
        whole = self._retention is None or await self._retention.check_start(done)
        self._start = ReplayStart(done - SILENCE)
        core = SiteCore(*first_config(stored, done - SILENCE, self._config))
        self._metrics.begin(self._config, done)
        self._shown.show(found.windows)
        restored = core.restore(
            passages, found.windows, found.alerts, configs, found.states, found.operational, whole=whole
        )
        await self._publish(restored)
        log.info("restored", site=self._site, windows=len(found.windows), messages=self._replay_to)
        return core

    async def _until_clock_is_right(self) -> None:
        """Wait while this host's clock and NATS's disagree: what is stored could not be placed in time."""
        await self._host.measure()
        while self._host.wrong:
            self._ready(False, self._host.wrong)
            await asyncio.sleep(LOOK_S)

    async def _published(self, configs: list[SiteConfig]) -> Published:
        """Return what is published, as soon as no window of it is ahead of this host's clock."""
        while True:
            found = await published.read(self._bus, self._site, configs)
            ahead = last_ahead(found.messages, configs, self._host.now() + FAR_NS)
            if not ahead:
                return found
            why = self._ahead.why(ahead)
            log.error("nothing is published", site=self._site, why=why)
            self._ready(False, self._host.wrong or why)
            await asyncio.sleep(_REPAIR_S)

    async def _configs(self) -> list[StoredConfig]:
        """Return the configurations of the stream, in order."""
        found = list[StoredConfig]()
        for stored in await self._bus.history(SITE_CONFIG, site=self._site):
            message = cast("SiteConfigV1", stored.message)
            try:
                found.append(StoredConfig(SiteConfig.decode(message), stored.time, message.since))
            except ValueError as error:
                log.error("unreadable site configuration", site=self._site, error=str(error))
        return found

    async def _reset(self, core: SiteCore) -> None:
        log.warning("sightings stream lost", site=self._site)
        RESETS.labels(self._site).inc()
        core.step(Reset())
        self._replay_to = 0
        await self._announce()

    def close(self) -> None:
        """Remove the site's metrics."""
        self._metrics.retire()
        self._shown.retire()

    async def _publish(self, outputs: Iterable[Output]) -> None:
        """Publish in order: passages and operational alerts before a window, the decisions of its rules after it."""
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
            is_new = await self._bus.store_once(WINDOWS, window, is_done=partial(is_as_late, window), held=self._held)
            span.set_attributes(outcome="published" if is_new else "known")
            self._windows[window.zone] = span.traceparent
        self._metrics.window(window, is_new=is_new)
        self._shown.show([window] if is_new else await self._stored(window.zone))
        if is_new:
            log.info("window published", site=window.site, zone=window.zone, start=window.start, gaps=window.gaps)

    async def _stored(self, zone: str) -> list[WindowV1]:
        """Return a zone's newest window from the bus: another replica may have decided it differently."""
        last = await self._bus.last(WINDOWS, site=self._site, zone=zone)
        return [] if last is None else [cast("WindowV1", last.message)]

    async def _publish_once(self, message: AlertV1 | RuleStateV1 | OperationalAlertV1) -> None:
        row, done = _ONCE[type(message)][0], partial(is_as_late, message)
        if isinstance(message, RuleStateV1):
            await self._bus.store_once(row, message, is_done=done, held=self._held)
            return
        zone, rule = (message.zone, message.rule) if isinstance(message, AlertV1) else (None, message.kind)
        parent = self._windows.get(zone, "") if zone else ""
        with begin("aggregate.alert", parent, site=self._site, zone=zone, rule=rule) as span:
            stored = await self._bus.store_once(row, message, is_done=done, held=self._held)
            span.set_attributes(outcome=message.state if stored else "known")
        if stored and isinstance(message, OperationalAlertV1):
            what = {"kind": message.kind, "name": message.name, "state": message.state, "reason": message.reason}
            log.warning("operational alert", site=self._site, **what)

    def _observe(self, stored: Stored) -> None:
        lag_s = max(0.0, time.time() - stored.time / 1e9)
        # It takes a moment longer with each face, so only a trial is told fractions of a second.
        self._lag.set(lag_s if PROFILES[self._config.profile].is_trial else int(lag_s))
        if stored.sequence <= self._replay_to:
            self._replayed.inc()
        if stored.sequence >= self._replay_to:
            self._ready(True)


def is_as_late(message: Struct, last: Struct) -> bool:
    """Return whether the last message of a subject is as late as this one, so that this one is published already."""
    return _place(last) >= _place(message)


def _place(message: Struct) -> tuple[int, bool]:
    """Return a message's position in the order of its subject."""
    _, at, final = _ONCE[type(message)]
    return getattr(message, at), final != "" and getattr(message, "state", "") == final


def _passage_id(passage: PassageV1) -> str:
    return f"{passage.stream_created}/{passage.stream_sequence}/{passage.index}/{passage.at}"
