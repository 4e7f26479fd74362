"""What aggregate decides from: sightings and site events, in one stream per site (ADR 5). Internal."""

from typing import Annotated

from msgspec import Meta, Struct

from proto.model_errors import ModelErrors
from proto.types import (
    Box,
    CameraId,
    CameraReason,
    CameraState,
    Duration,
    Fraction,
    ModelId,
    Nanoseconds,
    Sequence,
    Sha256,
    SiteId,
    Verdict,
    VerdictCode,
    ZoneId,
)

CODES: dict[Verdict, VerdictCode] = {"masked": "m", "unmasked": "u", "incorrect": "i", "unknown": "n"}
_VERDICTS: dict[VerdictCode, Verdict] = {code: verdict for verdict, code in CODES.items()}


class SightingV1(Struct, frozen=True):
    """One face in one picture."""

    box: Box
    code: VerdictCode
    score: Fraction
    """The detector's score."""
    confidence: Fraction
    """Calibrated probability of masked, or of not masked if the verdict is `unmasked` or `incorrect`; for `unknown` the
    higher of the two, which was not enough."""

    @property
    def verdict(self) -> Verdict:
        """The verdict in words."""
        return _VERDICTS[self.code]


class SightingsV1(Struct, frozen=True, tag="SightingsV1", kw_only=True):
    """All faces of one analysed picture; also sent when there is none, since it proves that somebody looked."""

    site: SiteId
    camera: CameraId
    lease: Sequence
    sequence: Sequence
    at: Nanoseconds
    period: Duration
    aspect: Annotated[float, Meta(gt=0, le=100)]
    """Width / height of the picture, so that distances in boxes can be compared."""
    model: ModelId
    model_sha256: Sha256
    faces: list[SightingV1]


class TickV1(Struct, frozen=True, tag="TickV1", kw_only=True, omit_defaults=True):
    """One a second: lets time pass in the stream, as far as the server's timestamp of it and `sent` do."""

    site: SiteId
    sent: Nanoseconds | None = None
    """When it was sent, by the sender's clock. None: an earlier version sent it, and no time passes with it."""


class CameraEventV1(Struct, frozen=True, tag="CameraEventV1", kw_only=True):
    """A camera changed its state; `ended` says that no sighting of this lease will follow."""

    site: SiteId
    camera: CameraId
    lease: Sequence
    state: CameraState
    reason: CameraReason | None = None
    at: Nanoseconds


class SiteConfigV1(Struct, frozen=True, tag="SiteConfigV1", kw_only=True, omit_defaults=True):
    """The configuration in force from this message on. `config` is the site's section as canonical JSON."""

    site: SiteId
    sha256: Sha256
    config: str
    since: Nanoseconds | None = None
    """The window's border from which it holds, once aggregate has decided it: a start may not see what decided it."""


class ModelV1(Struct, frozen=True, tag="ModelV1", kw_only=True):
    """A model that judges the site's pictures, and its errors (ADR 41); told every minute by each worker."""

    site: SiteId
    model: ModelId
    model_sha256: Sha256
    errors: ModelErrors


class PassageV1(Struct, frozen=True, tag="PassageV1", kw_only=True):
    """One short track, closed: what "a person" means here (ADR 16). No box, no track id.

    `stream_created`, `stream_sequence` and `index` name the message of the sightings stream that closed the track, so
    that a replay recognises its own passages.
    """

    site: SiteId
    camera: CameraId
    zone: ZoneId
    code: VerdictCode
    at: Nanoseconds
    """Event time of the last sighting; decides the window."""
    stream_created: Nanoseconds
    stream_sequence: Sequence
    index: Sequence

    @property
    def verdict(self) -> Verdict:
        """The verdict in words."""
        return _VERDICTS[self.code]
