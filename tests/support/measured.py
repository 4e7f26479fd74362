"""Hypothesis strategies for measurements: what a person marked, and what a model saw in the same picture."""

from hypothesis import strategies as st

from modelling.evaluation.outcomes import Guess, Outcome, outcomes
from modelling.evaluation.scoring import Prediction, Terms, Truth

TRUE_LABELS = ("mask", "no_mask", "incorrect")
SAID = (*TRUE_LABELS, "unknown")


@st.composite
def boxes(draw):
    """A box with an area, on a coarse grid so that overlaps are common."""
    x, y = draw(st.integers(0, 6)) * 10, draw(st.integers(0, 6)) * 10
    return (float(x), float(y), float(x + draw(st.integers(1, 8)) * 5), float(y + draw(st.integers(1, 8)) * 5))


@st.composite
def pictures(draw):
    """One picture: what was marked, what was found, and what the classifier says of each box."""
    faces = draw(st.lists(st.tuples(boxes(), st.sampled_from([*TRUE_LABELS, "ignore"])), max_size=8))
    box = st.tuples(boxes(), st.integers(0, 20), st.sampled_from(TRUE_LABELS), st.floats(0.34, 1), st.booleans())
    found = draw(st.lists(box, max_size=8, unique_by=lambda row: row[1]))
    labels = ["unknown" if unsure else likeliest for _, _, likeliest, _, unsure in found]
    guess = Guess(labels, [row[2] for row in found], [row[3] for row in found])
    prediction = Prediction([row[0] for row in found], [row[1] / 20 for row in found], labels)
    return Truth([b for b, _ in faces], [name for _, name in faces]), prediction, guess


def face(truth="mask", said="mask", **fields):
    """An outcome: by default a masked face of 20 px that was found and judged rightly and surely."""
    likeliest = fields.pop("likeliest", truth if said == "unknown" else said)
    side = fields.pop("px", 20.0)
    usual = {"picture": 0, "box": (0.0, 0.0, side, side), "confidence": 0.9, "face": 0}
    return Outcome(truth=truth, said=said, likeliest=likeliest, **{**usual, **fields})


def missed(truth="mask", **fields):
    """An annotated face that was not found."""
    return face(truth, None, likeliest=None, **{"confidence": 0.0, **fields})


def false_alarm(said="mask", **fields):
    """Something that was taken for a face."""
    return face(None, said, **{"likeliest": said, "face": None, **fields})


def everything(some, threshold=0.3, min_px=0.0):
    """The outcomes of pictures."""
    return outcomes(some, Terms(threshold, min_px=min_px))
