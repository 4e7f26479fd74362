"""Which errors are worth a look: those that the model was surest of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from services.inference.core.outcomes import Outcome
from services.inference.core.scoring import box_px

Kind = Literal["wrong", "missed", "false-alarm"]
KINDS: tuple[Kind, ...] = ("wrong", "missed", "false-alarm")


@dataclass(frozen=True)
class Mistake:
    """One error and how sure the model was of it, 0 to 1.

    A wrong verdict counts with the classifier's confidence in mask or no mask; taking a bare face for a badly masked
    one, or the reverse, counts as 0, since that confidence was right. A false alarm counts with the detector's score, a
    missed face with what is lacking from 1 in the best score of a box on it.
    """

    kind: Kind
    outcome: Outcome
    confidence: float


def _mistake(outcome: Outcome) -> Mistake | None:
    if outcome.truth is None:
        return Mistake("false-alarm", outcome, outcome.score)
    if outcome.said is None:
        return Mistake("missed", outcome, 1.0 - outcome.score)
    if outcome.is_judged and outcome.said != outcome.truth:
        return Mistake("wrong", outcome, 0.0 if outcome.is_side_right else outcome.confidence)
    return None


def _worst_first(mistake: Mistake) -> tuple[float, float]:
    """Surest first; of equally sure ones the larger face, which is the odder to get wrong."""
    return -mistake.confidence, -box_px(mistake.outcome.box)


def mistakes(outcomes: Iterable[Outcome]) -> list[Mistake]:
    """Every missed face, false alarm and wrong verdict. Unknown faces are none of these: nothing was said of them."""
    return [mistake for mistake in map(_mistake, outcomes) if mistake is not None]


def worst(found: Iterable[Mistake], limit: int) -> list[Mistake]:
    """At most `limit` errors, surest first within each kind, kinds in the order of KINDS.

    Each kind gets the same number of places; what one does not need goes to the others.
    """
    ordered = sorted(found, key=_worst_first)
    in_turn = zip_longest(*([one for one in ordered if one.kind == kind] for kind in KINDS))
    chosen = [one for turn in in_turn for one in turn if one is not None][:limit]
    return sorted(chosen, key=lambda one: KINDS.index(one.kind))
