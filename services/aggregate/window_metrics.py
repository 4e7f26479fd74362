"""Published windows as metrics, where `aggregate.publish_metrics` asks for it: what the bus has, and nothing finer.

A figure that a window was published without has no series (docs/privacy.md): neither 0 nor the one before replaces it.
"""

import contextlib
from collections.abc import Iterable

from prometheus_client import Gauge

from proto.public import WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SiteConfig

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
        """Take a configuration: zones that it lacks are forgotten, and all of them under another profile."""
        same = config.profile == self._config.profile
        self._config = config
        self._forget(zone for zone in list(self._ends) if not same or not self._is_ours(zone))

    def show(self, windows: Iterable[WindowV1]) -> None:
        """Take published windows; of a zone the newest stays."""
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


def _remove(gauge: Gauge, *labels: str) -> None:
    with contextlib.suppress(KeyError):
        gauge.remove(*labels)
