"""Prometheus metrics of one site. They count messages and windows, never people or faces (docs/privacy.md).

With `aggregate.publish_metrics`, published windows become metrics too: the figures on the bus, and nothing finer. If a
window was published without a figure, that figure has no series: neither 0 nor the value before replaces it.
"""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, get_args

from prometheus_client import Counter, Gauge, Histogram

from proto.public import WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.exchange import DropReason

WINDOWS_PUBLISHED = Counter("moretta_aggregate_windows_published_total", "Windows published", ["site"])
LAG = Gauge(
    "moretta_aggregate_lag_seconds",
    "Age of the message being processed; outside trials in whole seconds",
    ["site"],
)
REPLAYED = Counter("moretta_aggregate_replayed_messages_total", "Messages read again after a start", ["site"])
DROPPED = Counter("moretta_aggregate_dropped_messages_total", "Messages that changed nothing", ["site", "reason"])
RESETS = Counter("moretta_aggregate_stream_resets_total", "Times the sightings stream was lost", ["site"])
LOST = Counter("moretta_aggregate_messages_lost_total", "Starts that found a part of the open window gone", ["site"])
WINDOW_END = Gauge(
    "moretta_aggregate_window_end_timestamp_seconds",
    "When the whole site's newest published window ended; without one, when this replica began to decide the site",
    ["site"],
)
WINDOW_LENGTH = Gauge(
    "moretta_aggregate_window_due_seconds", "A window's length and the lateness after which it closes", ["site"]
)
COVERAGE = Gauge(
    "moretta_aggregate_window_coverage_ratio",
    "Coverage that the whole site's newest window was published with",
    ["site"],
)
DELAY = Histogram(
    "moretta_aggregate_window_delay_seconds",
    "From a window's end to its publication, its lateness included",
    ["site"],
    buckets=(1, 2, 5, 6, 8, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 3600),
)
REASONS: tuple[str, ...] = get_args(DropReason)


@dataclass(frozen=True, slots=True)
class SiteMetrics:
    """The metrics of one site, while this replica decides it."""

    site: str

    _PLAIN: ClassVar = (
        WINDOWS_PUBLISHED, LAG, REPLAYED, RESETS, LOST, WINDOW_END, WINDOW_LENGTH, COVERAGE, DELAY,
    )  # fmt: skip

    def begin(self, config: SiteConfig, published_until: int) -> None:
        """Set the metrics after a start.

        `published_until` is the end of the whole site's newest window (ns), 0 without any.
        """
        self.configure(config)
        WINDOW_END.labels(self.site).set(published_until / 1e9 or time.time())
        for counter in (WINDOWS_PUBLISHED, REPLAYED, RESETS, LOST):
            counter.labels(self.site)

    def configure(self, config: SiteConfig) -> None:
        """Apply a configuration. Windows of recordings (`close_on_end`) are never due."""
        if config.close_on_end:
            _remove(WINDOW_LENGTH, self.site)
        else:
            WINDOW_LENGTH.labels(self.site).set((config.window + config.open_for) / 1e9)

    def window(self, window: WindowV1, *, is_new: bool) -> None:
        """Record a published window; `is_new` if this replica has just published it."""
        if is_new:
            WINDOWS_PUBLISHED.labels(self.site).inc()
            DELAY.labels(self.site).observe(max(0.0, time.time() - window.end / 1e9))
        if window.zone != WHOLE_SITE:
            return
        WINDOW_END.labels(self.site).set(window.end / 1e9)
        if window.coverage is None:  # the profile publishes none
            _remove(COVERAGE, self.site)
        else:
            COVERAGE.labels(self.site).set(window.coverage)

    def dropped(self, reason: DropReason) -> None:
        """Count a message that changed nothing."""
        DROPPED.labels(self.site, reason).inc()

    def retire(self) -> None:
        """Remove the site's series: this replica no longer decides it, and leftover series would say otherwise."""
        for metric in self._PLAIN:
            _remove(metric, self.site)
        for reason in REASONS:
            _remove(DROPPED, self.site, reason)


def _remove(metric: Counter | Gauge | Histogram, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        metric.remove(*labels)


_LABELS = ["site", "zone"]
_END = Gauge("moretta_window_end_timestamp_seconds", "When the newest published window ended", _LABELS)
_FIGURES = {
    "rate": Gauge("moretta_window_rate_ratio", "Share of the judged who wore a mask, as last published", _LABELS),
    "low": Gauge("moretta_window_rate_low_ratio", "Lower end of the rate's 95 % interval", _LABELS),
    "high": Gauge("moretta_window_rate_high_ratio", "Upper end of the rate's 95 % interval", _LABELS),
    "persons": Gauge("moretta_window_persons", "People in the newest published window", _LABELS),
    "coverage": Gauge("moretta_window_coverage_ratio", "Observed share of the cameras' time", _LABELS),
}


class WindowMetrics:
    """The newest published window of each zone of a site, while this replica decides it; nothing unless `wanted`."""

    def __init__(self, config: SiteConfig, *, wanted: bool) -> None:
        self._config, self._wanted = config, wanted
        self._ends: dict[str, int] = {}

    def configure(self, config: SiteConfig) -> None:
        """Apply a configuration; forget the zones that it lacks, and all zones if the profile changes."""
        same = config.profile == self._config.profile
        self._config = config
        self._forget(zone for zone in list(self._ends) if not same or not self._is_ours(zone))

    def show(self, windows: Iterable[WindowV1]) -> None:
        """Show published windows; of each zone the newest stays."""
        for window in windows:
            if self._wanted and self._is_ours(window.zone) and window.profile == self._config.profile:
                self._show(window)

    def retire(self) -> None:
        """Forget the site."""
        self._forget(list(self._ends))

    def _is_ours(self, zone: str) -> bool:
        return zone == WHOLE_SITE or zone in self._config.zones

    def _show(self, window: WindowV1) -> None:
        if window.end <= self._ends.get(window.zone, -1):
            return
        self._ends[window.zone] = window.end
        low, high = window.interval or (None, None)
        values = {
            "rate": window.rate, "low": low, "high": high, "persons": window.persons, "coverage": window.coverage,
        }  # fmt: skip
        for name, value in values.items():
            if value is None:
                _remove(_FIGURES[name], window.site, window.zone)
            else:
                _FIGURES[name].labels(window.site, window.zone).set(value)
        _END.labels(window.site, window.zone).set(window.end / 1e9)

    def _forget(self, zones: Iterable[str]) -> None:
        for zone in zones:
            del self._ends[zone]
            for gauge in (_END, *_FIGURES.values()):
                _remove(gauge, self._config.site, zone)
