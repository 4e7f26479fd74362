"""The outcome of every face (found or missed, with its verdict), the false alarms, and the worst errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from modelling.evaluation.scoring import Corners, Match, Prediction, Terms, Truth, box_px, iou, match


@dataclass(frozen=True)
class Guess:
    """The classifier's verdicts on the boxes of one picture, one entry a box.

    `labels` are mask, no_mask, incorrect or unknown. `likeliest` are the same without regard to limits (unknown only if
    the probabilities are NaN). `confidences` are how sure the classifier was of mask or not, 0 to 1.
    """

    labels: Sequence[str]
    likeliest: Sequence[str]
    confidences: Sequence[float]


@dataclass(frozen=True)
class Outcome:
    """One annotated face, or one false alarm.

    `picture` is the picture's number, `face` the face's among those annotated there (None for a false alarm). `box` is
    the annotated box (for a false alarm the predicted one), `truth` its annotated label, None for a false alarm.
    `said`, `likeliest` and `confidence` are the classifier's; `said` is None for a missed face. `score` is the
    detector's. For a missed face it is the best score of the boxes on it that scored too little, 0 without such a box.
    """

    picture: int
    box: Corners
    truth: str | None
    said: str | None
    likeliest: str | None
    confidence: float
    score: float
    face: int | None

    @property
    def is_found(self) -> bool:
        """Whether this is an annotated face that was found."""
        return self.truth is not None and self.said is not None

    @property
    def is_side_right(self) -> bool:
        """Whether the likelier of mask and no mask is the annotated side; a badly worn mask is no mask."""
        return self.likeliest not in {None, "unknown"} and (self.likeliest == "mask") == (self.truth == "mask")

    @property
    def is_judged(self) -> bool:
        """Whether this is a found face that is not unknown."""
        return self.is_found and self.said != "unknown"


def _missed(picture: int, face: int, truth: Truth, found: Prediction, terms: Terms) -> Outcome:
    box = truth.boxes[face]
    near = [score for other, score in zip(found.boxes, found.scores, strict=True) if iou(box, other) >= terms.iou]
    weak = [score for score in near if score < terms.threshold]
    return Outcome(picture, box, truth.labels[face], None, None, 0.0, max(weak, default=0.0), face)


def _found(picture: int, face: int, row: int, truth: Truth, found: Prediction, guess: Guess) -> Outcome:
    return Outcome(picture, truth.boxes[face], truth.labels[face], *_verdict(row, guess), found.scores[row], face)


def _false_alarm(picture: int, row: int, found: Prediction, guess: Guess) -> Outcome:
    return Outcome(picture, found.boxes[row], None, *_verdict(row, guess), found.scores[row], None)


def _verdict(row: int, guess: Guess) -> tuple[str, str, float]:
    return guess.labels[row], guess.likeliest[row], guess.confidences[row]


def _of_picture(
    picture: int, truth: Truth, found: Prediction, guess: Guess, matched: Match, terms: Terms
) -> Iterator[Outcome]:
    for face in range(len(truth.boxes)):
        if face in matched.hits:
            yield _found(picture, face, matched.hits[face], truth, found, guess)
        elif face not in matched.ignored:
            yield _missed(picture, face, truth, found, terms)
    for row in matched.false_alarms:
        yield _false_alarm(picture, row, found, guess)


def outcomes(pictures: Iterable[tuple[Truth, Prediction, Guess]], terms: Terms) -> list[Outcome]:
    """Return every annotated face that counts under `terms`, and every false alarm, picture by picture."""
    return [
        outcome
        for picture, (truth, found, guess) in enumerate(pictures)
        for outcome in _of_picture(picture, truth, found, guess, match(truth, found, terms), terms)
    ]


Kind = Literal["wrong", "missed", "false-alarm"]
KINDS: tuple[Kind, ...] = ("wrong", "missed", "false-alarm")


@dataclass(frozen=True)
class Mistake:
    """One error and how sure the model was of it, 0 to 1.

    A wrong verdict counts with the classifier's confidence in mask or no mask. A bare face taken for a badly masked
    one, or the reverse, counts as 0, because that confidence was right. A false alarm counts with the detector's score,
    a missed face with 1 minus the best score of a box on it.
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
    """Sort the surest errors first; among equally sure ones the larger face, because an error on it is stranger."""
    return -mistake.confidence, -box_px(mistake.outcome.box)


def mistakes(outcomes: Iterable[Outcome]) -> list[Mistake]:
    """Return every missed face, false alarm and wrong verdict. Unknown faces are no errors: they have no verdict."""
    return [mistake for mistake in map(_mistake, outcomes) if mistake is not None]


def worst(found: Iterable[Mistake], limit: int) -> list[Mistake]:
    """Return at most `limit` errors, surest first within each kind, kinds in the order of KINDS.

    Each kind gets the same number of places. The places that a kind does not need go to the others.
    """
    ordered = sorted(found, key=_worst_first)
    in_turn = zip_longest(*([one for one in ordered if one.kind == kind] for kind in KINDS))
    chosen = [one for turn in in_turn for one in turn if one is not None][:limit]
    return sorted(chosen, key=lambda one: KINDS.index(one.kind))
