"""What Prometheus hears of one site. Messages and windows are counted, people and faces never (docs/privacy.md)."""

import contextlib
import time
from dataclasses import dataclass
from typing import ClassVar, get_args

from prometheus_client import Counter, Gauge, Histogram

from proto.public import WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.exchange import DropReason

WINDOWS_PUBLISHED = Counter("moretta_aggregate_windows_published_total", "Windows published", ["site"])
LAG = Gauge("moretta_aggregate_lag_seconds", "Age of the message being processed", ["site"])
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
    """One site's, while this replica decides it."""

    site: str

    _PLAIN: ClassVar = (
        WINDOWS_PUBLISHED, LAG, REPLAYED, RESETS, LOST, WINDOW_END, WINDOW_LENGTH, COVERAGE, DELAY,
    )  # fmt: skip

    def begin(self, config: SiteConfig, published_until: int) -> None:
        """Take what a start found: the end of the whole site's newest window (ns), 0 without any."""
        self.configure(config)
        WINDOW_END.labels(self.site).set(published_until / 1e9 or time.time())
        for counter in (WINDOWS_PUBLISHED, REPLAYED, RESETS, LOST):
            counter.labels(self.site)

    def configure(self, config: SiteConfig) -> None:
        """Take a configuration. Windows of recordings (`close_on_end`) are never due."""
        if config.close_on_end:
            _remove(WINDOW_LENGTH, self.site)
        else:
            WINDOW_LENGTH.labels(self.site).set((config.window + config.lateness) / 1e9)

    def window(self, window: WindowV1, *, is_new: bool) -> None:
        """Take a window that is published now, by us or before."""
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
        """Forget the site: it is decided elsewhere, or not at all, and what stays would say otherwise."""
        for metric in self._PLAIN:
            _remove(metric, self.site)
        for reason in REASONS:
            _remove(DROPPED, self.site, reason)


def _remove(metric: Counter | Gauge | Histogram, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        metric.remove(*labels)
