"""What the bytes of an encoded video frame tell without decoding it. Pure."""

from typing import Literal

Codec = Literal["h264", "vp8"]
_START = b"\x00\x00\x01"
_SLICES = range(1, 6)
_IDR = 5


def is_key(codec: Codec, data: bytes) -> bool:
    """Return whether a decoder can start here: an IDR picture (H.264, Annex B), a VP8 key frame (RFC 6386 §9.1)."""
    if codec == "vp8":
        return bool(data) and not data[0] & 1
    at = data.find(_START)
    while 0 <= at < len(data) - len(_START):
        kind = data[at + len(_START)] & 0x1F
        if kind in _SLICES:  # the first slice says it; parameter sets may come before
            return kind == _IDR
        at = data.find(_START, at + len(_START))
    return False
