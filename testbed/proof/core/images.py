"""Detects unknown pictures: by the first bytes of image and video formats, and by blocks that look like noise."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 4_096
"""Bytes tested for noise at a time. The smallest picture that settings allow has 21 kB, a packet of it less."""
NOISY = 7.8
"""Bits a byte (Shannon 1948): 4096 random bytes have 7.95, text and messages 4 to 6, base64 at most 6."""

_MAGIC = {
    "PNG": rb"\x89PNG\r\n\x1a\n",  # PNG §5.2
    "GIF": rb"GIF8[79]a",
    "WebP": rb"RIFF.{4}WEBP",
    "BMP": rb"BM.{4}\0{4}.\0\0\0[\x0c\x28\x6c\x7c]\0\0\0",  # BITMAPFILEHEADER, and the size of the header after it
    "JPEG": rb"\xff\xd8\xff(?:\xe0..JFIF\0|\xe1..Exif\0|\xdb\0[\x43\x84]|\xee\0\x0eAdobe)",  # ITU-T T.81 B.2, JFIF
    "TIFF": rb"(?:II\x2a\0|MM\0\x2a)(?:\x08\0\0\0|\0\0\0\x08)",
    # FileTypeBox (ISO/IEC 14496-12, 4.3) with the brand of a picture or of a sequence of them, first or among others.
    "AVIF": rb"\0\0\0.ftyp(?:.{4}){0,15}?avi[fs]",
    # A sequence and a picture parameter set: every decodable stream begins with them (ITU-T H.264 Annex B).
    "H.264": rb"\x00\x00\x01[\x27\x47\x67][\x42\x4d\x58\x64\x6e\x7a\xf4].{8,200}?\x00\x00\x01[\x28\x48\x68]",
    # A video parameter set with its 16 reserved ones, and a sequence parameter set (ITU-T H.265 Annex B, 7.3.2.1).
    "H.265": rb"\x00\x00\x01\x40\x01.{2}\xff\xff.{8,200}?\x00\x00\x01\x42\x01",
}
_FORMATS = re.compile(b"|".join(b"(?P<f%d>%s)" % (i, pattern) for i, pattern in enumerate(_MAGIC.values())), re.DOTALL)
_NAMES = list(_MAGIC)


@dataclass(frozen=True)
class FoundImage:
    """Something that looks like a picture: its format, or `noise` with the size of the noisy block."""

    kind: str
    at: int
    size: int = 0

    def __str__(self) -> str:
        """In words."""
        return f"{self.size} bytes like noise" if self.kind == "noise" else f"a {self.kind} image"


def images(data: bytes) -> Iterator[FoundImage]:
    """Yield everything in these bytes that looks like a picture."""
    for match in _FORMATS.finditer(data):
        yield FoundImage(_NAMES[int(str(match.lastgroup)[1:])], match.start())
    yield from _noise(data)


def _noise(data: bytes) -> Iterator[FoundImage]:
    """Yield runs of at least two noisy blocks, so of 8 kB."""
    noisy = [entropy(data[i : i + BLOCK]) > NOISY for i in range(0, len(data) - BLOCK + 1, BLOCK)]
    start = None
    for index, is_noisy in enumerate([*noisy, False]):
        if is_noisy and start is None:
            start = index
        elif not is_noisy and start is not None:
            if index - start >= 2:
                yield FoundImage("noise", start * BLOCK, (index - start) * BLOCK)
            start = None


def entropy(data: bytes) -> float:
    """Return the entropy in bits per byte (Shannon 1948)."""
    counts = np.bincount(np.frombuffer(data, np.uint8))
    shares = counts[counts > 0] / max(1, len(data))
    return float(-(shares * np.log2(shares)).sum())


_FEW, _MOSTLY = 16, 0.9


def is_drawing(colours: list[int]) -> bool:
    """Return whether a picture with so many pixels of each colour is a drawing: 16 colours make up nearly all of it."""
    ordered = sorted(colours, reverse=True)
    return sum(ordered[:_FEW]) >= _MOSTLY * sum(ordered)
