"""What a camera's answers say, as values of our own: what is missing or absurd in them is None, and never an error."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from operate.cameras.core.addresses import AddressError, service_path
from operate.cameras.core.requests import MEDIA, MEDIA2, MediaService
from operate.cameras.core.video_streams import Codec, VideoStream
from operate.cameras.core.xml import Element, shown

MAX_PROFILES = 32
_LONGEST_TOKEN = 64
"""ONVIF's own limit for a reference token."""
_CODECS: dict[str, Codec] = {
    "H264": "H.264",
    "H265": "H.265",
    "HEVC": "H.265",
    "MPEG4": "MPEG-4",
    "MPV4-ES": "MPEG-4",
    "JPEG": "JPEG",
}
_LAST_YEAR = 9_000
"""Time goes on from what a clock shows; Python's ends with the year 9999."""
_MAX_SIDE, _MAX_FPS, _MAX_KBPS = 16_384, 240.0, 1_000_000
Trouble = Literal["login", "unsupported", "fault"]


def body(root: Element) -> Element | None:
    """Return the body of a SOAP envelope; None if it is none."""
    return root.at("Body") if root.name == "Envelope" else None


def trouble(answer: Element) -> tuple[Trouble, str] | None:
    """Return why an answer is of no use, with the camera's own words for it; None if it is a good one."""
    fault = answer.at("Fault")
    if fault is None:
        return None
    words = " ".join(each.text for name in ("Text", "faultstring") for each in fault.all(name))
    codes = " ".join(each.text for name in ("Value", "faultcode") for each in fault.all(name))
    found = f"{codes} {words}".lower().replace(" ", "")
    if "notauthor" in found or "failedauthentication" in found or "unauthor" in found:
        return "login", shown(words)
    unsupported = "notsupported" in found or "notimplemented" in found or "unknownaction" in found
    return "unsupported" if unsupported else "fault", shown(words)


def clock(answer: Element) -> datetime | None:
    """Return the time that a camera's clock shows, in UTC."""
    found = next(answer.all("UTCDateTime"), None)
    if found is None:
        return None
    date, time = ("Year", "Month", "Day"), ("Hour", "Minute", "Second")
    try:
        numbers = [
            *(int(found.text_at("Date", one)) for one in date),
            *(int(found.text_at("Time", one)) for one in time),
        ]
        year, month, day, hour, minute, second = numbers
        shown = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return shown if 1970 <= year <= _LAST_YEAR else None


def model(answer: Element) -> str:
    """Return maker and model; empty if it says none."""
    found = next(answer.all("GetDeviceInformationResponse"), None)
    return shown(f"{found.text_at('Manufacturer')} {found.text_at('Model')}") if found else ""


def media_paths(answer: Element) -> dict[MediaService, str]:
    """Return the paths of the media services, by GetServices or GetCapabilities."""
    offered: dict[MediaService, str] = {}
    services: tuple[MediaService, ...] = (MEDIA, MEDIA2)
    for one in answer.all("Service"):
        for service in services:
            if one.text_at("Namespace") == service:
                _note(offered, service, one.text_at("XAddr"))
    for one in answer.all("Media"):
        _note(offered, MEDIA, one.text_at("XAddr"))
    return offered


def _note(offered: dict[MediaService, str], service: MediaService, xaddr: str) -> None:
    try:
        offered.setdefault(service, service_path(xaddr))
    except AddressError:
        return


def streams(answer: Element) -> list[VideoStream]:
    """Return the profiles with a video encoder and a printable token, the first MAX_PROFILES, each token once."""
    found: dict[str, VideoStream] = {}
    for profile in answer.all("Profiles"):
        encoder = profile.at("VideoEncoderConfiguration") or profile.at("Configurations", "VideoEncoder")
        token = profile.attributes.get("token", "")
        fit = 0 < len(token) <= _LONGEST_TOKEN and token.isprintable()
        if encoder is not None and fit and len(found) < MAX_PROFILES:
            found.setdefault(token, _stream(token, profile, encoder))
    return list(found.values())


def _stream(token: str, profile: Element, encoder: Element) -> VideoStream:
    width, height = (_number(encoder.text_at("Resolution", side), 16, _MAX_SIDE) for side in ("Width", "Height"))
    fps = _number(encoder.text_at("RateControl", "FrameRateLimit"), 0.1, _MAX_FPS)
    kbps = _number(encoder.text_at("RateControl", "BitrateLimit"), 1, _MAX_KBPS)
    sized = width is not None and height is not None
    codec = _CODECS.get(encoder.text_at("Encoding").upper().removeprefix("VIDEO/"), "other")
    return VideoStream(
        token=token, name=shown(profile.text_at("Name")) or shown(token), fps=fps,
        codec=codec, refused="its codec is none that Moretta reads" if codec == "other" else None,
        width=int(width) if sized and width else None, height=int(height) if sized and height else None,
        kbps=int(kbps) if kbps else None,
    )  # fmt: skip


def _number(text: str, least: float, most: float) -> float | None:
    """Return a number within its bounds; None for anything else."""
    if len(text) > 32 or not text.isascii():
        return None
    try:
        found = float(text)
    except ValueError:
        return None
    return found if least <= found <= most else None


def stream_uri(answer: Element) -> str:
    """Return the address of a stream, as the camera says it; empty if it says none."""
    return next(_uris(answer), "")


def _uris(answer: Element) -> Iterator[str]:
    for response in answer.all("GetStreamUriResponse"):
        yield response.text_at("MediaUri", "Uri") or response.text_at("Uri")
