"""Both networks' view of what is worn, put together and made honest."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from modelling.evaluation.scoring import Terms, Truth  # noqa: E402
from modelling.training.blend import CROP_ALONE, HEAD_ALONE, Blend, fitted  # noqa: E402
from modelling.training.calibrate import Measured, fitted_blend  # noqa: E402
from modelling.training.photos import CLASSES  # noqa: E402

BOTH = Blend(1.0, 1.0)
NOTHING = torch.zeros(400, 3)


def said(blend, head, crop):
    """The probabilities [N, 3] that a blend gives."""
    return (blend.head * head + blend.crop * crop + torch.tensor(blend.bias)).softmax(1)


def test_boastful_logits_are_cooled():
    """Logits that are right half of the time and claim certainty come out about half likely."""
    classes = torch.tensor([0, 1] * 200)
    boastful = torch.tensor([[8.0, 0, 0]] * 400)
    blend = fitted(NOTHING, boastful, classes, CROP_ALONE)
    assert said(blend, NOTHING, boastful)[0, 0].item() == pytest.approx(0.5, abs=0.03)


def test_honest_logits_are_left():
    """Logits that say how often they are right say the same afterwards."""
    honest = torch.log(torch.tensor([[0.8, 0.15, 0.05]] * 400))
    classes = torch.tensor([0] * 320 + [1] * 60 + [2] * 20)
    found = said(fitted(honest, NOTHING, classes, HEAD_ALONE), honest, NOTHING)
    assert found[0].tolist() == pytest.approx([0.8, 0.15, 0.05], abs=0.03)


def test_rare_class_gets_its_share():
    """Where training over-drew a class, the bias brings it back to how often it is right."""
    classes = torch.tensor([0] * 360 + [2] * 40)
    undecided = torch.tensor([[1.0, -4.0, 1.0]] * 400)
    found = said(fitted(undecided, NOTHING, classes, HEAD_ALONE), undecided, NOTHING)
    assert found[0, 2].item() == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(("use", "unused"), [(HEAD_ALONE, "crop"), (CROP_ALONE, "head")])
def test_unused_network_has_no_weight(use, unused):
    """A network that may not be used is not, however right it is."""
    classes = torch.randint(0, 3, (400,), generator=torch.Generator().manual_seed(1))
    right = torch.nn.functional.one_hot(classes, 3).float() * 5
    assert getattr(fitted(right, right, classes, use), unused) == 0


def test_the_better_network_weighs_more():
    """Of one that is right and one that guesses, the guessing one hardly counts."""
    dice = torch.Generator().manual_seed(2)
    classes = torch.randint(0, 3, (400,), generator=dice)
    right = torch.nn.functional.one_hot(classes, 3) * 2 + torch.randn(400, 3, generator=dice)
    blend = fitted(right, torch.randn(400, 3, generator=dice), classes, BOTH)
    assert blend.head > 5 * abs(blend.crop)


def test_no_network_votes_against_itself():
    """Of two networks that err alike the better one is believed; the other gets no negative weight to undo it."""
    dice = torch.Generator().manual_seed(3)
    classes = torch.randint(0, 3, (300,), generator=dice)
    noise = torch.randn(300, 3, generator=dice)
    head = torch.nn.functional.one_hot(classes, 3) + noise
    crop = 0.2 * torch.nn.functional.one_hot(classes, 3) + noise + 0.1 * torch.randn(300, 3, generator=dice)
    blend = fitted(head, crop, classes, BOTH)
    assert blend.head > 0
    assert blend.crop >= 0


def test_every_dataset_counts_alike():
    """Nine faces of one source say the same as nine hundred of another."""
    classes = torch.tensor([0] * 900 + [1] * 9)
    undecided = torch.zeros(909, 3)
    even = fitted(undecided, undecided, classes, HEAD_ALONE, torch.tensor([1 / 900] * 900 + [1 / 9] * 9))
    assert said(even, undecided, undecided)[0, :2].tolist() == pytest.approx([0.5, 0.5], abs=0.03)


def test_nobody_found():
    """Without faces nothing is fitted, and nothing breaks."""
    assert fitted(torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0, dtype=torch.long), BOTH) == BOTH
    nobody = [Measured("a", Truth([], []), [], [], np.zeros((0, 3), np.float32))]
    assert fitted_blend(nobody, nobody, Terms(0.5, min_px=12), HEAD_ALONE) == HEAD_ALONE


def test_only_found_faces_are_fitted_on():
    """A false alarm's probabilities do not enter: what it says of itself is right about nothing."""
    face, nothing = (0.0, 0.0, 30.0, 30.0), (90.0, 0.0, 120.0, 30.0)
    truth = Truth([face], ["mask"])

    def seen(alarm):
        rows = np.array([[0.9, 0.05, 0.05], alarm], np.float32)
        return [Measured("a", truth, [face, nothing], [0.9, 0.8], rows)]

    terms = Terms(0.5, min_px=12)
    one, other = seen((0.1, 0.8, 0.1)), seen((0.1, 0.1, 0.8))
    assert fitted_blend(one, one, terms, BOTH) == fitted_blend(other, other, terms, BOTH)


@pytest.mark.parametrize(("badly", "even"), [(20, 1 / 3), (2, 2 / 22)])
def test_a_rare_class_counts_as_the_others(badly, even):
    """Twenty badly worn masks as much as two hundred good ones; of two faces each as much as if there were ten."""
    labels = ["mask"] * 200 + ["no_mask"] * 50 + ["incorrect"] * badly
    boxes = [(50.0 * place, 0.0, 50.0 * place + 30, 30.0) for place in range(len(labels))]
    undecided = np.full((len(labels), 3), 1 / 3, np.float32)
    seen = [Measured("a", Truth(boxes, labels), boxes, [0.9] * len(labels), undecided)]
    blend = fitted_blend(seen, seen, Terms(0.5, min_px=12), HEAD_ALONE)
    assert torch.tensor(blend.bias).softmax(0)[CLASSES.index("incorrect")].item() == pytest.approx(even, abs=0.03)
