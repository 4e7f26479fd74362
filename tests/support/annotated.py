"""Annotated folders that are made here: NASA's portrait of an astronaut, whose face is where we know it."""

import json
from pathlib import Path

import av
import numpy as np
import skimage.data
from numpy.typing import NDArray

FACE = [170.0, 60.0, 275.0, 190.0]
"""Where the face is in the 512 px portrait."""
MIRRORED = [512 - FACE[2], FACE[1], 512 - FACE[0], FACE[3]]
NOWHERE = [20.0, 400.0, 90.0, 490.0]
"""A corner of the portrait without a face."""


def save(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write an RGB array as a PNG."""
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = rgb.shape[1], rgb.shape[0], "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def annotate(folder: Path, faces: dict[str, list[tuple[list[float], str]]]) -> None:
    """Write annotations.jsonl: for each picture of 512 px its boxes with their labels."""
    lines = [
        {
            "file": f"images/{name}",
            "width": 512,
            "height": 512,
            "boxes": [b for b, _ in some],
            "label": [w for _, w in some],
        }
        for name, some in faces.items()
    ]
    (folder / "annotations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def portraits(folder: Path) -> Path:
    """Make a folder with the portrait, its mirror image and an empty picture, all annotated rightly; return it."""
    (folder / "images").mkdir(parents=True)
    portrait = skimage.data.astronaut()
    save(folder / "images/portrait.png", portrait)
    save(folder / "images/mirror.png", portrait[:, ::-1])
    save(folder / "images/empty.png", np.full_like(portrait, 90))
    annotate(folder, {"portrait.png": [(FACE, "no_mask")], "mirror.png": [(MIRRORED, "no_mask")], "empty.png": []})
    return folder


def with_errors(folder: Path) -> Path:
    """The same folder annotated so that each kind of error is there: one wrong verdict, one missed, one false alarm."""
    portraits(folder)
    annotate(folder, {"portrait.png": [(FACE, "mask"), (NOWHERE, "no_mask")], "mirror.png": [], "empty.png": []})
    return folder
