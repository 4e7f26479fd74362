"""Reads picture files into the arrays that the model takes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from services.inference.annotations import InputError


def analysis_sides(width: int, height: int, long_side: int) -> tuple[int, int]:
    """Width and height to analyse at: the longer one `long_side`, the aspect kept, both multiples of 4, at least 4."""
    scale = long_side / max(width, height)
    return max(4, 4 * round(width * scale / 4)), max(4, 4 * round(height * scale / 4))


def _decoded(path: Path) -> av.VideoFrame:
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0))
    except (av.FFmpegError, OSError, StopIteration, IndexError) as error:
        raise InputError(f"{path}: cannot be read as a picture ({type(error).__name__}); give a JPEG or PNG") from error


def read_i420(path: Path, long_side: int) -> NDArray[np.uint8]:
    """The picture as planar I420 [3 * H / 2, W], BT.601 limited range, scaled up or down to `long_side`.

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


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """The picture in its own size as RGB [H, W, 3], without what else the file says of itself (place, camera, turn).

    Raises InputError that names the file when it is missing or no picture.
    """
    return np.asarray(_decoded(path).to_ndarray(format="rgb24"), dtype=np.uint8)
