"""Questions about what was published, and their answers: roll-ups of windows (ADR 15). Public, JSON."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.instants import Timed
from proto.public import GapReason, Suppression
from proto.types import WHOLE_SITE, Count, Fraction, Instant, Interval, ModelId, Profile, SiteId, ZoneId

Step = Literal["window", "hour", "day", "total"]
"""Windows as they are; calendar hours or days by the clock of the site; all that was asked for as one period."""
TimeZone = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}\Z", description="an IANA time zone")
]
StatsError = Literal[
    "unknown-zone", "not-under-this-profile", "empty-range", "too-many-periods", "too-slow", "unavailable"
]
Given = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class StatsRequestV1(Timed, Struct, frozen=True, tag="StatsRequestV1", kw_only=True):
    """A question about one zone's published windows that start in [since, until)."""

    site: SiteId
    zone: ZoneId = WHOLE_SITE
    since: Instant | None = None
    """None: the first moment of today, by the clock of the site."""
    until: Instant | None = None
    """None: the first moment of tomorrow, by the clock of the site."""
    step: Step = "hour"


class PeriodV1(Timed, Struct, frozen=True, tag="PeriodV1", kw_only=True):
    """What the published windows that start in [start, end) add up to; nothing is counted again (ADR 15)."""

    site: SiteId
    zone: ZoneId
    profiles: list[Profile] = []
    """What the windows were published under: more than one where it was changed within the period."""
    start: Instant
    end: Instant
    persons: Count | None = None
    """The sum over the windows that show their counts, as of all counts here; None where none does."""
    masked: Count | None = None
    unmasked: Count | None = None
    incorrect: Count | None = None
    unknown: Count | None = None
    rate: Fraction | None = None
    """masked / (masked + unmasked + incorrect) of the sums. Where a profile withholds verdicts (`masked` is None beside
    `persons`): the mean of the windows' rates, weighted by their persons. That is an approximation: faces that could
    not be judged are among the persons and in no rate."""
    interval: Interval | None = None
    """95 % interval of the rate of the sums, as of a window's; None where the profile withholds them."""
    sampling_interval: Interval | None = None
    """What of it is chance alone."""
    coverage: Fraction | None = None
    """Mean over the expected windows, by their length; one that was not published counts as 0."""
    windows_expected: Count
    """Windows that start in the period and should be out by now."""
    windows_published: Count
    windows_suppressed: Count
    """Published windows that show no count: they are in no sum."""
    suppressed: Suppression | None = None
    """Why no window of the period shows its counts."""
    gaps: list[GapReason] = []
    adjusted: bool = False
    models: list[ModelId] = []


class StatsReplyV1(Timed, Struct, frozen=True, tag="StatsReplyV1", kw_only=True):
    """The answer: periods in order of time, or an error with the part of the request that it is about."""

    site: SiteId
    zone: ZoneId
    step: Step
    timezone: TimeZone
    """The site's, by whose clock hours and days are cut."""
    since: Instant
    until: Instant
    periods: list[PeriodV1] = []
    """Periods in which no window is expected, such as those to come, are left out."""
    error: StatsError | None = None
    path: Literal["zone", "since", "until", "step"] | None = None
    value: Given | None = None
    """What was given there."""
