"""A camera's streams as it describes them, and the one that Moretta would take, with the reason."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from operate.cameras.core.cost import cost_ms, part

Codec = Literal["H.264", "H.265", "MPEG-4", "JPEG", "other"]
_ORDER: tuple[Codec, ...] = ("H.264", "H.265", "MPEG-4", "JPEG")
"""What ingest reads, the first the most tried."""
Reason = Literal["smallest-that-fits", "only-one", "none-fits", "sizes-unknown", "asked-for"]


class VideoStream(Struct, frozen=True, kw_only=True):
    """One stream of a camera: a media profile of ONVIF. None stands for what it did not say, or said nonsense about."""

    token: str
    """Its identifier in the camera."""
    name: str
    codec: Codec
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    """The most pictures a second that its encoder may make."""
    kbps: int | None = None
    refused: str | None = None
    """Why it cannot be taken; None if it can."""


class Choice(Struct, frozen=True, kw_only=True):
    """The stream to take, and why."""

    token: str
    reason: Reason
    divisor: int | None = None
    """The most expensive stream costs ingest so many times as much, rounded; None if the camera did not say enough."""


def choose(streams: Sequence[VideoStream], *, long_side: int, fps: float) -> Choice | None:
    """Return the stream to take for pictures that are analysed at this size and rate; None if none can be taken.

    It is the one that costs ingest least, of those that have as many pixels and pictures as are analysed. If none has,
    it is the one with the most pixels.
    """
    usable = [one for one in streams if one.refused is None]
    if len(usable) < 2:
        return Choice(token=usable[0].token, reason="only-one") if usable else None
    sized = [one for one in usable if one.width and one.height]
    if not sized:
        return Choice(token=min(usable, key=_codec_order).token, reason="sizes-unknown")
    fitting = [one for one in sized if _fits(one, long_side, fps)]
    if fitting:
        best = min(fitting, key=lambda one: (_cost(one, fps), _codec_order(one)))
        return _chosen(best, "smallest-that-fits", sized, fps)
    best = max(sized, key=lambda one: (_pixels(one), -_codec_order(one)))
    return _chosen(best, "none-fits", sized, fps)


def named(streams: Sequence[VideoStream], text: str, *, fps: float) -> Choice | None:
    """Return the stream that somebody asked for by its token or its name; None if there is no such usable one."""
    usable = [one for one in streams if one.refused is None]
    found = next((one for one in usable if one.token == text), None)
    found = found or next((one for one in usable if one.name == text), None)
    return _chosen(found, "asked-for", [one for one in usable if one.width and one.height], fps) if found else None


def in_words(choice: Choice, *, long_side: int, fps: float) -> str:
    """Return why a stream is taken."""
    wanted = f"{long_side} pixels and {fps:g} pictures a second"
    why = {
        "smallest-that-fits": f"the cheapest with at least {wanted}",
        "only-one": "the only one that can be taken",
        "none-fits": f"none has {wanted}; this one has the most pixels",
        "sizes-unknown": "the camera says no sizes; look at the picture's size once it is live",
        "asked-for": "asked for",
    }[choice.reason]
    cheaper = choice.divisor is not None and choice.divisor > 1
    return f"{why}; it costs ingest about {part(choice.divisor or 1)} of the most expensive one" if cheaper else why


def _chosen(one: VideoStream, reason: Reason, sized: Sequence[VideoStream], fps: float) -> Choice:
    known = [_cost(each, fps) for each in sized if each.fps]
    divisor = round(max(known) / _cost(one, fps)) if known and one.width and one.height and one.fps else None
    return Choice(token=one.token, reason=reason, divisor=divisor)


def _fits(one: VideoStream, long_side: int, fps: float) -> bool:
    return max(one.width or 0, one.height or 0) >= long_side and (one.fps is None or one.fps >= fps)


def _pixels(one: VideoStream) -> int:
    return (one.width or 0) * (one.height or 0)


_USUAL_FPS = 25.0


def _cost(one: VideoStream, fps: float) -> float:
    return cost_ms(one.width or 0, one.height or 0, one.fps or _USUAL_FPS, fps)


def _codec_order(one: VideoStream) -> int:
    return _ORDER.index(one.codec) if one.codec in _ORDER else len(_ORDER)
