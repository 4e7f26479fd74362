"""From a closed track's sightings to the one verdict of a passage."""

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
        """Take a sighting in; another model's evidence is dropped, since a passage is judged by one model."""
        if model != self.model:
            self.model, self.odds = model, {}
        if sighting.verdict != "unknown":
            self.odds[sighting.verdict] = self.odds.get(sighting.verdict, 0.0) + log_odds(sighting.confidence)

    def verdict(self) -> Verdict:
        """Return masked or not, whichever leads clearly, else `unknown`; of the two that are not, the stronger.

        Whoever is seen without a mask and with a badly worn one in turn is not masked for sure: as `unknown` they would
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
    """Return log(p / (1 - p)), never below 0 (a doubtful sighting speaks for nobody) and bounded above."""
    p = min(max(confidence, 0.5), STRONGEST)
    return log(p / (1 - p))


def verdict_of(sightings: Iterable[SightingV1]) -> Verdict:
    """Return the verdict of a passage that these sightings make."""
    evidence = Evidence("")
    for sighting in sightings:
        evidence.add("", sighting)
    return evidence.verdict()
