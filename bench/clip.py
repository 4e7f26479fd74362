"""The bench's video clips: people who walk by, encoded once, as a camera would encode them.

The clips are drawn like the demo's films, enlarged, with the grain of a sensor. They are H.264 as cameras encode it:
constant rate, CABAC, the loop filter, one reference, no B-frames, a key frame every two seconds. One format is as stock
films and some recorders have it, High profile with B-frames and three references.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import av
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from msgspec import structs

from testbed.simulation.scenario import Phase, load_scenario

_KEY_EVERY_S = 2
_PHASES = 4
_SKIPPED_S = 6.0
"""Few people are there yet at the film's beginning, so it is left out."""
_GRAINS = 8
_PEOPLE_PER_MINUTE = 50.0
_MILLISECOND = Fraction(1, 1000)
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Format:
    """A camera's video format. `megabits` are per second; `grain` is the noise's standard deviation, in luma steps."""

    width: int
    height: int
    megabits: float
    fps: int = 25
    b_frames: int = 0
    grain: float = 3.0
    codec: Literal["h264", "h265"] = "h264"

    @property
    def name(self) -> str:
        """The usual name, such as 1080p25; with B-frames 1080p25b; 1080p25-h265."""
        codec = "" if self.codec == "h264" else f"-{self.codec}"
        return f"{self.height}p{self.fps}{'b' if self.b_frames else ''}{codec}"

    @property
    def step_ms(self) -> int:
        """Milliseconds from picture to picture."""
        return 1000 // self.fps


FULL_HD = Format(1920, 1080, 4.0)
STOCK = Format(1920, 1080, 4.0, b_frames=3)
HD = Format(1280, 720, 2.5)
SMALL = Format(640, 360, 0.6)
# A camera's second stream, as docs/cameras.md recommends it.
SECOND_HD = Format(1280, 720, 1.0, fps=8)
SECOND_SMALL = Format(640, 360, 0.3, fps=8)


def make_clips(folder: Path, form: Format, seconds: float, told: Progress = lambda _done: None) -> list[Path]:
    """Write clips whose key frames come at different moments, as different cameras' do; return their paths.

    `told` is called with the share of the work done, 0 to 1.
    """
    made = []
    for phase in range(_PHASES):
        told(phase / _PHASES)
        made.append(make_clip(folder / f"{form.name}-{phase}.mp4", form, seconds, phase))
    return made


def make_clip(path: Path, form: Format, seconds: float, phase: int = 0) -> Path:
    """Write one clip; `phase`, 0 to 3, says when its key frames come, by quarters of their distance."""
    pictures, gop = round(seconds * form.fps), _KEY_EVERY_S * form.fps
    with av.open(str(path), "w") as container:
        encoder = f"libx{form.codec.removeprefix('h')}"
        stream = cast("VideoStream", container.add_stream(encoder, rate=form.fps, options=_options(form)))
        stream.width, stream.height, stream.pix_fmt = form.width, form.height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.time_base = stream.codec_context.time_base = _MILLISECOND
        for number, frame in enumerate(islice(_noisy(form), pictures)):
            # The first picture lasts longer in some clips, so that cameras do not all decode at the same moments.
            frame.pts = number * form.step_ms + (phase * form.step_ms // _PHASES if number else 0)
            frame.time_base = _MILLISECOND
            is_key = number == 0 or (number + phase * gop // _PHASES) % gop == 0
            frame.pict_type = PictureType.I if is_key else PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _options(form: Format) -> dict[str, str]:
    rate = f"{round(form.megabits * 1000)}k"
    references = {"refs": "3" if form.b_frames else "1", "bf": str(form.b_frames)}
    fixed = {"preset": "veryfast", "g": "100000", "sc_threshold": "0", "forced-idr": "1"}
    limits = {"b": rate, "maxrate": rate, "bufsize": rate}
    if form.codec == "h265":  # whose encoder has parameters of its own for the same
        own = "log-level=none:pools=none:frame-threads=1:scenecut=0:keyint=-1:rc-lookahead=0"
        return {**fixed, **limits, "x265-params": f"{own}:ref={references['refs']}:bframes={references['bf']}"}
    return {**fixed, **references, **limits, "rc-lookahead": "0"}


def _noisy(form: Format) -> Iterator[VideoFrame]:
    """Yield the film's pictures at the camera's size, with grain that no encoder can foresee."""
    from testbed.simulation.crowd_plan import Plan
    from testbed.simulation.film import pictures

    random = np.random.default_rng(1)
    shape = (form.height, form.width)
    grains = [random.normal(0, form.grain, shape).astype(np.int16) for _ in range(_GRAINS)]
    reformatter = VideoReformatter()
    dense = Phase(seconds=60, arrivals_per_minute=_PEOPLE_PER_MINUTE)
    crowd = structs.replace(load_scenario("market"), phases=[dense], seed=7, fps=form.fps)
    for number, picture in enumerate(islice(pictures(Plan.drawn(crowd)), round(_SKIPPED_S * form.fps), None)):
        frame = VideoFrame.from_ndarray(np.asarray(picture), "rgb24")
        large = reformatter.reformat(frame, form.width, form.height, "yuv420p", interpolation="BICUBIC")
        plane = large.planes[0]
        luma = np.frombuffer(memoryview(plane), np.uint8).reshape(form.height, plane.line_size)[:, : form.width]
        grain = np.roll(grains[number % _GRAINS], number * 37 % form.height, axis=0)
        luma[:] = np.clip(luma + grain, 0, 255)
        yield large
