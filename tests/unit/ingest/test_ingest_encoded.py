"""What the bytes of an encoded frame tell without decoding it."""

import pytest

from services.ingest.core.sdp import is_key

START = b"\x00\x00\x01"
SPS, IDR, OTHER = START + b"\x67abc", START + b"\x65abc", START + b"\x41abc"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (IDR, True),
        (b"\x00" + IDR, True),  # a start code of four bytes
        (SPS + SPS + IDR, True),  # parameter sets come before
        (OTHER, False),
        (OTHER + IDR, False),  # the first slice says it
        (SPS + OTHER, False),
        (SPS, False),
        (START, False),  # cut short
        (SPS + START, False),
        (START + b"\x65", True),
        (b"\x00\x00\x65\x00\x65\x65", False),  # no start code at all
        (b"", False),
    ],
)
def test_a_key_frame_of_h264(data: bytes, found: bool):
    """Its first slice is an IDR picture's (Annex B)."""
    assert is_key("h264", data) == found


@pytest.mark.parametrize(("data", "found"), [(b"\x10abc", True), (b"\x11abc", False), (b"", False), (IDR, True)])
def test_a_key_frame_of_vp8(data: bytes, found: bool):
    """The lowest bit of its first byte is 0 (RFC 6386, 9.1)."""
    assert is_key("vp8", data) == found
