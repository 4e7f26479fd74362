"""A folder of labelled pictures: reads `annotations.jsonl`, and the picture files as arrays for the model.

Each line is one JSON object: {"file", "width", "height", "boxes": [[x1, y1, x2, y2], ...], "label": [...]}. Boxes are
in pixels of the picture. Labels are "mask", "no_mask", "incorrect" or "ignore" (a face that nobody judged). A line may
have "source", a name for where the picture is from, and "pose", a word for each box.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import av
import msgspec
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

FILE_NAME = "annotations.jsonl"

Label = Literal["mask", "no_mask", "incorrect", "ignore"]
Corners = tuple[float, float, float, float]
Side = Annotated[int, msgspec.Meta(gt=0)]


class InputError(ValueError):
    """A user's input can't be used; the text says in one line what is wrong, where, and what to give instead."""


class Photo(msgspec.Struct, frozen=True):
    """One line: `file` is relative to the folder, `boxes` are in pixels, `label` has one entry per box.

    `source` names the camera or the collection; `pose` says of each box how the face is held, in a word of the user's.
    """

    file: str
    width: Side
    height: Side
    boxes: list[Corners]
    label: list[Label]
    source: str = ""
    pose: list[str] = []

    def __post_init__(self) -> None:
        if len(self.boxes) != len(self.label):
            raise ValueError(f"{len(self.boxes)} boxes and {len(self.label)} labels; give one label per box")
        if self.pose and len(self.boxes) != len(self.pose):
            raise ValueError(f"{len(self.boxes)} boxes and {len(self.pose)} poses; give one pose per box, or none")
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
    """Return every line of `folder`/annotations.jsonl in order, without blank lines.

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


def analysis_sides(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Return the analysed width and height: the longer is `long_side`, aspect kept, multiples of 4, at least 4."""
    scale = long_side / max(width, height)
    return max(4, 4 * round(width * scale / 4)), max(4, 4 * round(height * scale / 4))


def _decoded(path: Path) -> av.VideoFrame:
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0))
    except (av.FFmpegError, OSError, StopIteration, IndexError) as error:
        raise InputError(f"{path}: cannot be read as a picture ({type(error).__name__}); give a JPEG or PNG") from error


def read_i420(path: Path, long_side: int) -> NDArray[np.uint8]:
    """Return the picture as planar I420 [3 * H / 2, W], BT.601 limited range, scaled up or down to `long_side`.

    Raises InputError that names the file when it is missing or no picture.
    """
    frame = _decoded(path)
    width, height = analysis_sides(frame.width, frame.height, long_side)
    scaled = VideoReformatter().reformat(
        frame,
        width=width,
        height=height,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        threads=1,
        interpolation=Interpolation.AREA if width < frame.width else Interpolation.BILINEAR,
    )
    return np.asarray(scaled.to_ndarray(), dtype=np.uint8)
