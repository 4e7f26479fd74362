"""What aggregate remembers of one camera's day, to notice drift (ADR 9). Internal, site-local.

Histograms of face sightings, and how many passages there were and how many of them stayed at one place: no box, no time
of day, and of the verdicts only whether there was one.
"""

from typing import Annotated

from msgspec import Meta, Struct

from proto.types import CameraId, Count, Nanoseconds, Sequence, Sha256, SiteId

LocalDay = Annotated[
    str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="a calendar day in the site's time zone")
]
Histogram = list[Count]
"""Faces per bin. What the bins are is the writer's matter; a reader with another number of bins leaves it alone."""


class DriftCounts(Struct, frozen=True, kw_only=True):
    """The faces that one model found in one day; each of them is in one bin of each histogram."""

    model_sha256: Sha256
    unknown: Count
    """Faces without a verdict."""
    sizes: Histogram
    """By the logarithm of the size (the geometric mean of a box's sides) as a share of the picture's longer side."""
    scores: Histogram
    """By the detector's score."""


class DriftDayV1(Struct, frozen=True, tag="DriftDayV1", kw_only=True):
    """One camera's day so far, by model; the last record of a day is in force, and holds the earlier ones.

    `stream_created`, `stream_sequence` and `stream_time` (the latest server's timestamp up to there) name the message
    of the sightings stream up to which it counts, so that a replay counts nothing twice.
    """

    site: SiteId
    camera: CameraId
    day: LocalDay
    stream_created: Nanoseconds
    stream_sequence: Sequence
    stream_time: Nanoseconds
    models: list[DriftCounts]
    passages: Count = 0
    stayed: Count = 0
    """Those of the passages that neither came nor went: the face was lost where it was found, in one size."""
