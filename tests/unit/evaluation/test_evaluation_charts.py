"""The charts: what is drawn, and that anything measurable can be drawn."""

import numpy as np
import pytest
from fonts import open_fonts
from matplotlib.figure import Figure
from measured import face, false_alarm, missed
from PIL import Image

from modelling.evaluation.charts import BARE, MASKED, recall_chart, reliability_chart
from modelling.evaluation.measuring import details
from services.sites.proportions import wilson

SOME = [
    *[face("mask", "mask", px=15)] * 8,
    *[missed("mask", px=15)] * 2,
    *[face("no_mask", "no_mask", px=15, confidence=0.72)] * 3,
    missed("no_mask", px=15),
    *[face("mask", "no_mask", px=50, confidence=0.65)] * 4,
    face("incorrect", "unknown", px=50, confidence=0.5),
    false_alarm("mask", px=15),
]


def figures(*some):
    """What a measurement says about these outcomes."""
    return {**details(some), "unknown_below": 0.6}


@pytest.fixture(autouse=True, scope="module")
def _fonts():
    open_fonts()


@pytest.fixture(name="drawn")
def _drawn(monkeypatch):
    """The figures that were to be saved; that files come of them is tried apart, since drawing is most of the work."""
    saved = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
    return saved


def points(axes):
    """The points of each series with intervals: name -> [(x, y)]."""
    return {
        box.get_label(): [(float(x), float(y)) for x, y in box.lines[0].get_xydata()]
        for box in axes.containers
        if hasattr(box, "has_yerr")
    }


def test_reliability_shows_confidence_against_share_right(tmp_path, drawn):
    """One point for each bin with faces, and below it how many faces it holds."""
    reliability_chart(figures(*SOME), tmp_path / "r.png")
    upper, lower = drawn[0].axes
    (series,) = points(upper).values()
    assert series == [
        (pytest.approx(50), pytest.approx(100)),
        (pytest.approx(65), pytest.approx(0)),
        (pytest.approx(72), pytest.approx(100)),
        (pytest.approx(90), pytest.approx(100)),
    ]
    assert [text.get_text() for text in lower.texts] == ["1", "4", "3", "8"]


def test_reliability_says_how_far_off(tmp_path, drawn):
    """The title carries the expected calibration error in points."""
    values = figures(*SOME)
    reliability_chart(values, tmp_path / "r.png")
    assert f"{100 * values['calibration']['ece']:.1f} points off" in drawn[0].axes[0].get_title(loc="left")


def test_recall_shows_masked_beside_bare(tmp_path, drawn):
    """A point for each size that has faces of the class; no point where there is none."""
    recall_chart(figures(*SOME), tmp_path / "s.png")
    (axes,) = drawn[0].axes
    seen = points(axes)
    assert [y for _, y in seen["masked"]] == [pytest.approx(80), pytest.approx(100)]
    assert [y for _, y in seen["bare"]] == [pytest.approx(75)]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["12 to 20 px\n10 masked\n4 bare", "32 to 64 px\n4 masked\n0 bare"]


def test_recall_shows_wilsons_interval(tmp_path, drawn):
    """8 of 10: the bar reaches from 49 to 94 %."""
    recall_chart(figures(*SOME), tmp_path / "s.png")
    (box,) = [box for box in drawn[0].axes[0].containers if box.get_label() == "masked"]
    (bars,) = box.lines[2]
    assert [y for _, y in bars.get_segments()[0]] == pytest.approx([100 * end for end in wilson(8, 10)])


@pytest.mark.parametrize("chart", [reliability_chart, recall_chart])
@pytest.mark.parametrize(
    "some",
    [[], [missed()], [false_alarm()], [face("incorrect", "mask")], [face("mask", "unknown", confidence=0.0)], SOME],
    ids=["nobody", "missed", "false alarm", "incorrect", "no confidence", "some"],
)
def test_anything_can_be_drawn(tmp_path, chart, some):
    """A readable picture on white, whatever was measured, without a warning."""
    path = tmp_path / "chart.png"
    chart(figures(*some), path)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert min(pixels.shape[:2]) > 500
    assert (pixels[0, 0] == 255).all()
    assert pixels.min() < 100


@pytest.mark.parametrize("colour", [MASKED, BARE])
def test_both_classes_can_be_seen(tmp_path, colour):
    """Each class has its colour in the picture."""
    path = tmp_path / "chart.png"
    recall_chart(figures(*SOME), path)
    wanted = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
    assert (np.asarray(Image.open(path).convert("RGB")) == wanted).all(axis=2).sum() > 50
