"""Measuring the model on a folder that is made here."""

from __future__ import annotations

import json

import msgspec
import pytest
from annotated import FACE, portraits, with_errors

from modelling.evaluation.labelled import InputError, Photo, read_annotations
from modelling.evaluation.measuring import PREDICTION_FLOOR, PredictionLine, evaluate_folder, figures
from modelling.evaluation.scoring import iou


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A folder with the portrait, its mirror image and an empty picture."""
    return portraits(tmp_path / "set")


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
    other = evaluate_folder(folder, model=model, predictions=tmp_path / "p.jsonl", progress=lambda *_: None)
    assert other == plain


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
    assert iou(lines[0]["boxes"][0], FACE) > 0.6
    assert lines[0]["label"][0] == "no_mask"
    for one in lines:
        lists = [one[key] for key in ("boxes", "scores", "label", "likeliest", "confidence")]
        assert {len(some) for some in lists} == {len(one["boxes"])}
        assert all(label in (likeliest, "unknown") for label, likeliest in zip(lists[2], lists[3], strict=True))
        assert all(0 <= sure <= 1 for sure in one["confidence"])
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


def test_reference_figures_of_the_predictions(model, folder, tmp_path):
    """The predictions file, scored by the definitions of `scoring`, gives the figures that are reported."""
    path = tmp_path / "predictions.jsonl"
    measured = evaluate_folder(folder, model=model, predictions=path)
    lines = [msgspec.json.decode(text, type=PredictionLine) for text in path.read_bytes().splitlines()]
    again = figures(read_annotations(folder), lines, model.manifest.score_threshold)
    assert {key: measured[key] for key in again} == again


def test_tables_hold_every_face(model, folder):
    """Both portraits are in the table by size, in its total and in the calibration."""
    result = evaluate_folder(folder, model=model)
    (row,) = result["by_size"]
    assert (row["size"], row["faces"], row["classes"]["no_mask"]["found"]) == ("64-128", 2, 2)
    assert (result["total"]["faces"], result["total"]["true_rate"]) == (2, 0.0)
    assert (result["calibration"]["faces"], sum(one["faces"] for one in result["calibration"]["bins"])) == (2, 2)
    assert result["unknown_effect"]["left_out"] == result["unknown_effect"]["likeliest"]


def test_each_error_is_told_apart(model, tmp_path):
    """A wrong verdict, a missed face and a false alarm."""
    result = evaluate_folder(with_errors(tmp_path / "set"), model=model)
    assert result["confusion gt->pred"] == {"mask->no_mask": 1}
    assert (result["faces"], result["recall"], result["precision"]) == (2, 0.5, 0.5)
    assert result["false_per_image"] == pytest.approx(1 / 3, abs=1e-3)


def test_another_size_is_measured(model, folder):
    """`long_side` is what the model gets to see, and is told; the model's own is the default."""
    assert evaluate_folder(folder, model=model)["long_side"] == model.manifest.long_side
    small = evaluate_folder(folder, model=model, long_side=160)
    assert (small["long_side"], small["recall"]) == (160, 1.0)
    assert small["calibration"] != evaluate_folder(folder, model=model, long_side=640)["calibration"]


@pytest.mark.parametrize("long_side", [0, -32, 128, 161, 1952])
def test_a_size_that_cannot_be_analysed(model, folder, long_side):
    """Only multiples of 32 from 160 to 1920 px; the value is named, before anything is read."""
    with pytest.raises(InputError, match=rf"--long-side: {long_side} is no size .* multiple of 32 from 160 to 1920"):
        evaluate_folder(folder / "absent", model=model, long_side=long_side)
