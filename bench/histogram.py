"""Reads Prometheus's text format, and computes percentiles from its histograms. Pure."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

SeriesKey = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Histogram:
    """Cumulative counts by upper bound, as in Prometheus; the last bound is infinite."""

    cumulative: tuple[tuple[float, float], ...] = ()

    @property
    def count(self) -> float:
        """The number of values."""
        return self.cumulative[-1][1] if self.cumulative else 0.0

    def share_above(self, bound: float) -> float:
        """Return the share of values above one of the bounds; 0 without values, ValueError for any other bound."""
        if not self.cumulative:
            return 0.0
        counts = dict(self.cumulative)
        if bound not in counts:
            raise ValueError(f"{bound} is no bound of this histogram; they are {sorted(counts)}")
        return (self.count - counts[bound]) / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """Return the quantile, interpolated within its bucket as PromQL's `histogram_quantile` does; 0 without
        values.

        It is infinite if it lies above the last finite bound, where its value is unknown.
        """
        rank, low, below = share * self.count, 0.0, 0.0
        for bound, count in self.cumulative:
            if count >= rank and count > below:
                return bound if bound == float("inf") else low + (bound - low) * (rank - below) / (count - below)
            low, below = bound, count
        return 0.0


@dataclass(frozen=True)
class Samples:
    """Samples by name and labels."""

    values: dict[SeriesKey, float] = field(default_factory=dict)

    def since(self, earlier: "Samples") -> "Samples":
        """Return the increase of each sample since `earlier`."""
        return Samples({key: value - earlier.values.get(key, 0.0) for key, value in self.values.items()})

    def by(self, name: str, label: str) -> dict[str, float]:
        """Return the sums of one metric by one of its labels."""
        sums: Counter[str] = Counter()
        for (found, labels), value in self.values.items():
            if found == name:
                sums[dict(labels).get(label, "")] += value  # type: ignore[assignment]
        return dict(sums)

    def mean(self, name: str) -> float:
        """Return the mean of a histogram's values, over all its labels; 0 without values."""
        sums = {part: sum(self.by(f"{name}_{part}", "").values()) for part in ("sum", "count")}
        return sums["sum"] / sums["count"] if sums["count"] else 0.0

    def histogram(self, name: str) -> Histogram:
        """Return a histogram, over all its labels."""
        counts: defaultdict[float, float] = defaultdict(float)
        for bound, value in self.by(f"{name}_bucket", "le").items():
            counts[float(bound)] += value
        return Histogram(tuple(sorted(counts.items())))


def read(text: str) -> Samples:
    """Return the samples of a /metrics page."""
    families = text_string_to_metric_families(text)
    return Samples({(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples})
