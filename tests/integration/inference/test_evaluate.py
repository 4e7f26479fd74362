"""Measuring the model on a folder that is made here."""

from __future__ import annotations

import json

import av
import numpy as np
import pytest
import skimage.data

from services.inference.annotations import InputError, Photo
from services.inference.evaluate import PREDICTION_FLOOR, PredictionLine, evaluate_folder, figures
from services.inference.model import load_model

# Where the face is in the 512 px portrait.
FACE = [170.0, 60.0, 275.0, 190.0]


def save(path, rgb):
    """Writes an RGB array as a PNG."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def line(name, boxes, labels):
    """An annotation line of a 512 px picture."""
    return json.dumps({"file": f"images/{name}", "width": 512, "height": 512, "boxes": boxes, "label": labels})


@pytest.fixture(scope="module")
def model():
    """The shipped model."""
    return load_model()


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A folder with the portrait, its mirror image and an empty picture."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    portrait = skimage.data.astronaut()
    save(folder / "images/portrait.png", portrait)
    save(folder / "images/mirror.png", portrait[:, ::-1])
    save(folder / "images/empty.png", np.full_like(portrait, 90))
    mirrored = [512 - FACE[2], FACE[1], 512 - FACE[0], FACE[3]]
    lines = [
        line("portrait.png", [FACE], ["no_mask"]),
        line("mirror.png", [mirrored], ["no_mask"]),
        line("empty.png", [], []),
    ]
    (folder / "annotations.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_perfect_folder(model, folder):
    """Two portraits are found and judged, the empty picture stays empty, and the dict can be written as JSON."""
    result = evaluate_folder(folder, model=model)
    assert (result["images"], result["faces"]) == (3, 2)
    assert (result["precision"], result["recall"], result["f1"]) == pytest.approx((1.0, 1.0, 1.0))
    assert result["confusion gt->pred"] == {"no_mask->no_mask": 2}
    assert result["mask_rate"]["predicted"] == 0.0
    assert json.loads(json.dumps(result))["faces"] == 2


def test_operating_point_and_model_are_told(model, folder):
    """The result says which model and which threshold it holds for, and repeats the figures for all sizes."""
    result = evaluate_folder(folder, model=model)
    assert (result["threshold"], result["model"]) == (model.manifest.score_threshold, model.id)
    assert (result["min_px"], result["all_sizes"]["faces"]) == (12.0, 2)


def test_keys_do_not_depend_on_arguments(model, folder, tmp_path):
    """Writing predictions and showing progress change no figure."""
    plain = evaluate_folder(folder, model=model)
    assert plain == evaluate_folder(folder, model=model, predictions=tmp_path / "p.jsonl", progress=lambda *_: None)


def test_progress_counts_to_the_end(model, folder):
    """Progress is told after every picture."""
    seen = []
    evaluate_folder(folder, model=model, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_predictions_are_in_pixels_of_the_picture(model, folder, tmp_path):
    """The predictions file has a line per picture, low scores too, boxes in pixels of the annotated picture."""
    path = tmp_path / "predictions.jsonl"
    evaluate_folder(folder, model=model, predictions=path)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert [one["file"] for one in lines] == ["images/portrait.png", "images/mirror.png", "images/empty.png"]
    assert lines[0]["boxes"][0] == pytest.approx(FACE, abs=20)
    assert lines[0]["label"][0] == "no_mask"
    for one in lines:
        assert len(one["boxes"]) == len(one["scores"]) == len(one["label"])
        assert set(one["label"]) <= {"mask", "no_mask", "incorrect", "unknown"}
        assert all(score >= PREDICTION_FLOOR for score in one["scores"])


def test_only_restricts(model, folder, tmp_path):
    """A list restricts the measurement; names may carry the folder's name in front."""
    only = tmp_path / "only.txt"
    only.write_text("images/portrait.png\n\nset/images/empty.png\nother/images/mirror.png\n")
    result = evaluate_folder(folder, model=model, only=only)
    assert (result["images"], result["faces"]) == (2, 1)


def test_list_without_a_known_picture(model, folder, tmp_path):
    """A list that names no picture of the folder is an error that shows what a line looks like."""
    only = tmp_path / "only.txt"
    only.write_text("images/nobody.png\n")
    with pytest.raises(InputError, match=r"only.txt: lists no picture of .*give lines such as images/portrait.png"):
        evaluate_folder(folder, model=model, only=only)


def test_list_is_missing(model, folder, tmp_path):
    """A list that is not there is named."""
    with pytest.raises(InputError, match=r"absent.txt: cannot be read"):
        evaluate_folder(folder, model=model, only=tmp_path / "absent.txt")


def test_folder_is_missing(model, tmp_path):
    """A folder that is not there is named."""
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        evaluate_folder(tmp_path / "nowhere", model=model)


def test_picture_is_missing(model, folder):
    """A picture that is annotated and not there is named."""
    (folder / "images/mirror.png").unlink()
    with pytest.raises(InputError, match=r"mirror.png: cannot be read as a picture"):
        evaluate_folder(folder, model=model)


def test_annotation_is_broken(model, folder):
    """A broken annotation stops the measurement before it starts, with its line number."""
    with (folder / "annotations.jsonl").open("a") as file:
        file.write('{"file": "images/x.png"}\n')
    seen = []
    with pytest.raises(InputError, match=r"annotations.jsonl:4: "):
        evaluate_folder(folder, model=model, progress=lambda *args: seen.append(args))
    assert seen == []


def test_predictions_cannot_be_written(model, folder, tmp_path):
    """A predictions file in a folder that is not there is named."""
    with pytest.raises(InputError, match=r"p.jsonl: cannot be written"):
        evaluate_folder(folder, model=model, predictions=tmp_path / "absent" / "p.jsonl")


def test_small_faces_count_only_below_all_sizes():
    """Faces under 12 px are left out of the main figures and kept below `all_sizes`."""
    photos = [Photo("a", 100, 100, [(0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 60.0, 60.0)], ["mask", "mask"])]
    lines = [PredictionLine("a", [(20.0, 20.0, 60.0, 60.0)], [0.9], ["mask"])]
    result = figures(photos, lines, 0.5)
    assert (result["faces"], result["recall"]) == (1, 1.0)
    assert (result["all_sizes"]["faces"], result["all_sizes"]["recall"]) == (2, 0.5)
