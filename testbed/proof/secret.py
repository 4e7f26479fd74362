"""The secret data of a proof: the film's pictures, as our own decoder and scaler return them, and its packets."""

from __future__ import annotations  # PyAV's frames are generic for type checkers only

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.video.frame import VideoFrame

from services.ingest.core.picture import i420_size, plane_shapes
from services.ingest.sources.decoder import Decoder
from services.ingest.sources.source import open_source
from services.sites.settings import CameraSettings
from testbed.proof.core.needles import SIZE, Needles, is_needle, one_of

_EVERY = 256
"""One needle is taken from so many bytes of a packet."""
COMMON = -1
"""The number of a needle that several pictures, or packets, have in common."""
_FLOATS = 4
"""One row in so many also gives a needle of floating-point numbers."""


class Label(NamedTuple):
    """The origin of a needle: `decoded`, `scaled` (as bytes), `floats` (as 32-bit numbers), `packet` or `canary`."""

    kind: str
    number: int
    name: str = ""
    """The place for which a canary was planted."""

    @property
    def is_canary(self) -> bool:
        """Whether it was planted to be found."""
        return self.kind == "canary"


@dataclass
class FilmNeedles:
    """The needles with their labels, and the numbers of pictures and packets. `rows` are some of the pictures' rows."""

    needles: dict[bytes, Label] = field(default_factory=dict)
    pictures: int = 0
    packets: int = 0
    rows: list[bytes] = field(default_factory=list)

    def take(self, source_file: Path, long_side: int, limit: int, *, packets_alone: bool = False) -> None:
        """Add at most `limit` pictures of a film, through the product's own source, decoder and scaler.

        Set `packets_alone` for a film whose pictures are known already, and whose packets alone are new.
        """
        settings = CameraSettings(id="proof", url=str(source_file), long_side=long_side)
        with open_source(settings) as source:
            decoder = Decoder(source.stream, long_side)
            number = 0
            for packet in source.packets():
                if packet is None or number >= limit:
                    break
                self._packet(bytes(packet))
                frames = decoder.decode(packet)
                for frame in [] if packets_alone else frames:
                    self._picture(decoder, frame, long_side, self.pictures)
                    self.pictures += 1
                number += len(frames)
            decoder.discard()

    def _packet(self, data: bytes) -> None:
        self.packets += 1
        for start in range(0, len(data) - SIZE + 1, _EVERY):
            self._needle(data[start : start + SIZE], Label("packet", self.packets))

    def _picture(self, decoder: Decoder, frame: VideoFrame, long_side: int, number: int) -> None:
        for row in _rows(frame):
            self._row(row, Label("decoded", number))
        buffer = bytearray(i420_size(long_side, long_side))
        width, height = decoder.convert(frame, memoryview(buffer))
        scaled = list(_cut(buffer, width, height))
        for row in scaled:
            self._row(row, Label("scaled", number))
        for row in scaled[:height:_FLOATS]:
            self._row(np.frombuffer(row, np.uint8).astype(np.float32).tobytes(), Label("floats", number))
        self.rows.append(scaled[height // 2])

    def _row(self, row: bytes, label: Label) -> None:
        found = one_of(row, len(self.needles))
        if found is not None:
            self._know(found, label)

    def _needle(self, part: bytes, label: Label) -> None:
        if is_needle(part) and not (part.isascii() and part.decode().isprintable()):  # an encoder's text about itself
            self._know(part, label)

    def _know(self, part: bytes, label: Label) -> None:
        """Label a needle; a needle that several pictures have in common names none of them."""
        known = self.needles.get(part, label)
        self.needles[part] = label if known == label else known._replace(number=COMMON)

    def plant(self, place: str, row: bytes) -> None:
        """Add the canary of a place: a row that no camera shows."""
        for start in range(0, len(row) - SIZE + 1, SIZE):
            self.needles[row[start : start + SIZE]] = Label("canary", 0, place)

    def search(self) -> Needles:
        """Return the search for all needles."""
        return Needles(self.needles)


def _rows(frame: VideoFrame) -> Iterator[bytes]:
    for plane in frame.planes:
        padded = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
        yield from (row.tobytes() for row in padded.reshape(plane.height, plane.line_size)[:, : plane.width])


def _cut(picture: bytearray, width: int, height: int) -> Iterator[bytes]:
    """Yield the rows of an I420 picture without padding."""
    start = 0
    for rows, columns in plane_shapes(width, height):
        for row in range(rows):
            yield bytes(picture[start + row * columns : start + (row + 1) * columns])
        start += rows * columns
