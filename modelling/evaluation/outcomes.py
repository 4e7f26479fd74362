"""The outcome of every face (found or missed, with its verdict), and the false alarms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from modelling.evaluation.scoring import Corners, Match, Prediction, Terms, Truth, match


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
    `said`, `likeliest` and `confidence` are the classifier's; `said` is None for a missed face.
    """

    picture: int
    box: Corners
    truth: str | None
    said: str | None
    likeliest: str | None
    confidence: float
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


def _missed(picture: int, face: int, truth: Truth) -> Outcome:
    return Outcome(picture, truth.boxes[face], truth.labels[face], None, None, 0.0, face)


def _found(picture: int, face: int, row: int, truth: Truth, guess: Guess) -> Outcome:
    return Outcome(picture, truth.boxes[face], truth.labels[face], *_verdict(row, guess), face)


def _false_alarm(picture: int, row: int, found: Prediction, guess: Guess) -> Outcome:
    return Outcome(picture, found.boxes[row], None, *_verdict(row, guess), None)


def _verdict(row: int, guess: Guess) -> tuple[str, str, float]:
    return guess.labels[row], guess.likeliest[row], guess.confidences[row]


def _of_picture(picture: int, truth: Truth, found: Prediction, guess: Guess, matched: Match) -> Iterator[Outcome]:
    for face in range(len(truth.boxes)):
        if face in matched.hits:
            yield _found(picture, face, matched.hits[face], truth, guess)
        elif face not in matched.ignored:
            yield _missed(picture, face, truth)
    for row in matched.false_alarms:
        yield _false_alarm(picture, row, found, guess)


def outcomes(pictures: Iterable[tuple[Truth, Prediction, Guess]], terms: Terms) -> list[Outcome]:
    """Return every annotated face that counts under `terms`, and every false alarm, picture by picture."""
    return [
        outcome
        for picture, (truth, found, guess) in enumerate(pictures)
        for outcome in _of_picture(picture, truth, found, guess, match(truth, found, terms))
    ]
