"""Reads `annotations.jsonl`: which faces are where in a folder's pictures, and who wears what.

One JSON object a line: {"file", "width", "height", "boxes": [[x1, y1, x2, y2], ...], "label": [...]}, boxes in
pixels of the picture, labels "mask", "no_mask", "incorrect" or "ignore" (a face that nobody judged).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

FILE_NAME = "annotations.jsonl"

Label = Literal["mask", "no_mask", "incorrect", "ignore"]
Corners = tuple[float, float, float, float]
Side = Annotated[int, msgspec.Meta(gt=0)]


class InputError(ValueError):
    """What a user handed over cannot be used; the text says in one line what, where, and what would be right."""


class Photo(msgspec.Struct, frozen=True):
    """One line: `file` is relative to the folder, `boxes` are in pixels, `label` has one entry per box."""

    file: str
    width: Side
    height: Side
    boxes: list[Corners]
    label: list[Label]

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self.label):
            raise ValueError(f"{len(self.boxes)} boxes and {len(self.label)} labels; give one label per box")
        for box in self.boxes:
            if not (box[0] < box[2] and box[1] < box[3]):
                raise ValueError(f"box {list(box)} is empty; give x1,y1,x2,y2 with x1 < x2 and y1 < y2")


_DECODER = msgspec.json.Decoder(Photo)


def _parse(line: bytes, where: str) -> Photo:
    try:
        return _DECODER.decode(line)
    except msgspec.MsgspecError as error:
        value = line[:80].decode("utf-8", "replace").strip()
        raise InputError(
            f'{where}: {error}, in {value!r}; a line is {{"file", "width", "height", "boxes", "label"}}'
        ) from error


def _checked(photo: Photo, seen: set[str], where: str) -> Photo:
    if photo.file in seen:
        raise InputError(f"{where}: {photo.file!r} occurs twice; give every picture one line")
    seen.add(photo.file)
    return photo


def read_annotations(folder: Path) -> list[Photo]:
    """Every line of `folder`/annotations.jsonl in order, blank lines left out.

    Raises InputError for a missing folder or file, a line that does not fit, a file named twice, and no line at all.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds {FILE_NAME} and its pictures")
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"{path}: no such file; write one JSON object a line for each picture in {folder}")
    seen: set[str] = set()
    lines = enumerate(path.read_bytes().splitlines(), start=1)
    parsed = ((f"{path}:{number}", line) for number, line in lines if line.strip())
    photos = [_checked(_parse(line, where), seen, where) for where, line in parsed]
    if not photos:
        raise InputError(f"{path}: empty; write one JSON object a line for each picture in {folder}")
    return photos
