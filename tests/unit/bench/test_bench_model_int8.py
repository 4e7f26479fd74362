"""What stays float when the model is quantised, and what it is calibrated with."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.model_int8 import Node, classifier_feeds, detector_feeds, drawn, kept_float
from modelling.evaluation.labelled import Photo


def node(name, op, inputs, outputs):
    return Node(name, op, tuple(inputs.split()), tuple(outputs.split()))


CHAIN = [
    node("cut", "Slice", "picture", "a"),
    node("first", "Conv", "a w1", "b"),
    node("relu", "Relu", "b", "c"),
    node("middle", "Conv", "c w2", "d"),
    node("pool", "MaxPool", "d", "e"),
    node("last", "Conv", "e w3", "f"),
    node("decode", "Add", "f k", "boxes"),
]


def test_the_ends_stay_float():
    """The first and the last convolution stay float, and so does all that is before and after them."""
    assert kept_float(CHAIN) == ["cut", "first", "last", "decode"]


def test_two_stems_and_three_heads():
    """Every convolution that has no other before it is a first one, every one that has none after it is a last one."""
    graph = [
        node("luma", "Conv", "y w1", "a"),
        node("chroma", "Conv", "uv w2", "b"),
        node("sum", "Add", "a b", "c"),
        node("body", "Conv", "c w3", "d"),
        node("deep", "Conv", "d w4", "e"),
        node("head8", "Conv", "d w5", "f"),
        node("head16", "Conv", "e w6", "g"),
        node("join", "Concat", "f g", "h"),
    ]
    assert kept_float(graph) == ["luma", "chroma", "head8", "head16", "join"]


def test_sides_of_the_picture_stay_whole_numbers():
    """Arithmetic on the picture's sides, taken from a value between convolutions, is left alone."""
    graph = [
        *CHAIN,
        node("shape", "Shape", "d", "s"),
        node("double", "Add", "s s", "t"),
        node("", "Identity", "t", "u"),
    ]
    assert {"shape", "double"} <= set(kept_float(graph))
    assert "" not in kept_float(graph)


def test_no_input_joins_nothing():
    """An absent optional input, an empty name, connects no nodes."""
    graph = [
        node("free", "Resize", "picture  s", "a"),
        Node("up", "Resize", ("x", "", "s"), ("",)),
        Node("other", "Resize", ("y", "", "s"), ("z",)),
        *CHAIN,
    ]
    assert {"free", "up", "other"} <= set(kept_float(graph))


@given(st.integers(1, 9))
def test_all_but_the_ends(length):
    """In a chain of convolutions exactly the inner ones are quantised."""
    graph = [node(f"n{i}", "Conv", f"v{i} w{i}", f"v{i + 1}") for i in range(length)]
    kept = {f"n{0}", f"n{length - 1}"}
    assert set(kept_float(graph)) == kept


def annotated(folder: Path, name: str, boxes=(), labels=()):
    Image.new("RGB", (320, 180), (90, 90, 90)).save(folder / name)
    return folder / name, Photo(name, 320, 180, list(boxes), list(labels))


def test_drawn():
    """The same photos every time, none twice, and all of them where there are fewer than asked for."""
    photos = [(Path(f"{n}.png"), Photo(f"{n}.png", 1, 1, [], [])) for n in range(100)]
    once = drawn(photos, 20)
    assert once == drawn(photos, 20)
    assert len({path for path, _ in once}) == 20
    assert sorted(drawn(photos, 1000)) == sorted(photos, key=lambda pair: pair[0])
    assert once != photos[:20]


def test_detector_feeds(tmp_path):
    """The detector is calibrated on whole pictures at its own size."""
    (feed,) = detector_feeds([annotated(tmp_path, "a.png")])
    assert feed["i420"].shape == (540, 640)


def test_classifier_feeds(tmp_path):
    """The classifier is calibrated on the faces that a person judged, in pixels of the picture it sees."""
    boxes, labels = [(10.0, 20.0, 30.0, 50.0), (100.0, 20.0, 130.0, 50.0)], ["mask", "ignore"]
    (feed,) = classifier_feeds([annotated(tmp_path, "a.png", boxes, labels)])
    assert feed["i420"].shape == (540, 640)
    assert feed["boxes"] == pytest.approx(np.array([[20, 40, 60, 100]], dtype=np.float32))
    assert feed["boxes"].dtype == np.float32


def test_photos_without_a_judged_face(tmp_path):
    """A photo in which nobody was judged is left out: there is nothing to cut."""
    boxes, labels = [(10.0, 20.0, 30.0, 50.0)], ["ignore"]
    photos = [annotated(tmp_path, "a.png"), annotated(tmp_path, "b.png", boxes, labels)]
    assert list(classifier_feeds(photos)) == []


def test_crowds(tmp_path):
    """A crowd does not outweigh the other photos."""
    boxes = [(float(x), 20.0, x + 8.0, 30.0) for x in range(0, 300, 10)]
    (feed,) = classifier_feeds([annotated(tmp_path, "a.png", boxes, ["mask"] * len(boxes))])
    assert len(feed["boxes"]) == 8
