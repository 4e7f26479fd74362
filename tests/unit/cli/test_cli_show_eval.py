"""The tables of `moretta eval`, as they are read."""

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from measured import everything, face, false_alarm, missed, pictures
from rich.console import Console

from modelling.evaluation.breakdown import row
from modelling.evaluation.measuring import details
from modelling.evaluation.scoring import Terms, score
from operate.evaluation import scores


def values_of(some, threshold=0.3):
    """The figures of pictures, as `evaluate_folder` puts them together."""
    terms = {"model": "moretta-test", "min_px": 12.0, "long_side": 640, "threshold": threshold, "unknown_below": 0.6}
    return {
        **score([(marked, found) for marked, found, _ in some], Terms(threshold)),
        **details(everything(some)),
        **terms,
    }


def text(values, width=120):
    """What the terminal shows."""
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(scores(values))
    return captured.get()


def line(shown, words):
    """The cells of the only row that starts with these words."""
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in shown.splitlines() if "│" in row]
    (cells,) = [row for row in rows if row[0] == words]
    return cells[1:]


FIGURES = {
    "model": "moretta-test",
    "images": 4,
    "long_side": 640,
    "min_px": 12.0,
    "faces": 8,
    "recall": 0.875,
    "precision": 0.7,
    "f1": 0.7777,
    "false_per_image": 0.75,
    "unknown_share": 0.125,
    "mask_acc_on_found": 0.98,
    "mask_balanced_acc": 0.97,
    "mask_rate": {"true": 62.5, "predicted": 66.04, "images_with_5_faces": 0, "signed_count_error_pct": -6.25},
    **details(
        [face("mask"), face("no_mask", "unknown", confidence=0.5), missed("no_mask"), false_alarm("mask", px=50)]
    ),
}


def test_two_models_stand_beside_each_other():
    """All faces and each size with both; AP50 where it was computed; what the errors do to the rate is left out."""
    other = FIGURES | {"model": "mine-1", "recall": 0.5, "ap50": 0.25} | details([missed("mask"), face("no_mask")])
    shown = text(FIGURES | {"ap50": 0.75, "compared": other})
    assert "moretta-test at 640 px and mine-1 at 640 px, on 4 pictures" in shown
    assert line(shown, "found, of the annotated faces (recall)") == ["87.5%", "50.0%"]
    assert line(shown, "average precision over all scores (AP50)") == ["75.0%", "25.0%"]
    assert line(shown, "all") == ["masked", "1", "100.0%", "0.0%", "100.0%", "–"]
    assert "What that does to the mask rate" not in shown
    assert "AP50" not in text(FIGURES)
    silent = {key: value for key, value in other.items() if key != "mask_rate"}
    assert line(text(FIGURES | {"compared": silent}), "mask rate by the annotations") == ["62.5%", "–"]


def test_parts_of_a_folder_stand_below_the_worst_first():
    """By source and by pose where they are annotated; of two models they are left out."""
    gate, hall = [face("mask"), missed("no_mask")], [face("mask")]
    parts = {"by_source": [{"name": "hall", **row(hall)}, {"name": "[/gate]", **row(gate)}], "by_pose": []}
    shown = text(FIGURES | parts)
    assert line(shown, "[/gate]") == ["2", "100.0%", "0.0%", "100.0%", "+50.0"]
    assert shown.index("[/gate]") < shown.index("hall")
    assert "By source" in shown
    assert "By pose" not in shown
    assert "By source" not in text(FIGURES | parts | {"compared": FIGURES})


CROWD = [*[face("mask")] * 4, missed("no_mask")]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("annotated faces", "8"),
        ("found, of the annotated faces (recall)", "87.5%"),
        ("really faces, of what was found (precision)", "70.0%"),
        ("false alarms per picture", "0.75"),
        ("left unknown, of the found faces", "12.5%"),
        ("right about mask / no mask, of the found and judged faces", "98.0%"),
        ("confidence too high or too low, on average (ECE, points)", "30.0"),
        ("mask rate by the annotations", "62.5%"),
        ("its error (points)", "+66.7"),
        ("its error if unknown faces got their likeliest verdict", "+33.3"),
        ("judged faces, more (+) or fewer (-) than annotated", "-6.2%"),
    ],
)
def test_figures_in_words(words, value):
    """Each figure with what it means."""
    assert line(text(FIGURES), words) == [value]


def test_what_was_measured_is_the_title():
    """Model, pictures, size and the least face."""
    assert "moretta-test at 640 px, on 4 pictures; faces of at least 12 px" in text(FIGURES)


def test_pictures_with_a_rate_of_their_own():
    """Where there are pictures of five faces, their mean error is told, with and without unknown faces."""
    rate = {**FIGURES["mask_rate"], "images_with_5_faces": 1}
    shown = text({**FIGURES, "unknown_effect": details(CROWD)["unknown_effect"], "mask_rate": rate})
    assert line(shown, "mean error of a picture's rate, if 5 faces or more (1 such)") == ["20.0"]
    assert line(shown, "the same if unknown faces got their likeliest verdict") == ["20.0"]
    assert "error of a picture's rate" not in text(FIGURES)


def test_by_size_and_class():
    """Number, found, unknown and right of each class; a dash where nobody was found."""
    rows = [row for row in text(FIGURES).splitlines() if "│ bare" in row]
    assert [cell.strip() for cell in rows[0].split("│")[2:-1]] == ["bare", "2", "50.0%", "100.0%", "–"]
    assert len(rows) == 2  # its size, and all


def test_the_bias_by_size():
    """The difference between masked and bare faces with its interval, and both errors of the rate."""
    rows = [row for row in text(FIGURES).splitlines() if "(" in row and "to +" in row]
    cells = [cell.strip() for cell in rows[0].split("│")[1:-1]]
    assert cells[:2] == ["20 to 32 px", "3"]
    assert cells[2].startswith("+50.0 (")
    assert cells[3:] == ["+66.7", "+16.7"]


def test_zero_has_no_minus():
    """A tiny negative error is +0.0."""
    values = {**FIGURES, "total": {**FIGURES["total"], "rate_error_pp": -0.04}}
    assert "-0.0" not in text(values)


def test_without_verdicts_only_finding_is_shown():
    """If no found face was judged there is nothing to say of right and rate."""
    values = {key: value for key, value in FIGURES.items() if key != "mask_rate"}
    shown = text(values)
    assert "recall" in shown
    assert "mask rate by" not in shown


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits(width):
    """Nothing is cut off in a terminal of 80 columns."""
    shown = text(FIGURES, width)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width


@examples(40)
@given(st.lists(pictures(), max_size=3))
def test_anything_measured_can_be_shown(some):
    """No figure, however odd, breaks the tables or shows as None or nan."""
    shown = text(values_of(some))
    assert "None" not in shown
    assert "nan" not in shown
