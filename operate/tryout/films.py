"""The films of the try-out's two cameras, drawn once: the simulated market, as RTSP and as MJPEG send it."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
from aiortc.codecs.h264 import H264Encoder
from av.bitstream import BitStreamFilterContext

from operate.simulation.film import count, film, pictures
from operate.simulation.market import plans
from operate.simulation.plan import Plan

GATE, HALL = "gate-in", "hall"
"""Which of the market's cameras are shown: the gate by RTSP, the hall by MJPEG."""
_QUALITY = 85


@dataclass(frozen=True)
class Film:
    """What one camera sends for each picture: H.264 as RTP's payloads (RFC 6184), or one JPEG."""

    pictures: list[list[bytes]]
    fps: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return len(self.pictures) / self.fps


def drawn(folder: Path, advance: Callable[[], None]) -> dict[str, Film]:
    """Draw both films, the first by a file below `folder`; `advance` is called after each picture."""
    seen = plans()
    return {GATE: _h264(seen[GATE], folder / "gate.mp4", advance), HALL: _jpeg(seen[HALL], advance)}


def length() -> int:
    """Return how many pictures both films have."""
    seen = plans()
    return count(seen[GATE]) + count(seen[HALL])


def _h264(plan: Plan, file: Path, advance: Callable[[], None]) -> Film:
    found = packed(film(file, plan, advance=advance))
    file.unlink()
    return Film(found, plan.scenario.fps)


def packed(file: Path) -> list[list[bytes]]:
    """Return RTP's payloads for each picture of an H.264 film."""
    encoder = H264Encoder()
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        told = BitStreamFilterContext("h264_mp4toannexb", stream)  # parameter sets before each key picture
        wholes = (whole for whole in container.demux(stream) if whole.size)
        return [encoder.pack(packet)[0] for whole in wholes for packet in told.filter(whole)]


def _jpeg(plan: Plan, advance: Callable[[], None]) -> Film:
    found = []
    for picture in pictures(plan):
        picture.save(coded := io.BytesIO(), "JPEG", quality=_QUALITY)
        found.append([coded.getvalue()])
        advance()
    return Film(found, plan.scenario.fps)
