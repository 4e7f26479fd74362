"""One site's drift on the bus: day records kept in JetStream, metrics for its operators (ADR 9).

A start waits for the stored days, a second at most. Nothing else here delays or ends a window: a separate task stores
the records, records that cannot be stored are stored later, and a fault is counted and logged.

Under a profile that allows nothing finer than the whole site, nothing is counted at all (`is_allowed`).
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import cast

from prometheus_client import Counter, Gauge

from proto.drift import DriftDayV1
from proto.subjects import DRIFT
from services.aggregate.core.drift import EVERY, SCORE_TENTHS, SIZE_TENTHS, Drift, DriftComparison, Summary
from services.aggregate.core.exchange import Output
from services.bus import Bus, LeaseCheck, Stored
from services.kernel.log import get_logger
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings, local_zone

log = get_logger()

# Shares and quantiles only: no metric carries a verdict or a count of people (ADR 9).
UNKNOWN = Gauge("moretta_drift_unknown_share", "Share of the faces without a verdict", ["site", "camera", "day"])
_QUANTILE = ["site", "camera", "day", "quantile"]
SIZE = Gauge("moretta_drift_size_pixels", "Sizes of the faces in the analysed picture", _QUANTILE)
SCORE = Gauge("moretta_drift_score", "The detector's scores", _QUANTILE)
SIZE_INDEX = Gauge("moretta_drift_size_psi", "Sizes against the baseline", ["site", "camera", "day"])
SCORE_INDEX = Gauge("moretta_drift_score_psi", "Scores against the baseline", ["site", "camera", "day"])
STAYED = Gauge(
    "moretta_drift_stayed_share", "Share of the passages that neither came nor went", ["site", "camera", "day"]
)
BASELINE_DAYS = Gauge("moretta_drift_baseline_days", "Days in the baseline, at most 14", ["site", "camera"])
FAILURES = Counter("moretta_drift_store_failures_total", "Times that day records could not be kept", ["site"])

TIMEOUT_S = 20.0
"""Time limit for one attempt to store; after it, the next attempt tries again."""
WAIT_S = 1.0
"""How long a start waits for the stored days; messages that are read before that are not counted."""
_RETRY_S = 2.0
_NOTHING = DriftComparison(None, None, None, 0)


def is_allowed(site: SiteSettings) -> bool:
    """Return whether days of single cameras may be kept: not where the law allows the whole site alone.

    See docs/privacy.md.
    """
    return PROFILES[site.profile].cameras


class SiteDrift:
    """Drift of one site. It stores only while `held`.

    `run` is a task for the whole life of the site; `step` never waits.
    """

    def __init__(self, bus: Bus, site: SiteSettings, every: int = EVERY, held: LeaseCheck | None = None) -> None:
        self._bus, self._site, self._held = bus, site, held
        self._core = Drift(site.id, local_zone(site), every)
        self._waiting: dict[tuple[str, str], DriftDayV1] = {}
        self._due, self._restored = asyncio.Event(), asyncio.Event()
        self._is_failing = False

    def configure(self, site: SiteSettings) -> None:
        """Apply new settings; remove the metrics of cameras that are gone."""
        before, self._site = self._site, site
        self._core.move(local_zone(site))
        kept = {c.id for c in site.cameras} if is_allowed(site) else set[str]()
        for camera in {c.id for c in before.cameras} - kept:
            _hide(site.id, camera)

    def step(self, stored: Stored, outputs: Iterable[Output]) -> None:
        """Process a message of the stream and the core's outputs for it. Never raises: the windows matter more."""
        if not self._restored.is_set() or not is_allowed(self._site):
            return
        try:
            self._step(stored, outputs)
        except Exception as error:
            FAILURES.labels(self._site.id).inc()
            if not self._is_failing:
                log.exception("drift failed on a message", site=self._site.id, error=type(error).__name__)
            self._is_failing = True

    def _step(self, stored: Stored, outputs: Iterable[Output]) -> None:
        due = self._core.step(stored, outputs)
        if due is None:
            return
        self._waiting.update({(record.camera, record.day): record for record in due})
        if self._waiting:
            self._due.set()
        for camera in self._site.cameras:
            found = self._core.compare(camera.id)
            if not PROFILES[self._site.profile].is_trial:  # five minutes of today are finer than a window
                found = replace(found, today=None, stayed_today=None)
            _show(self._site.id, camera.id, camera.long_side, found)

    async def until_restored(self) -> None:
        """Wait for the stored days, but not for long: the windows matter more."""
        if not is_allowed(self._site):
            return
        try:
            async with asyncio.timeout(WAIT_S):
                await self._restored.wait()
        except TimeoutError:
            log.warning("drift days not read", site=self._site.id)

    async def run(self) -> None:
        """Read the stored days, then store the days that change, for ever."""
        while not self._restored.is_set():
            if not await self._tried(self._restore):
                await asyncio.sleep(_RETRY_S)
        while True:
            await self._due.wait()
            self._due.clear()
            await self._tried(self._store)

    async def _tried(self, step: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._bus.ensure_streams([str(DRIFT.stream)])
                await step()
        except Exception as error:
            FAILURES.labels(self._site.id).inc()
            if not self._is_failing:
                why = str(error) or type(error).__name__
                log.warning("drift days not stored", site=self._site.id, error=why)
            self._is_failing = True
            return False
        self._is_failing = False
        return True

    async def _restore(self) -> None:
        history = await self._bus.history(DRIFT, site=self._site.id)
        refused = self._core.restore(cast("DriftDayV1", stored.message) for stored in history)
        if refused:
            log.warning("drift days not comparable", site=self._site.id, days=len(refused))
        self._restored.set()

    async def _store(self) -> None:
        for key, record in list(self._waiting.items()):
            await self._bus.store_once(DRIFT, record, is_done=partial(_is_newer, record), held=self._held)
            if self._waiting.get(key) is record:
                del self._waiting[key]

    def close(self) -> None:
        """Remove the site's metrics."""
        for camera in self._site.cameras:
            _hide(self._site.id, camera.id)
        with contextlib.suppress(KeyError):
            FAILURES.remove(self._site.id)


def _is_newer(record: DriftDayV1, last: DriftDayV1) -> bool:
    """Return whether the stored record is at least as new: a process frozen for hours must not set a day back."""
    return last.stream_time >= record.stream_time


def _show(site: str, camera: str, long_side: int, found: DriftComparison) -> None:
    for day, summary in (("today", found.today), ("yesterday", found.yesterday), ("baseline", found.baseline)):
        _show_day(summary, long_side, site, camera, day)
    for day, share in (("today", found.stayed_today), ("yesterday", found.stayed_yesterday)):
        _set(STAYED, share, site, camera, day)
    _set(BASELINE_DAYS, found.baseline_days, site, camera)


def _show_day(summary: Summary | None, long_side: int, *labels: str) -> None:
    """Set the known figures of a day, and remove the others."""
    _set(UNKNOWN, summary.unknown if summary else None, *labels)
    _set(SIZE_INDEX, summary.size_index if summary else None, *labels)
    _set(SCORE_INDEX, summary.score_index if summary else None, *labels)
    for index, tenths in enumerate(SIZE_TENTHS):
        _set(SIZE, round(summary.sizes[index] * long_side, 1) if summary else None, *labels, f"0.{tenths}")
    for index, tenths in enumerate(SCORE_TENTHS):
        _set(SCORE, summary.scores[index] if summary else None, *labels, f"0.{tenths}")


def _hide(site: str, camera: str) -> None:
    _show(site, camera, 0, _NOTHING)
    BASELINE_DAYS.remove(site, camera)


def _set(gauge: Gauge, value: float | None, *labels: str) -> None:
    if value is None:
        gauge.remove(*labels)
    else:
        gauge.labels(*labels).set(value)
