"""What the sightings of one track say about a person: one verdict from all of them, a zone, and the largest face."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import log

from proto.sightings import SightingV1
from proto.types import Verdict

JUDGED: tuple[Verdict, ...] = ("masked", "unmasked", "incorrect")
STRONGEST = 0.99
"""A single picture is never trusted more than this: a confident mistake must not outweigh all others."""
ENOUGH = log(3.0)
"""How far masked or not masked must lead, in log-odds: 3 to 1. Less is `unknown`: counted and shown, never guessed."""


@dataclass(slots=True)
class Evidence:
    """Sum of the log-odds of one track's sightings, by verdict; all of them from one model."""

    model: str
    odds: dict[str, float] = field(default_factory=dict)

    def add(self, model: str, sighting: SightingV1) -> None:
        """Add a sighting."""
        self.judge_by(model)
        if sighting.verdict != "unknown":
            self.odds[sighting.verdict] = self.odds.get(sighting.verdict, 0.0) + log_odds(sighting.confidence)

    def judge_by(self, model: str) -> None:
        """Drop the evidence of another model, since one model judges a passage."""
        if model != self.model:
            self.model, self.odds = model, {}

    def verdict(self) -> Verdict:
        """Return masked or not masked, whichever leads clearly, else `unknown`; if not masked, the stronger of the two.

        A person seen in turn without a mask and with a badly worn one is certainly not masked. As `unknown` they would
        be left out of the rate, which would then be too high.
        """
        masked, unmasked, incorrect = (self.odds.get(verdict, 0.0) for verdict in JUDGED)
        lead = masked - (unmasked + incorrect)
        if abs(lead) < ENOUGH:
            return "unknown"
        if lead > 0:
            return "masked"
        return "unmasked" if unmasked >= incorrect else "incorrect"


def log_odds(confidence: float) -> float:
    """Return log(p / (1 - p)), never below 0 (a doubtful sighting is no evidence) and bounded above."""
    p = min(max(confidence, 0.5), STRONGEST)
    return log(p / (1 - p))


def verdict_of(sightings: Iterable[SightingV1]) -> Verdict:
    """Return the verdict of a passage with these sightings."""
    evidence = Evidence("")
    for sighting in sightings:
        evidence.add("", sighting)
    return evidence.verdict()


@dataclass(slots=True)
class Person:
    """What some sightings of a track say about the person."""

    evidence: Evidence
    hits: int = 0
    largest: float = 0.0
    """The largest face, in picture widths."""
    zones: Counter[str] = field(default_factory=Counter)
    """Sightings by zone."""

    @property
    def zone(self) -> str:
        """The zone with most of the sightings; if two are equal, the first by name."""
        return min(self.zones, key=lambda zone: (-self.zones[zone], zone))

    def add(self, model: str, sighting: SightingV1, size: float, zone: str) -> None:
        """Add a sighting by this model of a face, `size` in picture widths."""
        self.evidence.add(model, sighting)
        self.hits += 1
        self.largest = max(self.largest, size)
        self.zones[zone] += 1
