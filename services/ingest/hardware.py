"""Decoding on a graphics card, where a camera's settings ask for it. Nothing falls back: asked for means needed."""

from av import error as av_error
from av.codec.codec import Codec
from av.codec.hwaccel import HWAccel, hwdevices_available


class NoHardware(Exception):
    """What was asked for is not there; the text says what is missing."""


def accelerator(kind: str) -> HWAccel:
    """Return FFmpeg's settings for such a device; a stream that it can't decode is an error, not software's turn."""
    return HWAccel(kind, allow_software_fallback=False)


def require(kind: str, codec: Codec) -> None:
    """Raise NoHardware unless a device of this kind can be opened here and knows the codec."""
    known = hwdevices_available()
    if kind not in known:
        raise NoHardware(f"decoder: {kind} is not built into this FFmpeg, which has {', '.join(known) or 'none'}")
    try:
        accelerator(kind).create(codec)
    except NotImplementedError:
        raise NoHardware(f"decoder: {kind} can't decode {codec.name}; set decoder: software") from None
    except (av_error.FFmpegError, OSError):
        raise NoHardware(f"decoder: {kind} was asked for, but no such device can be opened here") from None
