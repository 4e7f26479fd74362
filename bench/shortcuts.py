"""What does a cheaper decoding cost in accuracy? `python -m bench.shortcuts FOLDER... [--second] [--photos N]`.

Each annotated photo becomes a film of a camera that looks at it and sways a little: H.264 as cameras encode it, 1280
pixels long, 2 Mbit/s, noise; with `--second` as a second stream, 640 pixels and 0.3 Mbit/s. The last picture before the
second key frame is analysed: there has added up what decoding leaves out. The same film is decoded with and without the
shortcut, and the same faces are looked for.
"""

import io
import json
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from math import sin, sqrt
from pathlib import Path
from typing import Annotated, NamedTuple

import av
import numpy as np
import typer
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from modelling.evaluation.labelled import InputError, Photo, analysis_sides, read_annotations, read_rgb
from modelling.evaluation.measuring import JUDGED_PX
from modelling.evaluation.scoring import Corners, Prediction, Terms, Truth, match
from services.inference.model import FaceModel, ModelError, load_model

ANALYSED = 640
SWAY_PX, GRAIN = 8, 3.0
"""How far the camera sways, and the standard deviation of its noise."""
_MOVES = 64
"""The grain is drawn once, and lies elsewhere in each picture."""
SHORTCUTS = {"as it is": {}, "without the loop filter": {"skip_loop_filter": "all"}}
"""Options of FFmpeg's decoder; the first is what the others are compared with."""


class Sent(NamedTuple):
    """What a camera sends. A key frame comes every two seconds."""

    long_side: int
    fps: int
    bits_s: int

    @property
    def pictures(self) -> int:
        """How many pictures a film has: up to the second key frame."""
        return 2 * self.fps


MAIN, SECOND = Sent(1_280, 25, 2_000_000), Sent(640, 8, 300_000)


class Seen(NamedTuple):
    """What was found of one photo's faces with one way of decoding."""

    hits: frozenset[int]
    right: frozenset[int]
    """Of these, those whose side, masked or not, is right."""
    false_alarms: int
    seconds: float
    """Processor time of decoding the film."""


def film(photo: NDArray[np.uint8], sent: Sent) -> bytes:
    """Return an MP4 file of a camera before a photo [H, W, 3]; the same photo, the same bytes."""
    height, width = photo.shape[0] - 2 * SWAY_PX, photo.shape[1] - 2 * SWAY_PX
    target, source = io.BytesIO(), np.random.default_rng(1)
    grain = source.normal(0, GRAIN, (height + _MOVES, width + _MOVES)).astype(np.int16)
    with av.open(target, "w", format="mp4") as container:
        options = {
            "preset": "veryfast",
            "bf": "0",
            "refs": "1",
            "g": str(sent.pictures),
            "sc_threshold": "0",
            "b": str(sent.bits_s),
        }
        stream = container.add_stream("libx264", rate=sent.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(sent.pictures):
            x, y = sway(number)
            down, right = source.integers(_MOVES, size=2)
            seen = photo[y : y + height, x : x + width] + grain[down : down + height, right : right + width, None]
            frame = av.VideoFrame.from_ndarray(np.clip(seen, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return target.getvalue()


def sway(number: int) -> tuple[int, int]:
    """Return where in the photo, in pixels of the film, a picture's left upper corner is."""
    return round(SWAY_PX * (1 + sin(number / 7))), round(SWAY_PX * (1 + sin(number / 11)))


def last_picture(content: bytes, options: dict[str, str]) -> tuple[NDArray[np.uint8], float]:
    """Return the film's last picture as inference gets it (planar I420), and the seconds that decoding took."""
    with av.open(io.BytesIO(content), "r") as container:
        context = container.streams.video[0].codec_context
        context.thread_count, context.options = 1, options
        began = time.thread_time()
        [last] = deque(container.decode(video=0), maxlen=1)
        seconds = time.thread_time() - began
    width, height = analysis_sides(last.width, last.height, ANALYSED)
    scaled = VideoReformatter().reformat(
        last, width=width, height=height, format="yuv420p", dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG, threads=1, interpolation=Interpolation.AREA,
    )  # fmt: skip
    return np.asarray(scaled.to_ndarray(), dtype=np.uint8), seconds


def enlarged(photo: NDArray[np.uint8], sent: Sent) -> NDArray[np.uint8]:
    """Return the photo in the film's size, with a margin to sway in; sides even, as H.264 has them."""
    width, height = analysis_sides(photo.shape[1], photo.shape[0], sent.long_side)
    whole = np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.BICUBIC))
    return np.pad(whole, ((SWAY_PX, SWAY_PX), (SWAY_PX, SWAY_PX), (0, 0)), mode="edge")


def looked(photo: Photo, path: Path, model: FaceModel, sent: Sent = MAIN) -> list[Seen]:
    """Return what is seen of a photo with each way of decoding."""
    rgb = read_rgb(path)
    large = enlarged(rgb, sent)
    content, found = film(large, sent), []
    scale = rgb.shape[1] / (large.shape[1] - 2 * SWAY_PX)
    x, y = (scale * (moved - SWAY_PX) for moved in sway(sent.pictures - 1))
    for options in SHORTCUTS.values():
        picture, seconds = last_picture(content, options)
        faces = model.find(picture)
        boxes = [_back((f.x1, f.y1, f.x2, f.y2), photo, x, y) for f in faces]
        matched = match(
            Truth(photo.boxes, photo.label), Prediction(boxes, [f.score for f in faces]), Terms(0.0, min_px=JUDGED_PX)
        )
        right = {i for i, j in matched.hits.items() if _is_right(photo.label[i], faces[j].verdict)}
        found.append(Seen(frozenset(matched.hits), frozenset(right), len(matched.false_alarms), seconds))
    return found


def _back(box: Corners, photo: Photo, x: float, y: float) -> Corners:
    """Return a box in shares of the film's picture as pixels of the photo, which is this far to the left of it."""
    x1, y1, x2, y2 = box
    return x1 * photo.width + x, y1 * photo.height + y, x2 * photo.width + x, y2 * photo.height + y


def _is_right(label: str, verdict: str) -> bool:
    return verdict != "unknown" and (label == "mask") == (verdict == "masked")


class Cost(NamedTuple):
    """A shortcut's figures beside those without it; shares in percent, differences in points with their 95 % limits."""

    name: str
    faces: int
    recall: float
    recall_change: float
    recall_limit: float
    right: float
    false_alarms: int
    time: float
    """Of decoding, as a share of the time without it."""


def costs(seen: Sequence[Sequence[Seen]], faces: int) -> list[Cost]:
    """Return each shortcut's figures; the limits are those of paired shares (McNemar 1947)."""
    base = [one[0] for one in seen]
    return [_cost(name, base, [one[index] for one in seen], faces) for index, name in enumerate(SHORTCUTS)]


def _cost(name: str, base: Sequence[Seen], short: Sequence[Seen], faces: int) -> Cost:
    lost = sum(len(one.hits - other.hits) for one, other in zip(base, short, strict=True))
    won = sum(len(other.hits - one.hits) for one, other in zip(base, short, strict=True))
    hits = sum(len(one.hits) for one in short)
    return Cost(
        name, faces, 100 * hits / faces, 100 * (won - lost) / faces, 196 * sqrt(won + lost) / faces,
        100 * sum(len(one.right) for one in short) / max(1, hits), sum(one.false_alarms for one in short),
        sum(one.seconds for one in short) / sum(one.seconds for one in base),
    )  # fmt: skip


def chosen(folders: Sequence[Path], count: int) -> Iterator[tuple[Photo, Path]]:
    """Yield so many photos of each folder, evenly chosen; InputError for a folder that can't be used."""
    for folder in folders:
        photos = read_annotations(folder)
        for photo in photos[:: max(1, len(photos) // count)][:count]:
            yield photo, folder / photo.file


def table(rows: Sequence[Cost]) -> Table:
    """Return the figures as a table."""
    shown = Table(title=f"{rows[0].faces} faces of {JUDGED_PX:g} px or more")
    for head in ("decoding", "recall", "change, points", "mask right", "false alarms", "time"):
        shown.add_column(head, justify="left" if head == "decoding" else "right")
    for one in rows:
        change = f"{one.recall_change:+.2f} ± {one.recall_limit:.2f}"
        shown.add_row(
            one.name, f"{one.recall:.1f} %", change, f"{one.right:.1f} %", str(one.false_alarms), f"{one.time:.2f}"
        )
    return shown


def run(
    folders: Annotated[list[Path], typer.Argument(help="annotated photos, a folder a source")],
    photos: Annotated[int, typer.Option(min=1, help="how many of each folder")] = 150,
    second: Annotated[bool, typer.Option("--second", help="a camera's second stream, 640 pixels long")] = False,
    model: Annotated[Path | None, typer.Option(help="a model's folder (default: the shipped one)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Tell what each shortcut of decoding costs in faces that are found and judged rightly."""
    console = Console(stderr=True)
    try:
        faces, wanted = load_model(model), list(chosen(folders, photos))
        steps = track(wanted, "photos", console=console, disable=not console.is_terminal, transient=True)
        seen = [looked(photo, path, faces, SECOND if second else MAIN) for photo, path in steps]
    except (InputError, ModelError) as error:
        print(f"bench.shortcuts: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    annotated = sum(len(_counted(photo)) for photo, _ in wanted)
    rows = costs(seen, annotated)
    if as_json:
        print(json.dumps([row._asdict() for row in rows]))
    else:
        Console(width=120).print(table(rows))


def _counted(photo: Photo) -> list[int]:
    """Return the annotated faces that count: large enough, and not marked as to be ignored."""
    sides = [((x2 - x1) * (y2 - y1)) ** 0.5 for x1, y1, x2, y2 in photo.boxes]
    return [i for i, side in enumerate(sides) if side >= JUDGED_PX and photo.label[i] != "ignore"]


if __name__ == "__main__":
    typer.run(run)
