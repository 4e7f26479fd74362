"""Bounds of one encoded packet: what could keep a decoder busy for minutes is refused before it is decoded. Pure.

A decoder's work grows with the number of times that a packet goes over the picture. A few bytes can do that once: a
progressive JPEG's scan of one long run, or a slice of skipped macroblocks. So these are counted. They are counted as
byte patterns, wherever they stand: FFmpeg looks for the next marker or start code after every error, so a packet must
not be able to hide some from us behind a wrong length. What is left is bounded by the packet's size, which is bounded
by the picture's, and by a number where the picture's size is not known or large.

Every step over a packet is a search in C or one of a bounded number, so the time is linear. A search goes in pieces:
within one no other thread runs.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from services.ingest.core.picture import MAX_PIXELS, Size

Data = bytes | memoryview

CODECS = frozenset(
    {
        *("h264", "hevc", "mjpeg", "vp8", "vp9", "av1", "mpeg4", "mpeg1video", "mpeg2video", "h263", "h263p", "flv1"),
        *("msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1", "rawvideo"),
    }
)
"""FFmpeg's names of the codecs that cameras on a network use. It has some 200 more, of screens and archives, in which
a few bytes can ask for any amount of work."""
MAX_SCANS = 100
"""Scans, and frame headers, in one JPEG. A baseline picture has one scan per component at most (ITU-T T.81, B.2.3: up
to four), libjpeg's progressive script has ten (`jpeg_simple_progression`)."""
MAX_SLICES = 600
"""Slices in one packet: the most that a picture of H.265 may have at any level (ITU-T H.265, table A.8). An H.264
picture of 3840x2160 in slices of one IP packet each has about as many."""
MAX_PICTURES = 8
"""Coded pictures in one packet. Two fields are usual; VP9 (annex B) and AV1 hide up to seven more behind one."""
MAX_UNITS = 4 * MAX_SLICES
"""NAL units, OBUs or JPEG segments in one packet."""
MARGIN = 1 << 20
"""Bytes of a packet that are no picture: a JPEG's application segments, an encoder's parameters and messages."""
MAX_BYTES = 32 << 20
"""Bytes of a packet of any codec that compresses, however large its picture may be."""
MAX_BYTES_UNCOUNTED = 8 << 20
"""The same for MPEG-4 part 2, H.263 and their kin: the parts of a picture are not counted in them, since in H.263 they
need not begin at a byte, and a macroblock that is passed over has one bit."""
_RAW, _JPEG_RAW, _ANY_RAW = 3, 5, 8
"""Bytes per pixel: 8-bit 4:4:4, which is more than 10-bit 4:2:2; that of noise at the best quality of JPEG; and the
widest pixel that FFmpeg knows, for what an operator's own file may hold."""

_SOF, _SOS = range(0xC0, 0xD0), 0xDA
_NO_FRAME = frozenset({0xC4, 0xC8, 0xCC})
_HEADS = re.compile(rb"\xff[\xc0-\xc3\xda\xf7]")
"""Start of a scan, or of a frame of a kind that FFmpeg decodes (libavcodec/mjpegdec.c)."""
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xda-\xfe]")
"""A marker that a length follows."""
_START_CODE = re.compile(rb"\x00\x00\x01")
_LONGEST = 3
"""Bytes of the longest of these patterns."""
_PIECE = 1 << 20
_AV1_FRAMES = frozenset({3, 6})


def refusal(codec: str, data: Data, size: Size = (0, 0), extradata: bytes = b"") -> str | None:
    """Return why a packet is not to be decoded, in words; None if it may be.

    `codec` is FFmpeg's name of the format. `size` is the picture's as known before, (0, 0) if this packet may set
    another one; a JPEG says its own. `extradata` tells whether NAL units have lengths or start codes.
    """
    if codec == "mjpeg":
        return _jpeg(data)
    compresses = codec in CODECS and codec != "rawvideo"
    limit = MAX_BYTES_UNCOUNTED if codec in _UNCOUNTED else MAX_BYTES if compresses else None
    if why := _too_large(data, size, _RAW if compresses else _ANY_RAW, limit):
        return why
    if codec == "av1":
        return _av1(data)
    if codec in _PARTS:
        return _parted(_PARTS[codec], data)
    return _sliced(_NALS[codec], data, extradata) if codec in _NALS else None


def _too_large(data: Data, size: Size, bytes_per_pixel: int, limit: int | None = None) -> str | None:
    most = bytes_per_pixel * (size[0] * size[1] or MAX_PIXELS) + MARGIN
    most = most if limit is None else min(most, limit)
    if len(data) <= most:
        return None
    shown = f"a picture of {size[0]}x{size[1]}" if all(size) else "any picture"
    return f"a packet of {len(data)} bytes; {shown} has {most} at most"


def _places(pattern: re.Pattern[bytes], data: Data, at: int = 0) -> Iterator[re.Match[bytes]]:
    """Yield where a pattern of at most _LONGEST bytes is, from `at` on, each once."""
    for start in range(at, len(data), _PIECE):
        found = pattern.finditer(data, start, start + _PIECE + _LONGEST - 1)
        yield from (one for one in found if one.start() < start + _PIECE)


# --- JPEG (ITU-T T.81)


def _jpeg(data: Data) -> str | None:
    if why := _too_large(data, (0, 0), _JPEG_RAW, MAX_BYTES):
        return why
    size = jpeg_size(data)
    if size is None:
        return "a JPEG without a frame header"
    if size[0] * size[1] > MAX_PIXELS:
        return f"a JPEG of {size[0]}x{size[1]}; at most {MAX_PIXELS / 1e6:.0f} million pixels are taken"
    return _too_large(data, size, _JPEG_RAW, MAX_BYTES) or _too_many(data)


def _too_many(data: Data) -> str | None:
    scans = frames = 0
    for found in _places(_HEADS, data):
        is_scan = data[found.start() + 1] == _SOS
        scans, frames = scans + is_scan, frames + (not is_scan)
        if max(scans, frames) > MAX_SCANS:
            return f"a JPEG with more than {MAX_SCANS} {'scans' if is_scan else 'frame headers'}"
    return None


def jpeg_size(data: Data) -> Size | None:
    """Return the width and height in a JPEG's first frame header; None if there is none before the first scan."""
    at = 0
    for _ in range(MAX_UNITS):
        found = next(_places(_SEGMENT, data, at), None)
        if found is None or (head := found.end()) + 7 > len(data) or data[head - 1] == _SOS:
            return None
        if data[head - 1] in _SOF and data[head - 1] not in _NO_FRAME:
            return _word(data, head + 5), _word(data, head + 3)
        at = head + max(2, _word(data, head))
    return None


def _word(data: Data, at: int) -> int:
    return data[at] << 8 | data[at + 1]


# --- H.264 and H.265: network abstraction layer units


class _Nal(NamedTuple):
    """A codec's NAL unit: bytes of its header, where the length of its lengths stands, and which ones are slices."""

    header: int
    length_at: int
    is_slice: Callable[[int], bool]


_NALS = {
    "h264": _Nal(1, 4, lambda head: 1 <= head & 0x1F <= 5),  # ITU-T H.264, table 7-1; ISO/IEC 14496-15, 5.3.3
    "hevc": _Nal(2, 21, lambda head: head >> 1 & 0x3F < 32),  # ITU-T H.265, table 7-1; ISO/IEC 14496-15, 8.3.3
}


def h264_slices(data: Data, extradata: bytes) -> Iterator[int]:
    """Yield the header, one byte, of each slice of an H.264 packet; `extradata` tells how its units are marked off."""
    nal = _NALS["h264"]
    has_lengths = len(extradata) > nal.length_at and extradata[0] == 1
    units = _by_length(data, (extradata[nal.length_at] & 3) + 1) if has_lengths else _by_start_code(data)
    return (data[at] for at in islice(units, MAX_UNITS) if nal.is_slice(data[at]))


def _sliced(nal: _Nal, data: Data, extradata: bytes) -> str | None:
    """Count a packet's slices by start codes, and also by lengths where these are in use: FFmpeg may change over."""
    found = _slices(nal, data, _by_start_code(data))
    if found is None and len(extradata) > nal.length_at and extradata[0] == 1:
        found = _slices(nal, data, _by_length(data, (extradata[nal.length_at] & 3) + 1))
    return found


def _slices(nal: _Nal, data: Data, units: Iterator[int]) -> str | None:
    slices = pictures = 0
    for count, at in enumerate(units, start=1):
        if nal.is_slice(data[at]):
            slices += 1
            # first_mb_in_slice, as Exp-Golomb code, or first_slice_segment_in_pic_flag: its first bit is set at 0.
            pictures += at + nal.header < len(data) and data[at + nal.header] >> 7
        if count > MAX_UNITS:
            return f"a packet with more than {MAX_UNITS} NAL units"
        if slices > MAX_SLICES:
            return f"a packet with more than {MAX_SLICES} slices"
        if pictures > MAX_PICTURES:
            return f"a packet with more than {MAX_PICTURES} first slices of a picture"
    return None


def _by_start_code(data: Data) -> Iterator[int]:
    """Yield where each unit's header is, after its start code (ITU-T H.264, annex B)."""
    for found in _places(_START_CODE, data):
        if found.end() < len(data):
            yield found.end()


def _by_length(data: Data, length: int) -> Iterator[int]:
    """Yield where each unit's header is, after its length in so many bytes; stop at one that is too long."""
    at = 0
    while at + length < len(data):
        size = int.from_bytes(data[at : at + length], "big")
        at += length
        if at + size > len(data):
            return
        yield at
        at += size


# --- MPEG-1, MPEG-2 and VC-1: start codes


class _Parts(NamedTuple):
    """The values after a start code that begin a slice, and those that begin a picture."""

    slices: range
    pictures: range


_MPEG = _Parts(range(0x01, 0xB0), range(0x01))  # ITU-T H.262, table 6-1
_VC1 = _Parts(range(0x0B, 0x0C), range(0x0C, 0x0E))  # SMPTE 421M, table 254: slice; field, frame
_PARTS = {"mpeg1video": _MPEG, "mpeg2video": _MPEG, "vc1": _VC1}
_UNCOUNTED = frozenset({"mpeg4", "h263", "h263p", "flv1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"})


def _parted(parts: _Parts, data: Data) -> str | None:
    slices = pictures = 0
    for count, at in enumerate(_by_start_code(data), start=1):
        code = data[at]
        slices, pictures = slices + (code in parts.slices), pictures + (code in parts.pictures)
        if count > MAX_UNITS:
            return f"a packet with more than {MAX_UNITS} start codes"
        if slices > MAX_SLICES:
            return f"a packet with more than {MAX_SLICES} slices"
        if pictures > MAX_PICTURES:
            return f"a packet with more than {MAX_PICTURES} pictures"
    return None


# --- AV1: open bitstream units


def _av1(data: Data) -> str | None:
    """Count the frames (AV1 specification, 5.3.2 and 6.2.2: OBU_FRAME_HEADER and OBU_FRAME)."""
    at = frames = 0
    for _ in range(MAX_UNITS):
        if at >= len(data):
            return None
        head = data[at]
        frames += head >> 3 & 15 in _AV1_FRAMES
        if frames > MAX_PICTURES:
            return f"a packet with more than {MAX_PICTURES} frames"
        if not head & 2:  # without a size it is the last one
            return None
        size, at = _leb128(data, at + 1 + (head >> 2 & 1))
        at += size
    return f"a packet with more than {MAX_UNITS} OBUs"


def _leb128(data: Data, at: int) -> tuple[int, int]:
    """Return a little-endian base 128 number and where it ends (4.10.5); what is cut off counts as 0."""
    value = 0
    for index in range(min(8, len(data) - at)):
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return 0, len(data)
