"""The findings of a proof and its verdicts: the places searched, the traces found, and the lifetimes of pixels."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from prometheus_client.parser import text_string_to_metric_families

Verdict = Literal["nothing", "found", "blind", "not searched", "left out", "too long", "within bounds"]
_GOOD: frozenset[Verdict] = frozenset({"nothing", "left out", "within bounds"})
PROMISE_MS = 100.0
_SHOWN = 3


@dataclass
class SearchedPlace:
    """One kind of place: how much of it was searched, the traces found, and whether the canary was seen."""

    name: str
    what: str
    """The searched data, in words."""
    unit: str = "pieces"
    count: int = 0
    size: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    """The places of traces, and the number of traces in each."""
    canary: bool | None = False
    """Whether the canary was found; None if another place's canary stands for it."""
    missing: list[str] = field(default_factory=list)
    """The parts that were not searched, with the reasons."""
    left_out: bool = False
    allowed: int | None = None
    """The documented number of hits (docs/privacy.md). The rule is None: no hit at all."""
    notes: list[str] = field(default_factory=list)

    def searched(self, size: int, pieces: int = 1) -> None:
        """Count searched bytes and pieces."""
        self.size += size
        self.count += pieces

    def hit(self, where: str, times: int = 1) -> None:
        """Count a trace of a picture."""
        self.hits[where] = self.hits.get(where, 0) + times

    def miss(self, why: str) -> None:
        """Record a part that could not be searched, with the reason."""
        if why not in self.missing:
            self.missing.append(why)

    @property
    def verdict(self) -> Verdict:
        """The place's verdict: "found" goes before "left out", that before "not searched", and that before "blind"."""
        if self.hits and (self.allowed is None or sum(self.hits.values()) > self.allowed):
            return "found"
        if self.left_out:
            return "left out"
        if self.missing or (self.count == 0 and self.canary is not False):
            return "not searched"
        if self.canary is False:
            return "blind"
        return "within bounds" if self.hits else "nothing"

    @property
    def is_good(self) -> bool:
        """Whether the proof may rely on this place."""
        return self.verdict in _GOOD

    @property
    def found(self) -> str:
        """The traces and their places, or the reason why it was not searched, in one line."""
        if not self.hits:
            return "; ".join(self.missing) or "0"
        most = sorted(self.hits.items(), key=lambda one: -one[1])
        more = f" and {len(most) - _SHOWN} more places" if len(most) > _SHOWN else ""
        return f"{sum(self.hits.values())}: " + ", ".join(f"{where} ({n})" for where, n in most[:_SHOWN]) + more

    def figures(self) -> dict[str, Any]:
        """Return the place as JSON data."""
        return {
            "place": self.name,
            "what": self.what,
            "searched": self.count,
            "unit": self.unit,
            "bytes": self.size,
            "hits": self.hits,
            "allowed": self.allowed,
            "canary": self.canary,
            "missing": self.missing,
            "notes": self.notes,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class LifetimeCounts:
    """Pixel lifetimes, as in the metric: the number of pictures that lived at most so many ms; the rest is +Inf."""

    buckets: dict[float, float] = field(default_factory=dict)
    total: float = 0.0

    def upper(self, share: float) -> float | None:
        """Return the bound (ms) of the bucket that reaches this share of the pictures; None beyond the last one."""
        reached = [bound for bound, count in sorted(self.buckets.items()) if count >= share * self.total]
        return reached[0] if reached and self.total else None

    @property
    def late(self) -> float:
        """The number of pictures that lived longer than promised."""
        return self.total - self.buckets.get(PROMISE_MS, 0.0)

    def __add__(self, other: "LifetimeCounts") -> "LifetimeCounts":
        """Return the sum of both."""
        bounds = self.buckets | other.buckets
        sums = {bound: self.buckets.get(bound, 0) + other.buckets.get(bound, 0) for bound in bounds}
        return LifetimeCounts(sums, self.total + other.total)

    def __sub__(self, earlier: "LifetimeCounts") -> "LifetimeCounts":
        """Return the lifetimes recorded after `earlier`."""
        left = {bound: count - earlier.buckets.get(bound, 0) for bound, count in self.buckets.items()}
        return LifetimeCounts(left, self.total - earlier.total)

    @property
    def verdict(self) -> Verdict:
        """Whether the promise was kept."""
        p99 = self.upper(0.99)
        if not self.total:
            return "not searched"
        return "nothing" if p99 is not None and p99 <= PROMISE_MS else "too long"


@dataclass
class Findings:
    """All findings of a run."""

    places: list[SearchedPlace]
    lifetime: LifetimeCounts
    """While nothing was killed."""
    troubled: LifetimeCounts
    """Over the whole run, in which everything was killed."""
    needles: int
    pictures: int
    packets: int
    seconds: float
    story: list[str] = field(default_factory=list)
    """The events of the run, in order."""
    faults: list[str] = field(default_factory=list)
    """Expected events that did not happen."""

    @property
    def is_proven(self) -> bool:
        """Whether nothing was found, everything was searched, and no picture lived too long."""
        return not self.faults and self.lifetime.verdict == "nothing" and all(place.is_good for place in self.places)

    def figures(self) -> dict[str, Any]:
        """Return the findings as JSON data."""
        return {
            "proven": self.is_proven,
            "places": [place.figures() for place in self.places],
            "lifetime_ms": {
                "p50_at_most": self.lifetime.upper(0.5),
                "p99_at_most": self.lifetime.upper(0.99),
                "pictures": self.lifetime.total,
                "promise": PROMISE_MS,
                "verdict": self.lifetime.verdict,
                "pictures_in_all": self.troubled.total,
                "p99_in_all_at_most": self.troubled.upper(0.99),
            },
            "needles": self.needles,
            "pictures": self.pictures,
            "packets": self.packets,
            "seconds": self.seconds,
            "story": self.story,
            "faults": self.faults,
        }


def left_out(places: Iterable[SearchedPlace], names: Iterable[str]) -> None:
    """Mark the places that the user leaves out."""
    for place in places:
        place.left_out = place.left_out or place.name in set(names)


_METRIC = "moretta_pixel_lifetime_seconds"


def lifetime_of(page: str) -> LifetimeCounts:
    """Return the pixel lifetimes on a page of metrics, of all cameras together; bounds in ms."""
    sums: dict[float, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples if family.name == _METRIC else ():
            if sample.name.endswith("_bucket"):
                bound = float(sample.labels["le"]) * 1_000
                sums[bound] = sums.get(bound, 0.0) + sample.value
    total = sums.pop(float("inf"), 0.0)
    return LifetimeCounts(sums, total)
