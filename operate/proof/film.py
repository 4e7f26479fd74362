"""The known film: people without masks in a hall, under noise that makes every row of every picture its own."""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

from operate.simulation.demo.clips import encode, pictures
from operate.simulation.demo.scene import INWARDS, Walker

FPS = 12
SECONDS = 8
_NOISE = 9
"""In steps of brightness, to both sides: faces are found all the same."""
_REPEATS = 12
"""How often the camera's stream shows the film before it ends by itself."""
PEOPLE = 4
"""How many come by in one showing."""
_EVERY_S = 2.2


def make_film(path: Path, seed: int) -> Path:
    """Write an H.264 film of a few people in the near lane. The same seed, the same people and the same noise."""
    return encode(path, _noisy(seed), FPS)


def _walkers(seed: int) -> list[Walker]:
    return [Walker(seed + index, index * _EVERY_S - 1, INWARDS[2], masked=False) for index in range(PEOPLE)]


def _noisy(seed: int) -> Iterator[Image.Image]:
    source = np.random.default_rng(seed)
    for index, picture in enumerate(pictures(_walkers(seed), seed, FPS)):
        if index >= FPS * SECONDS:
            return
        whole = np.asarray(picture).astype(np.int16)
        noise = source.integers(-_NOISE, _NOISE + 1, whole.shape[:2], dtype=np.int16)
        yield Image.fromarray(np.clip(whole + noise[:, :, None], 0, 255).astype(np.uint8))


def make_stream(film: Path, into: Path) -> Path:
    """Write the film many times over as an MPEG-TS, the packets as they are: what a camera sends over HTTP."""
    with av.open(str(into), "w", format="mpegts") as output:
        stream = None
        for turn in range(_REPEATS):
            with av.open(str(film)) as source:
                shown = source.streams.video[0]
                stream = stream or output.add_stream_from_template(shown)
                for packet in source.demux(shown):
                    if packet.size:
                        _shift(packet, turn)
                        packet.stream = stream
                        output.mux(packet)
    return into


def _shift(packet: Packet[VideoStream], turn: int) -> None:
    later = int(turn * SECONDS / packet.time_base)
    packet.pts = (packet.pts or 0) + later
    packet.dts = (packet.dts or 0) + later


def rate(stream: Path) -> float:
    """Return how many bytes of the stream a camera sends in a second."""
    return stream.stat().st_size / (_REPEATS * SECONDS)
