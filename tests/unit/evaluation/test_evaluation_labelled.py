"""Which annotation files are taken, and what is said of the others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.evaluation.labelled import InputError, Photo, read_annotations

GOOD = {"file": "images/a.jpg", "width": 40, "height": 30, "boxes": [[1, 2, 3, 4]], "label": ["mask"]}


def write(folder, *lines):
    """Writes the lines (dicts or raw text) as the folder's annotations."""
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "annotations.jsonl").write_text("\n".join(texts) + "\n", "utf-8")
    return folder


def test_lines_come_in_order(tmp_path):
    """Every line is one photo, in the file's order; blank lines are skipped; unknown keys are no error."""
    folder = write(tmp_path, GOOD, "", {**GOOD, "file": "images/b.jpg", "origin": "somewhere"})
    assert [photo.file for photo in read_annotations(folder)] == ["images/a.jpg", "images/b.jpg"]
    assert read_annotations(folder)[0] == Photo("images/a.jpg", 40, 30, [(1.0, 2.0, 3.0, 4.0)], ["mask"])


def test_photo_without_faces(tmp_path):
    """A picture may hold nobody."""
    (photo,) = read_annotations(write(tmp_path, {**GOOD, "boxes": [], "label": []}))
    assert photo.boxes == []


def test_folder_is_missing(tmp_path):
    """A missing folder is named, with what it should hold."""
    with pytest.raises(InputError, match=r"nowhere: no such folder; give one that holds annotations.jsonl"):
        read_annotations(tmp_path / "nowhere")


def test_file_is_missing(tmp_path):
    """A folder without annotations is named, with what to write."""
    with pytest.raises(InputError, match=r"annotations.jsonl: no such file; write one JSON object"):
        read_annotations(tmp_path)


def test_file_is_empty(tmp_path):
    """A file without a line is an error, not a perfect score."""
    with pytest.raises(InputError, match=r"annotations.jsonl: empty"):
        read_annotations(write(tmp_path, "", "  "))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": ["hat"]}, "hat"),
        ({"label": []}, "1 boxes and 0 labels"),
        ({"pose": ["front", "turned"]}, "1 boxes and 2 poses"),
        ({"source": 5}, r"\$.source"),
        ({"boxes": [[1, 2, 3]]}, r"\$.boxes\[0\]"),
        ({"boxes": [[3, 2, 1, 4]]}, "x1 < x2"),
        ({"boxes": [[1, 4, 3, 4]]}, "y1 < y2"),
        ({"width": 0}, r"\$.width"),
        ({"height": "tall"}, r"\$.height"),
        ({"file": 7}, r"\$.file"),
    ],
)
def test_bad_value_is_named(tmp_path, change, told):
    """A line that does not fit is told with file, line number, value and reason, in one line."""
    with pytest.raises(InputError, match=told) as caught:
        read_annotations(write(tmp_path, GOOD, {**GOOD, "file": "images/b.jpg", **change}))
    assert "annotations.jsonl:2: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["{", "no json", "[]", "null", '{"file": "a.jpg"}'])
def test_line_that_is_no_photo(tmp_path, line):
    """Broken JSON, and JSON that is no photo, name their line and show what a line holds."""
    with pytest.raises(InputError, match=r'annotations.jsonl:1: .*a line is {"file", "width"'):
        read_annotations(write(tmp_path, line))


def test_file_named_twice(tmp_path):
    """A picture with two lines is an error: one of them would be lost."""
    with pytest.raises(InputError, match=r"annotations.jsonl:2: 'images/a.jpg' occurs twice"):
        read_annotations(write(tmp_path, GOOD, GOOD))


def test_input_error_is_a_value_error():
    """Callers that only know ValueError catch it."""
    assert issubclass(InputError, ValueError)


@given(line=st.binary(min_size=1, max_size=60).filter(lambda raw: raw.strip() and raw[:1] != b"{"))
def test_any_bytes_end_in_one_kind_of_error(tmp_path_factory, line):
    """Whatever the file holds, the error is an InputError."""
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "annotations.jsonl").write_bytes(line)
    with pytest.raises(InputError):
        read_annotations(folder)
