"""The tables by size and class, and what they say about the mask rate."""

import json

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from measured import everything, face, false_alarm, missed, pictures

from modelling.evaluation.breakdown import by_size, likeliest, mask_rate, published, row, truth, unknown_effect
from modelling.evaluation.scoring import Prediction, Terms, score
from services.statistics.proportions import newcombe, wilson


def scores_of(some, threshold=0.3):
    """The reference figures of the same pictures."""
    return score([(marked, found) for marked, found, _ in some], Terms(threshold))


def test_the_counts_of_a_row():
    """Three of four faces found, one of these unknown, one of the two judged ones right."""
    result = row([face("mask", "mask"), face("mask", "no_mask"), face("no_mask", "unknown"), missed("mask")])
    assert (result["faces"], result["found"], result["recall"]) == (4, 3, 0.75)
    assert result["recall_interval"] == wilson(3, 4)
    assert result["unknown_share"] == pytest.approx(1 / 3)
    assert result["right"] == 0.5


def test_false_alarms_are_no_faces():
    """They are counted on their own and enter the rate, not the recall."""
    result = row([face("no_mask", "no_mask"), false_alarm("mask")])
    assert (result["faces"], result["false_alarms"], result["recall"]) == (1, 1, 1.0)
    assert (result["true_rate"], result["rate_error_pp"]) == (0.0, 50.0)


def test_each_class_has_its_own_figures():
    """Recall, unknown and right of masked, bare and incorrect faces, with their number."""
    classes = row([face("mask", "mask"), missed("mask"), face("no_mask", "unknown"), face("incorrect", "no_mask")])[
        "classes"
    ]
    assert (classes["mask"]["faces"], classes["mask"]["recall"], classes["mask"]["right"]) == (2, 0.5, 1.0)
    assert (classes["no_mask"]["unknown_share"], classes["no_mask"]["right"]) == (1.0, None)
    assert (classes["incorrect"]["recall"], classes["incorrect"]["right"]) == (1.0, 1.0)


@pytest.mark.parametrize(("said", "right"), [("incorrect", 1.0), ("no_mask", 1.0), ("mask", 0.0)])
def test_an_incorrect_face_is_right_when_it_counts_as_not_masked(said, right):
    """For a mask worn incorrectly right means: not taken for masked. The overall figure leaves these faces out."""
    result = row([face("incorrect", said)])
    assert result["classes"]["incorrect"]["right"] == right
    assert result["right"] is None


@pytest.mark.parametrize(("said", "right"), [("incorrect", 1.0), ("no_mask", 1.0), ("mask", 0.0)])
def test_a_bare_face_is_right_when_it_counts_as_not_masked(said, right):
    """Only mask or no mask is asked."""
    assert row([face("no_mask", said)])["right"] == right


def test_masked_and_bare_are_compared():
    """The difference of their recalls in points, with Newcombe's interval; incorrect faces are neither."""
    some = [
        *[face("mask")] * 9,
        missed("mask"),
        *[face("no_mask", "no_mask")] * 3,
        *[missed("no_mask")] * 7,
        missed("incorrect"),
    ]
    difference = row(some)["recall_difference"]
    assert difference["points"] == pytest.approx(60)
    assert difference["interval"] == pytest.approx([100 * end for end in newcombe((9, 10), (3, 10))])
    assert difference["interval"] == pytest.approx([17.05, 80.90], abs=0.01)


def test_one_class_alone_cannot_be_compared():
    """Without bare faces there is no difference."""
    assert row([face("mask"), missed("incorrect")])["recall_difference"] is None


def test_misses_bias_the_rate():
    """Two masked and two bare faces, one bare face missed: 67 % instead of 50 %."""
    result = row([face("mask"), face("mask"), face("no_mask", "no_mask"), missed("no_mask")])
    assert (result["true_rate"], result["rate_error_pp"]) == (50.0, pytest.approx(100 / 6))


def test_unknown_faces_stay_out_of_the_published_rate():
    """With and without unknowns: 50 % true, 100 % with the unknown face left out, 50 % with its likeliest verdict."""
    result = row([face("mask", "mask"), face("no_mask", "unknown")])
    assert (result["rate_error_pp"], result["rate_error_likeliest_pp"]) == (50.0, 0.0)


def test_nothing_to_divide_by():
    """A row of nothing says None, not zero."""
    result = row([])
    assert result["faces"] == 0
    shares = ("recall", "recall_interval", "unknown_share", "right", "true_rate", "rate_error_pp", "recall_difference")
    assert [result[name] for name in shares] == [None] * 7


def test_sizes_in_order():
    """One row for each size with annotated faces, small ones first; a false alarm counts where its own box belongs."""
    rows = by_size([face(px=200), missed(px=15), face(px=15), false_alarm(px=15), false_alarm(px=40)])
    assert [(one["size"], one["faces"], one["false_alarms"]) for one in rows] == [("12-20", 2, 1), ("128-", 1, 0)]


@examples(40)
@given(st.lists(pictures(), max_size=4))
def test_sizes_add_up(some):
    """Faces, found ones and those of each class add up to the total, and everything can be written as JSON."""
    found = everything(some)
    rows, total = by_size(found), row(found)
    for key in ("faces", "found"):
        assert sum(one[key] for one in rows) == total[key]
        assert sum(counts[key] for one in rows for counts in one["classes"].values()) == total[key]
    assert "NaN" not in json.dumps([*rows, total, unknown_effect(found)])


@examples(40)
@given(st.lists(pictures(), max_size=4))
def test_sizes_and_classes_are_those_of_the_reference(some):
    """Recall by size and class equals `recall_by` of the reference figures."""
    for one in by_size(everything(some)):
        for name, counts in one["classes"].items():
            if counts["faces"]:
                expected = scores_of(some)["recall_by"][f"size {one['size']} {name}"]
                assert (counts["recall"], counts["faces"]) == (pytest.approx(expected[0]), expected[1])


@examples(40)
@given(st.lists(pictures(), max_size=4))
def test_the_total_is_the_reference(some):
    """Right, unknown, true rate and its error equal the reference figures."""
    expected, total = scores_of(some), row(everything(some))
    if "mask_rate" in expected and total["right"] is not None:
        assert total["right"] == pytest.approx(expected["mask_acc_on_found"])
        assert total["unknown_share"] == pytest.approx(expected["unknown_share"])
        assert total["true_rate"] == pytest.approx(expected["mask_rate"]["true"])
        assert abs(total["rate_error_pp"]) == pytest.approx(expected["mask_rate"]["abs_error_pp"])


@examples(40)
@given(st.lists(pictures(), max_size=4))
def test_the_effect_of_unknown_is_two_reference_runs(some):
    """`left_out` and `likeliest` are the reference figures of the verdicts and of the likeliest classes."""
    effect = unknown_effect(everything(some))
    forced = [(marked, Prediction(found.boxes, found.scores, guess.likeliest), guess) for marked, found, guess in some]
    for name, pairs in (("left_out", some), ("likeliest", forced)):
        rate = scores_of(pairs).get("mask_rate")
        if rate is not None:
            assert effect["true"] == pytest.approx(rate["true"])
            assert effect[name]["rate"] == pytest.approx(rate["predicted"])
            assert abs(effect[name]["error_pp"]) == pytest.approx(rate["abs_error_pp"])
            crowds = effect[name]["mean_abs_error_pp_images_with_5_faces"] or 0
            assert crowds == pytest.approx(rate["mean_abs_error_pp_images_with_5_faces"])


def test_unknown_is_cheaper_than_wrong():
    """A masked face that would have been called bare is better left out: 50 % true, 50 % published, 25 % otherwise."""
    sure = [face("mask", "mask"), face("no_mask", "no_mask")]
    effect = unknown_effect(
        [*sure, face("mask", "unknown", likeliest="no_mask"), face("no_mask", "unknown", likeliest="no_mask")]
    )
    assert (effect["true"], effect["left_out"]["rate"], effect["likeliest"]["rate"]) == (50.0, 50.0, 25.0)
    assert (effect["left_out"]["error_pp"], effect["likeliest"]["error_pp"]) == (0.0, -25.0)
    assert (effect["unknown"], effect["likeliest_right"]) == (2, 0.5)


def test_an_unknown_false_alarm_is_no_unknown_face():
    """It is left out of the published rate like one, and is not counted among the found faces."""
    effect = unknown_effect([face("mask"), false_alarm("unknown", likeliest="no_mask")])
    assert effect["unknown"] == 0
    assert (effect["left_out"]["rate"], effect["likeliest"]["rate"]) == (100.0, 50.0)


def test_a_face_without_any_probability_stays_unknown():
    """Where the classifier gave no number, there is no likeliest verdict to try."""
    lost = face("no_mask", "unknown", likeliest="unknown")
    assert (published(lost), likeliest(lost)) == (None, None)
    effect = unknown_effect([face("mask"), lost])
    assert (effect["unknown"], effect["likeliest_right"], effect["likeliest"]["rate"]) == (1, None, 100.0)


def test_only_crowds_have_a_rate_of_their_own():
    """The mean error of a picture's rate is over pictures with five annotated faces; finding nobody there is 0 %."""
    crowd = [missed("mask", picture=1)] * 5
    effect = unknown_effect([*crowd, *[face("mask", "no_mask", picture=2)] * 4])
    assert effect["left_out"]["mean_abs_error_pp_images_with_5_faces"] == 100.0
    assert unknown_effect([face("mask")])["left_out"]["mean_abs_error_pp_images_with_5_faces"] is None


def test_the_rate_counts_incorrect_as_not_masked():
    """Mask / all, as everywhere."""
    some = [face("mask"), face("incorrect", "incorrect"), face("no_mask", "no_mask"), missed("mask")]
    assert mask_rate(some, truth) == 50.0
    assert mask_rate(some, published) == pytest.approx(100 / 3)
    assert mask_rate([], truth) is None
