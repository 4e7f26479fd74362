"""What the model's bench says about accuracy."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from bench.model_accuracy import (
    LARGE,
    LARGE_PX,
    LIMITS_PX,
    SOURCES,
    Accuracy,
    accuracy,
    by_face_size,
    measure,
    parts,
)
from modelling.evaluation.labelled import InputError, Photo
from modelling.evaluation.measuring import PredictionLine
from services.inference.model import load_model

BOX = (10.0, 10.0, 42.0, 42.0)


def photo(*faces, file="images/a.png", width=100, height=60):
    """A photo with faces, each a box and a label."""
    return Photo(file, width, height, [box for box, _ in faces], [label for _, label in faces])


def line(*found, file="images/a.png"):
    """What was seen: boxes, scores, labels."""
    return PredictionLine(file, [box for box, _, _ in found], [s for _, s, _ in found], [name for _, _, name in found])


def folder(root: Path, source: str, photos: list[Photo]) -> None:
    """Write an annotated folder with grey pictures."""
    (root / source / "images").mkdir(parents=True)
    lines = []
    for one in photos:
        Image.new("RGB", (one.width, one.height), (128, 128, 128)).save(root / source / one.file)
        lines.append(
            {"file": one.file, "width": one.width, "height": one.height, "boxes": one.boxes, "label": one.label}
        )
    (root / source / "annotations.jsonl").write_text("\n".join(map(json.dumps, lines)))


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> Path:
    """Both sources with two photos each, of which `a` is in the validation part; one of them is large."""
    faces = [((10.0, 10.0, 42.0, 42.0), "mask")]
    for source, width in zip(SOURCES, (200, LARGE_PX), strict=True):
        names = ("images/a.png", "images/b.png")
        folder(tmp_path, source, [photo(*faces, file=name, width=width) for name in names])
    (tmp_path / "validation.txt").write_text("".join(f"{source}/images/a.png\n" for source in SOURCES))
    return tmp_path


def test_parts(data):
    """The list decides: what it names is measured on, all else may be calibrated with."""
    ours, others = parts(data, data / "validation.txt")
    for source in SOURCES:
        assert [p.file for _, p in ours[source]] == ["images/a.png"]
        assert [p.file for _, p in others[source]] == ["images/b.png"]
        assert ours[source][0][0] == data / source / "images/a.png"


def test_a_list_of_another_source(data):
    """A photo of the same name in another source is not meant."""
    (data / "validation.txt").write_text(f"{SOURCES[0]}/images/a.png\n{SOURCES[1]}/images/b.png\n")
    ours, _ = parts(data, data / "validation.txt")
    assert [p.file for _, p in ours[SOURCES[1]]] == ["images/b.png"]


def test_no_list(data):
    """A model without its list: one line that names the file."""
    with pytest.raises(InputError, match=r"nowhere\.txt: cannot be read: No such file"):
        parts(data, data / "nowhere.txt")


def test_a_list_without_a_source(data):
    """A list that names nothing of a source: one line with the list, the folder and what a line looks like."""
    (data / "validation.txt").write_text(f"{SOURCES[0]}/images/a.png\n")
    with pytest.raises(InputError, match=f"lists no picture of .*{SOURCES[1]}; give lines such as {SOURCES[1]}/images"):
        parts(data, data / "validation.txt")


def test_no_source(data):
    """A folder that is not there is named."""
    (data / SOURCES[0]).rename(data / "elsewhere")
    with pytest.raises(InputError, match=f"{SOURCES[0]}: no such folder"):
        parts(data, data / "validation.txt")


def test_accuracy_line():
    """Found masked and found bare are by the annotation; what scores less than the threshold was not found."""
    masked, bare = (10.0, 10.0, 40.0, 40.0), (60.0, 10.0, 90.0, 40.0)
    seen = [
        (photo((masked, "mask"), (bare, "no_mask")), line((masked, 0.9, "mask"), (bare, 0.9, "mask"))),
        (photo((masked, "mask"), (bare, "no_mask")), line((masked, 0.9, "unknown"), (bare, 0.5, "no_mask"))),
    ]
    (told,) = accuracy("int8", 480, "here", seen, 0.7)
    assert told == Accuracy(
        "int8",
        480,
        "here",
        4,
        told.f1,
        precision=1.0,
        recall_masked=1.0,
        recall_bare=0.5,
        mask_right=0.5,
        unknown=1 / 3,
    )
    assert told.f1 == pytest.approx(2 * 0.75 / 1.75)


def test_false_alarms_count():
    """A box on nothing lowers precision and F1, not what was found."""
    (told,) = accuracy(
        "int8", 480, "here", [(photo((BOX, "mask")), line((BOX, 0.9, "mask"), ((60, 5, 90, 40), 0.9, "mask")))], 0.7
    )
    assert (told.precision, told.recall_masked) == (0.5, 1.0)


def test_nothing_annotated():
    """Photos without faces give no line; a source without a bare face says 0 and does not fail."""
    assert accuracy("int8", 480, "here", [], 0.7) == []
    (told,) = accuracy("int8", 480, "here", [(photo((BOX, "mask")), line())], 0.7)
    assert (told.f1, told.recall_bare, told.mask_right, told.unknown) == (0, 0, 0, 0)


@pytest.mark.parametrize(("long_side", "px"), [(100, 32), (200, 64), (50, 16), (400, 128)])
def test_size_in_the_analysed_picture(long_side, px):
    """A face of 32 px in a photo of 100 px has 64 px at a long side of 200."""
    found = by_face_size([(photo((BOX, "mask")), line((BOX, 0.9, "mask")))], long_side, 0.7)
    (one,) = [f for f in found if f.faces]
    assert one.px[0] <= px < one.px[1]
    assert (one.long_side, one.faces, one.found, one.unknown) == (long_side, 1, 1, 0)


def test_upright_photos():
    """The longer side counts, whichever it is."""
    upright = Photo("images/a.png", 60, 100, [BOX], ["mask"])
    (one,) = [f for f in by_face_size([(upright, line())], 200, 0.7) if f.faces]
    assert one.px[0] <= 64 < one.px[1]


def test_found_and_unknown():
    """Found without a verdict is unknown, not found is neither, and faces that nobody labelled do not count."""
    other, third = (50.0, 10.0, 82.0, 42.0), (10.0, 0.0, 20.0, 9.0)
    picture = photo((BOX, "mask"), (other, "no_mask"), (third, "ignore"), width=100)
    cases = {
        (1, 1): line((BOX, 0.9, "unknown")),
        (2, 0): line((BOX, 0.9, "mask"), (other, 0.8, "mask")),
        (0, 0): line((BOX, 0.6, "unknown"), (third, 0.9, "mask")),
    }
    for (found, unknown), seen in cases.items():
        (one,) = [f for f in by_face_size([(picture, seen)], 100, 0.7) if f.faces]
        assert (one.faces, one.found, one.unknown) == (2, found, unknown)


@given(st.lists(st.floats(1, 400), max_size=6), st.sampled_from([480, 640, 960, 1280]))
def test_every_face_once(sides, long_side):
    """Each face is in at most one row, and in one if it is not smaller than the smallest."""
    faces = [((10.0, 10.0, 10.0 + side, 10.0 + side), "mask") for side in sides]
    rows = by_face_size([(photo(*faces, width=640, height=480), line())], long_side, 0.7)
    counted = sum(LIMITS_PX[0] <= side * long_side / 640 < LIMITS_PX[-1] for side in sides)
    assert sum(row.faces for row in rows) == pytest.approx(counted, abs=0)


@dataclass
class Seer:
    """A model that finds one face in the corner of every picture, with a manifest's threshold."""

    score: float = 0.9

    def __post_init__(self) -> None:
        self.manifest = load_model().manifest
        self.seen: list[int] = []

    def find(self, i420: np.ndarray, floor: float | None = None) -> list:
        assert floor is not None
        self.seen.append(max(i420.shape[1], i420.shape[0] * 2 // 3))
        return []


def test_measure(data):
    """Every model sees every photo of the part at every size; sizes of faces are told for the first model only."""
    ours, _ = parts(data, data / "validation.txt")
    models, told = {"float32": Seer(), "int8": Seer()}, []
    accuracies, found = measure(models, ours, [480, 640], told.append)
    assert all(model.seen == [480, 480, 640, 640] for model in models.values())
    assert told == list(range(1, 9))
    groups = (*SOURCES, LARGE)
    assert [(a.dtype, a.long_side, a.source) for a in accuracies] == [
        (name, side, group) for name in models for side in (480, 640) for group in groups
    ]
    assert {f.long_side for f in found} == {480, 640}
    assert sum(f.faces for f in found) == 2 * len(SOURCES)


def test_large_photos(data):
    """The last line holds the photos alone that are large enough, of whatever source."""
    ours, _ = parts(data, data / "validation.txt")
    accuracies, _ = measure({"float32": Seer()}, ours, [640], lambda _done: None)
    assert {a.source: a.faces for a in accuracies} == {SOURCES[0]: 1, SOURCES[1]: 1, LARGE: 1}
