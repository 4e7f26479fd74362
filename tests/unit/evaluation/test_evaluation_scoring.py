"""The definitions behind every figure of the model card."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from measured import boxes

from modelling.evaluation.scoring import Match, Prediction, Terms, Truth, box_px, iou, match, score, size_name

REFERENCE = Path(__file__).parents[4] / "shared" / "eval.py"

LEFT = (0.0, 0.0, 20.0, 20.0)
RIGHT = (100.0, 0.0, 120.0, 20.0)
NOWHERE = (300.0, 300.0, 320.0, 320.0)


def figures(truth, found, **terms):
    """The figures of one picture."""
    return score([(truth, found)], Terms(**terms))


@st.composite
def pictures(draw):
    """A picture's truth and what was found in it."""
    faces = draw(st.lists(st.tuples(boxes(), st.sampled_from(["mask", "no_mask", "incorrect", "ignore"])), max_size=7))
    label = st.sampled_from(["mask", "no_mask", "incorrect", "unknown"])
    found = draw(st.lists(st.tuples(boxes(), st.integers(0, 20), label), max_size=7, unique_by=lambda row: row[1]))
    truth = Truth([box for box, _ in faces], [name for _, name in faces])
    return truth, Prediction([b for b, _, _ in found], [s / 20 for _, s, _ in found], [name for _, _, name in found])


def test_equal_boxes_overlap_wholly():
    """The IoU of a box with itself is 1."""
    assert iou(LEFT, LEFT) == 1.0


def test_apart_or_touching_boxes_do_not_overlap():
    """Boxes that share no area have IoU 0, a common edge included."""
    assert iou(LEFT, RIGHT) == 0.0
    assert iou(LEFT, (20.0, 0.0, 40.0, 20.0)) == 0.0


def test_half_overlap():
    """A box shifted by half its width overlaps by a third."""
    assert iou(LEFT, (10.0, 0.0, 30.0, 20.0)) == pytest.approx(1 / 3)


@given(boxes(), boxes())
def test_iou_is_symmetric(one, other):
    """IoU does not depend on the order and lies in 0..1."""
    assert iou(one, other) == pytest.approx(iou(other, one))
    assert 0 <= iou(one, other) <= 1


@pytest.mark.parametrize(
    ("size", "name"),
    [(0, "0-12"), (11.99, "0-12"), (12, "12-20"), (20, "20-32"), (63.9, "32-64"), (127, "64-128"), (128, "128-")],
)
def test_size_names(size, name):
    """A bucket holds its lower limit and not its upper one; the last is open."""
    assert size_name(size) == name


def test_box_size():
    """The size of a box is the root of its area."""
    assert box_px((0, 0, 9, 16)) == pytest.approx(12)


def test_match_takes_the_best_overlap():
    """A prediction takes the face that it overlaps most."""
    truth = Truth([LEFT, (2.0, 0.0, 22.0, 20.0)], ["mask", "mask"])
    assert match(truth, Prediction([(2.0, 0.0, 22.0, 20.0)], [0.9]), Terms()).hits == {1: 0}


def test_match_takes_a_face_once():
    """A second prediction on the same face is a false alarm, and the better score wins."""
    found = Prediction([LEFT, LEFT], [0.6, 0.9])
    assert match(Truth([LEFT], ["mask"]), found, Terms()) == Match({0: 1}, [0], frozenset())


def test_low_score_does_not_count():
    """A prediction under the threshold is neither hit nor false alarm; at the threshold it counts."""
    found = Prediction([LEFT, RIGHT], [0.49, 0.5])
    assert match(Truth([LEFT], ["mask"]), found, Terms(threshold=0.5)) == Match({}, [1], frozenset())


def test_ignored_faces_count_for_nothing():
    """A face labelled ignore is no miss, and a prediction on it is no false alarm."""
    result = figures(Truth([LEFT, RIGHT], ["ignore", "mask"]), Prediction([LEFT, RIGHT], [0.9, 0.8], ["mask"] * 2))
    assert (result["faces"], result["precision"], result["recall"]) == (1, 1.0, 1.0)


def test_small_faces_are_ignored_on_demand():
    """Faces under min_px are treated like ignored ones."""
    small = (200.0, 0.0, 210.0, 10.0)
    truth, found = Truth([LEFT, small], ["mask", "mask"]), Prediction([small], [0.9])
    assert figures(truth, found)["faces"] == 2
    strict = figures(truth, found, min_px=12)
    assert (strict["faces"], strict["recall"], strict["false_per_image"]) == (1, 0.0, 0.0)


def test_precision_recall_f1():
    """One hit, one false alarm and one miss give a half of everything."""
    result = figures(Truth([LEFT, RIGHT], ["mask", "mask"]), Prediction([LEFT, NOWHERE], [0.9, 0.9], ["mask", "mask"]))
    assert (result["precision"], result["recall"], result["f1"]) == pytest.approx((0.5, 0.5, 0.5))


def test_recall_by_size_and_class():
    """Recall is broken down by size, class and both, with the number of faces beside it."""
    truth = Truth([LEFT, RIGHT], ["mask", "no_mask"])
    by = figures(truth, Prediction([LEFT], [0.9]))["recall_by"]
    assert by["all"] == (0.5, 2)
    assert by["class mask"] == by["size 20-32 mask"] == (1.0, 1)
    assert by["class no_mask"] == (0.0, 1)


def test_unknown_is_found_but_not_judged():
    """An unknown face counts as found, stays out of accuracy and rate, and its share is told."""
    truth = Truth([LEFT, RIGHT], ["no_mask", "mask"])
    result = figures(truth, Prediction([LEFT, RIGHT], [0.9, 0.9], ["unknown", "mask"]))
    assert result["recall"] == 1.0
    assert result["unknown_share"] == 0.5
    assert result["confusion gt->pred"] == {"mask->mask": 1}
    assert result["mask_rate"]["predicted"] == 100.0


def test_incorrect_counts_as_no_mask():
    """For accuracy and rate a mask worn incorrectly is no mask; an annotated incorrect face is not asked."""
    truth = Truth([LEFT, RIGHT], ["no_mask", "incorrect"])
    result = figures(truth, Prediction([LEFT, RIGHT], [0.9, 0.9], ["incorrect", "mask"]))
    assert result["mask_acc_on_found"] == 1.0
    assert (result["mask_rate"]["true"], result["mask_rate"]["predicted"]) == (0.0, 50.0)


def test_balanced_accuracy_weighs_classes_alike():
    """Three right masks and one wrong bare face: accuracy 3/4, balanced 1/2."""
    spots = [(100.0 * i, 0.0, 100.0 * i + 20, 20.0) for i in range(4)]
    truth = Truth(spots, ["mask"] * 3 + ["no_mask"])
    result = figures(truth, Prediction(spots, [0.9] * 4, ["mask"] * 4))
    assert (result["mask_acc_on_found"], result["mask_balanced_acc"]) == (0.75, 0.5)


def test_crowd_error_needs_five_faces():
    """Only pictures with five counted faces have a mask rate of their own; finding nobody there is a rate of 0."""
    spots = [(100.0 * i, 0.0, 100.0 * i + 20, 20.0) for i in range(5)]
    crowd = (Truth(spots, ["mask"] * 5), Prediction([], [], []))
    few = (Truth(spots[:4], ["mask"] * 4), Prediction(spots[:4], [0.9] * 4, ["mask"] * 4))
    rate = score([crowd, few], Terms())["mask_rate"]
    assert (rate["images_with_5_faces"], rate["mean_abs_error_pp_images_with_5_faces"]) == (1, 100.0)


@pytest.mark.parametrize(("there", "percent"), [(1, 100.0), (2, 0.0), (4, -50.0)])
def test_the_count_error_has_a_sign(there, percent):
    """Two faces are told of so many: too many is more than 0."""
    spots = [(100.0 * i, 0.0, 100.0 * i + 20, 20.0) for i in range(4)]
    truth, found = Truth(spots[:there], ["mask"] * there), Prediction(spots[:2], [0.9] * 2, ["mask"] * 2)
    assert figures(truth, found)["mask_rate"]["signed_count_error_pct"] == percent


def test_labels_are_optional():
    """Predictions without labels are scored as faces only."""
    result = figures(Truth([LEFT], ["mask"]), Prediction([LEFT], [0.9]))
    assert "mask_rate" not in result
    assert result["recall"] == 1.0


def test_nothing_at_all():
    """No pictures give zeros and no division by zero."""
    result = score([], Terms())
    assert (result["images"], result["faces"], result["f1"]) == (0, 0, 0.0)


@given(st.lists(pictures(), max_size=4))
def test_shares_are_shares(pairs):
    """Every share lies in 0..1 and hits never exceed faces."""
    result = score(pairs, Terms(threshold=0.3))
    for key in ("precision", "recall", "f1", "unknown_share", "mask_acc_on_found", "mask_balanced_acc"):
        assert 0 <= result.get(key, 0) <= 1 + 1e-9
    assert all(0 <= share <= 1 for share, _ in result["recall_by"].values())


@given(pictures())
def test_matches_are_one_to_one(picture):
    """No face and no prediction is matched twice, and nothing is both hit and false alarm."""
    result = match(*picture, Terms(threshold=0.2))
    assert len(set(result.hits.values())) == len(result.hits)
    assert not set(result.hits.values()) & set(result.false_alarms)
    assert not set(result.hits) & result.ignored


@examples(50)
@given(st.lists(pictures(), min_size=1, max_size=3), st.permutations(range(3)))
def test_order_of_pictures_does_not_matter(pairs, order):
    """The figures are the same whatever the order of the pictures."""
    shuffled = [pairs[i] for i in order if i < len(pairs)]
    one, other = score(pairs, Terms(0.3)), score(shuffled, Terms(0.3))
    assert one["f1"] == other["f1"]
    assert one.get("confusion gt->pred") == other.get("confusion gt->pred")


@given(st.lists(boxes(), max_size=5, unique=True))
def test_truth_found_is_perfect(faces):
    """Predicting exactly the truth misses nothing."""
    labels = ["mask"] * len(faces)
    result = score([(Truth(faces, labels), Prediction(faces, [0.9] * len(faces), labels))], Terms(iou=0.99))
    assert result["recall"] == (1.0 if faces else 0.0)


def close(one, other):
    """Equal up to rounding, through dicts and tuples."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(close, one, other))
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


@pytest.fixture(scope="module")
def reference():
    """The reference script, where it is at hand."""
    if not REFERENCE.is_file():
        pytest.skip("the reference script is not at hand")
    spec = importlib.util.spec_from_file_location("reference_eval", REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@examples(50)
@given(st.lists(pictures(), min_size=1, max_size=5), st.sampled_from([0.0, 0.3, 0.5]), st.sampled_from([0, 12, 20]))
def test_same_numbers_as_the_reference(reference, pairs, threshold, min_px):
    """Every figure equals that of the reference script, keys included."""
    gt = [{"file": str(i), "boxes": t.boxes, "label": t.labels} for i, (t, _) in enumerate(pairs)]
    pred = {str(i): {"boxes": p.boxes, "scores": p.scores, "label": p.labels} for i, (_, p) in enumerate(pairs)}
    assert close(score(pairs, Terms(threshold, min_px=min_px)), reference.evaluate(gt, pred, threshold, 0.4, min_px))
