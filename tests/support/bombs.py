"""Encoded pictures of a few bytes that ask a decoder for minutes of work."""

import re
import struct
from fractions import Fraction

import av
import numpy as np

_RUN = 27_306
"""Blocks that one code of the bomb passes over: an end-of-band run of 2^14 and 10,922 more (ITU-T T.81, G.1.2.2)."""


def jpeg(scans: int, width: int = 8192, height: int = 4320) -> bytes:
    """Return a progressive JPEG with so many scans of the whole picture, of 50 bytes each at 8192x4320."""
    blocks = -(-width // 8) * -(-height // 8)
    band = _bits(("0" + format(_RUN - (1 << 14), "014b")) * -(-blocks // _RUN))
    tables = _segment(0xC4, b"\x00" + _one_code(0)) + _segment(0xC4, b"\x10" + _one_code(0xE0))
    first = _segment(0xDA, b"\x01\x01\x00\x00\x00\x00") + _bits("0" * blocks)
    again = _segment(0xDA, b"\x01\x01\x00\x01\x3f\x00") + band
    return b"\xff\xd8" + frame_header(width, height) + tables + first + again * scans + b"\xff\xd9"


def frame_header(width: int, height: int) -> bytes:
    """Return a progressive JPEG's quantisation table and frame header."""
    table = _segment(0xDB, b"\x00" + b"\x01" * 64)
    return table + _segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")


def _segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def _one_code(symbol: int) -> bytes:
    """A Huffman table in which one bit, 0, is this symbol."""
    return bytes([1] + [0] * 15) + bytes([symbol])


def _bits(text: str) -> bytes:
    text += "1" * (-len(text) % 8)
    return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8)).replace(b"\xff", b"\xff\x00")


def skipping(macroblocks: int, first: int = 1) -> bytes:
    """Return the payload of an H.264 slice, of baseline profile, in which all macroblocks are skipped (7.3.3, 7.3.4).

    It fits a stream of libx264's `ultrafast`: its P pictures have a frame number of 4 bits.
    """
    bits = _golomb(first) + _golomb(5) + _golomb(0) + "0001"  # a P slice, parameter set 0, frame number 1
    bits += "000" + _golomb(0)  # no override, no reordering, no marking; the quantiser as it was
    bits += _golomb(0) * 3  # edges are smoothed
    bits += _golomb(macroblocks - first) + "1"
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def slices(count: int, width: int, height: int) -> list[bytes]:
    """Return a P picture of so many units, each of which goes over the whole picture; their places rise, as in one."""
    macroblocks = width // 16 * (height // 16)
    return [b"\x41" + skipping(macroblocks, first) for first in range(count)]


def mpeg_slices(codec: str, width: int, height: int) -> tuple[bytes, bytes, bytes, bytes]:
    """Return a grey key picture, and of the picture after it the header, one slice (a row, skipped), and the last one.

    `codec` is `mpeg1video` or `mpeg2video`.
    """
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = width, height, "yuv420p", Fraction(1, 25)
    encoder.framerate, encoder.max_b_frames = Fraction(25), 0
    encoder.thread_count = 2  # with one, as on a machine of one core, an MPEG-1 picture is one slice
    grey = av.VideoFrame.from_ndarray(np.full((height * 3 // 2, width), 128, np.uint8), format="yuv420p")
    packets = []
    for grey.pts in range(2):
        packets += encoder.encode(grey)
    key, second = (bytes(packet) for packet in [*packets, *encoder.encode()])
    starts = [found.start() for found in re.finditer(rb"\x00\x00\x01[\x01-\xaf]", second)]
    return key, second[: starts[0]], second[starts[0] : starts[1]], second[starts[-1] :]


def _golomb(value: int) -> str:
    binary = f"{value + 1:b}"
    return "0" * (len(binary) - 1) + binary
