"""What became of every face: found or missed, what was said of it; and the false alarms. One list for all tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.inference.core.scoring import Corners, Match, Prediction, Terms, Truth, iou, match


@dataclass(frozen=True)
class Guess:
    """What the classifier said of the boxes of one picture, one entry a box.

    `labels` are mask, no_mask, incorrect or unknown, `likeliest` the same without regard to limits (unknown only where
    the probabilities are none), `confidences` how sure it was of mask or not, 0 to 1.
    """

    labels: Sequence[str]
    likeliest: Sequence[str]
    confidences: Sequence[float]


@dataclass(frozen=True)
class Outcome:
    """One annotated face, or one false alarm.

    `picture` is its number, `box` the annotated box (of a false alarm the predicted one), `truth` its annotated label,
    None for a false alarm. `said`, `likeliest` and `confidence` are the classifier's; `said` is None for a missed
    face. `score` is the detector's; of a missed face the best of the boxes on it that scored too little, 0 for none.
    """

    picture: int
    box: Corners
    truth: str | None
    said: str | None
    likeliest: str | None
    confidence: float
    score: float

    @property
    def is_found(self) -> bool:
        """An annotated face that was found."""
        return self.truth is not None and self.said is not None

    @property
    def is_side_right(self) -> bool:
        """Whether mask or no mask, whichever is likelier, is what was annotated; a badly worn mask is no mask."""
        return self.likeliest not in {None, "unknown"} and (self.likeliest == "mask") == (self.truth == "mask")

    @property
    def is_judged(self) -> bool:
        """A found face that is not unknown."""
        return self.is_found and self.said != "unknown"


def _missed(picture: int, box: Corners, label: str, found: Prediction, terms: Terms) -> Outcome:
    near = [score for other, score in zip(found.boxes, found.scores, strict=True) if iou(box, other) >= terms.iou]
    weak = [score for score in near if score < terms.threshold]
    return Outcome(picture, box, label, None, None, 0.0, max(weak, default=0.0))


def _seen(picture: int, box: Corners, label: str | None, row: int, found: Prediction, guess: Guess) -> Outcome:
    verdict = (guess.labels[row], guess.likeliest[row], guess.confidences[row])
    return Outcome(picture, box, label, *verdict, score=found.scores[row])


def _of_picture(
    picture: int, truth: Truth, found: Prediction, guess: Guess, matched: Match, terms: Terms
) -> Iterator[Outcome]:
    for face, (box, label) in enumerate(zip(truth.boxes, truth.labels, strict=True)):
        if face in matched.hits:
            yield _seen(picture, box, label, matched.hits[face], found, guess)
        elif face not in matched.ignored:
            yield _missed(picture, box, label, found, terms)
    for row in matched.false_alarms:
        yield _seen(picture, found.boxes[row], None, row, found, guess)


def outcomes(pictures: Iterable[tuple[Truth, Prediction, Guess]], terms: Terms) -> list[Outcome]:
    """Every annotated face that counts under `terms`, and every false alarm, picture by picture."""
    return [
        outcome
        for picture, (truth, found, guess) in enumerate(pictures)
        for outcome in _of_picture(picture, truth, found, guess, match(truth, found, terms), terms)
    ]
