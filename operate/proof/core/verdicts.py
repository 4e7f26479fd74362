"""What was searched, what was found there, and what follows."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["nothing", "found", "blind", "not searched", "left out", "too long", "within bounds"]
_GOOD: frozenset[Verdict] = frozenset({"nothing", "left out", "within bounds"})
PROMISE_MS = 100.0
_SHOWN = 3


@dataclass
class SearchedPlace:
    """One kind of place: how much of it was searched, what was found where, whether the planted canary was seen."""

    name: str
    what: str
    """What was searched, in words."""
    unit: str = "pieces"
    count: int = 0
    size: int = 0
    hits: dict[str, int] = field(default_factory=dict)
    """Where a trace was found, and how often there."""
    canary: bool | None = False
    """Whether what was planted was found; None where another place's canary stands for it."""
    missing: list[str] = field(default_factory=list)
    """What was not searched, and why."""
    left_out: bool = False
    allowed: int | None = None
    """How many hits are documented (docs/privacy.md); None: none at all, which is the rule."""
    notes: list[str] = field(default_factory=list)

    def searched(self, size: int, pieces: int = 1) -> None:
        """Count what was searched."""
        self.size += size
        self.count += pieces

    def hit(self, where: str, times: int = 1) -> None:
        """Count a trace of a picture."""
        self.hits[where] = self.hits.get(where, 0) + times

    def miss(self, why: str) -> None:
        """Say what could not be searched."""
        if why not in self.missing:
            self.missing.append(why)

    @property
    def verdict(self) -> Verdict:
        """What follows: found goes before blind, and that before what was not searched."""
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
        """Whether the proof may rest on it."""
        return self.verdict in _GOOD

    @property
    def found(self) -> str:
        """What was found and where, or why it was not searched, in a line."""
        if not self.hits:
            return "; ".join(self.missing) or "0"
        most = sorted(self.hits.items(), key=lambda one: -one[1])
        more = f" and {len(most) - _SHOWN} more places" if len(most) > _SHOWN else ""
        return f"{sum(self.hits.values())}: " + ", ".join(f"{where} ({n})" for where, n in most[:_SHOWN]) + more

    def figures(self) -> dict[str, Any]:
        """Return it for a program."""
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
class Lifetime:
    """Pixel lifetimes as the metric has them: how many pictures lived at most so long, in ms; the rest is +Inf."""

    buckets: dict[float, float] = field(default_factory=dict)
    total: float = 0.0

    def upper(self, share: float) -> float | None:
        """Return the bound of the bucket in which that share of the pictures is reached; None beyond the last one."""
        reached = [bound for bound, count in sorted(self.buckets.items()) if count >= share * self.total]
        return reached[0] if reached and self.total else None

    def __add__(self, other: "Lifetime") -> "Lifetime":
        """Return both together."""
        bounds = self.buckets | other.buckets
        sums = {bound: self.buckets.get(bound, 0) + other.buckets.get(bound, 0) for bound in bounds}
        return Lifetime(sums, self.total + other.total)

    def __sub__(self, earlier: "Lifetime") -> "Lifetime":
        """Return what came after `earlier`."""
        left = {bound: count - earlier.buckets.get(bound, 0) for bound, count in self.buckets.items()}
        return Lifetime(left, self.total - earlier.total)

    @property
    def verdict(self) -> Verdict:
        """Whether the promise was kept."""
        p99 = self.upper(0.99)
        if not self.total:
            return "not searched"
        return "nothing" if p99 is not None and p99 <= PROMISE_MS else "too long"


@dataclass
class Findings:
    """The whole of a run."""

    places: list[SearchedPlace]
    lifetime: Lifetime
    """While nothing was killed."""
    troubled: Lifetime
    """Over the whole run, in which everything was killed."""
    needles: int
    pictures: int
    packets: int
    seconds: float
    told: list[str] = field(default_factory=list)
    """What happened in the run, in order."""
    faults: list[str] = field(default_factory=list)
    """What was to happen and did not."""

    @property
    def is_proven(self) -> bool:
        """Whether nothing was found, everything was searched, and no picture lived too long."""
        return not self.faults and self.lifetime.verdict == "nothing" and all(place.is_good for place in self.places)

    def figures(self) -> dict[str, Any]:
        """Return it for a program."""
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
            "story": self.told,
            "faults": self.faults,
        }


def left_out(places: Iterable[SearchedPlace], names: Iterable[str]) -> None:
    """Mark the places that the user does without."""
    for place in places:
        place.left_out = place.left_out or place.name in set(names)
