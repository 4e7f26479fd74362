"""Constrained types that every message is made of.

Times are integer nanoseconds UTC and named by their role; durations are integer nanoseconds too. Public messages have
times as text (`Instant`): JavaScript rounds integers above 2^53.
Boxes are normalised to the picture, so that no message depends on a camera's resolution.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

# \Z and not $, which lets a newline follow; the JSON Schemas have $, which in ECMA-262 does not.
_NAME = r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z"

SiteId = Annotated[str, Meta(pattern=_NAME, description="1-32 of a-z, 0-9 and inner hyphens")]
CameraId = Annotated[str, Meta(pattern=_NAME, description="1-32 of a-z, 0-9 and inner hyphens")]
RuleId = Annotated[str, Meta(pattern=_NAME, description="1-32 of a-z, 0-9 and inner hyphens")]
ReceiverId = Annotated[str, Meta(pattern=_NAME, description="1-32 of a-z, 0-9 and inner hyphens")]
WorkerId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]
ZoneId = Annotated[
    str,
    Meta(
        pattern=r"^(?:_site|[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?)\Z",
        description="a zone's name (1-32 of a-z, 0-9 and inner hyphens), or _site for the whole site",
    ),
]
AlertId = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z", description="names one alert from firing to resolved")]

NotificationId = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{16}\Z", description="names one decision to tell a receiver something")
]
SaltName = Annotated[
    str, Meta(pattern=r"^[0-9a-f]{16}\Z", description="tells one salt of recipients' hashes from another, and no salt")
]
SilenceId = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}\Z", description="names a silence")]

WHOLE_SITE = "_site"
"""The zone that stands for the whole site."""


class Utc(int):
    """An instant as it travels: RFC 3339 text in UTC with milliseconds. In Python it is nanoseconds since 1970."""

    def text(self) -> str:
        """Return the text, such as `2026-11-25T10:20:00.000Z`; OverflowError after the year 9999."""
        moment = _EPOCH + timedelta(milliseconds=self // _MS)
        return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"

    @classmethod
    def read(cls, text: object) -> "Utc":
        """Return the instant that an RFC 3339 text names, to the microsecond; ValueError if it names none."""
        if not isinstance(text, str) or not re.match(INSTANT_PATTERN, text, re.ASCII):
            raise ValueError(
                f"Expected a time from 1970 on, such as 2026-11-25T10:20:00.000Z (RFC 3339), got {str(text)[:40]!r}"
            )
        found = cls((datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(microseconds=1) * 1_000)
        if not 0 <= found < _YEAR_10000:
            raise ValueError(f"Expected a time from 1970 to 9999 in UTC, got {text!r}")
        return found


INSTANT_PATTERN = r"^(19[7-9]\d|[2-9]\d{3})-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)\Z"
"""What JSON Schema says of it: `format` alone is checked by no validator unless it is told to."""
_EPOCH, _MS = datetime(1970, 1, 1, tzinfo=UTC), 1_000_000
_YEAR_10000 = 253_402_300_800 * 1_000_000_000
if TYPE_CHECKING:
    Instant = int
else:
    Instant = Annotated[Utc, Meta(description="a time: RFC 3339, UTC, to the millisecond")]

Nanoseconds = Annotated[int, Meta(ge=0, description="nanoseconds since 1970-01-01T00:00:00Z")]
Duration = Annotated[int, Meta(ge=0, description="a duration in nanoseconds")]
Sequence = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
# With an upper bound, which msgpack's infinity breaks: it would spoil every mean and every estimate that it gets into.
Milliseconds = Annotated[float, Meta(ge=0, le=1e9)]
Rate = Annotated[float, Meta(ge=0, le=1e6, description="how often a second")]
Pixels = Annotated[int, Meta(ge=16, le=8192)]
Length = Annotated[float, Meta(ge=0, le=1e6, description="a length in pixels")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
ModelId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}\Z")]
Key32 = Annotated[bytes, Meta(min_length=32, max_length=32)]

Box = tuple[Fraction, Fraction, Fraction, Fraction]
"""x1, y1, x2, y2, each 0..1 of the picture's width or height, origin at the top left."""
Interval = tuple[Fraction, Fraction]
"""Lower and upper bound of a 95 % interval."""

Verdict = Literal["masked", "unmasked", "incorrect", "unknown"]
VerdictCode = Literal["m", "u", "i", "n"]
"""A verdict in stored messages: all are equally long, so that the size of a stream does not tell them apart."""
Profile = Literal["fr-2021-269", "stats-only", "alerting", "lab"]
CameraState = Literal["connecting", "live", "stalled", "backing-off", "paused", "failed-config", "ended"]
CameraReason = Literal[
    "unauthorised",
    "not-found",
    "refused",
    "timeout",
    "end-of-stream",
    "undecodable",
    "no-video",
    "no-worker",
    "operator",
    "schedule",
    "bad-source",
    "picture-changed",
    "no-decoder",
    "wrong-clock",
    "stuck",
    "other",
]
AlertState = Literal["firing", "resolved"]
Severity = Literal["info", "warning", "critical"]
Channel = Literal["email", "sms", "webhook"]
