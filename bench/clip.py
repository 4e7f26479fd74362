"""The bench's own sources: people who walk by, as a camera sends them, encoded once.

Drawn as the demo's films are, enlarged, with the grain of a sensor. H.264 as cameras encode it: constant rate, CABAC,
the loop filter, one reference, no B-frames, a key frame every two seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter

FPS = 25
_GOP = 50
_PHASES = 4
_SKIPPED_S = 6.0
"""Nobody is there yet at the film's beginning."""
_GRAINS = 8
_DENSE_S = 1.2
_STEP_MS = 1000 // FPS
"""Milliseconds from picture to picture."""
_MILLISECOND = Fraction(1, 1000)
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Format:
    """What a camera sends. `megabits` are per second; `grain` is the noise's standard deviation in steps of luma."""

    width: int
    height: int
    megabits: float
    grain: float = 3.0

    @property
    def name(self) -> str:
        """As people say it."""
        return f"{self.height}p{FPS}"


FULL_HD = Format(1920, 1080, 4.0)
HD = Format(1280, 720, 2.5)
SMALL = Format(640, 360, 0.6)


def make_clips(folder: Path, form: Format, seconds: float, told: Progress = lambda _done: None) -> list[Path]:
    """Write clips whose key frames come at different moments, as different cameras' do; returns their paths.

    `told` hears how much of the work is done, 0 to 1.
    """
    made = []
    for phase in range(_PHASES):
        told(phase / _PHASES)
        made.append(make_clip(folder / f"{form.name}-{phase}.mp4", form, seconds, phase))
    return made


def make_clip(path: Path, form: Format, seconds: float, phase: int = 0) -> Path:
    """Write one clip; `phase`, 0 to 3, says when its key frames come, by quarters of their distance."""
    pictures = round(seconds * FPS)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_options(form))
        stream.width, stream.height, stream.pix_fmt = form.width, form.height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.time_base = stream.codec_context.time_base = _MILLISECOND
        for number, frame in enumerate(islice(_noisy(form), pictures)):
            # The first picture lasts longer in some clips, so that cameras do not all decode at the same moments.
            frame.pts = number * _STEP_MS + (phase * _STEP_MS // _PHASES if number else 0)
            frame.time_base = _MILLISECOND
            is_key = number == 0 or (number + phase * _GOP // _PHASES) % _GOP == 0
            frame.pict_type = PictureType.I if is_key else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _options(form: Format) -> dict[str, str]:
    rate = f"{round(form.megabits * 1000)}k"
    fixed = {"preset": "veryfast", "refs": "1", "bf": "0", "g": "100000", "sc_threshold": "0", "forced-idr": "1"}
    return {**fixed, "b": rate, "maxrate": rate, "bufsize": rate, "rc-lookahead": "0"}


def _noisy(form: Format) -> Iterator[VideoFrame]:
    """Yield the film's pictures at the camera's size, with grain that no encoder can foresee."""
    from operate.simulation.demo.clips import pictures
    from operate.simulation.demo.scene import plan

    random = np.random.default_rng(1)
    shape = (form.height, form.width)
    grains = [random.normal(0, form.grain, shape).astype(np.int16) for _ in range(_GRAINS)]
    reformatter = VideoReformatter()
    film = pictures(plan(7, gap_s=_DENSE_S), 7, FPS)
    for number, picture in enumerate(islice(film, round(_SKIPPED_S * FPS), None)):
        frame = VideoFrame.from_ndarray(np.asarray(picture), "rgb24")
        large = reformatter.reformat(frame, form.width, form.height, "yuv420p", interpolation="BICUBIC")
        plane = large.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(form.height, plane.line_size)[:, : form.width]
        grain = np.roll(grains[number % _GRAINS], number * 37 % form.height, axis=0)
        luma[:] = np.clip(luma + grain, 0, 255)
        yield large
