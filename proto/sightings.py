"""What aggregate decides from: sightings and site events, in one stream per site (ADR 5). Internal."""

from typing import Annotated

from msgspec import Meta, Struct

from proto.model_errors import ModelErrors
from proto.types import (
    Box,
    CameraId,
    CameraReason,
    CameraState,
    Count,
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

Octave = Annotated[
    int, Meta(ge=-14, le=4, description="the binary logarithm of a size in picture widths, rounded down")
]
CellNumber = Annotated[int, Meta(ge=0, le=1 << 21)]


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


class TickV1(Struct, frozen=True, tag="TickV1", kw_only=True):
    """One a second: lets time pass in the stream. Its time is the server's timestamp of the stored message."""

    site: SiteId


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


class StaticCellV1(Struct, frozen=True, array_like=True):
    """A cell of a coarse grid in which a static face hangs, or may hang: no box, and nothing finer (ADR 42).

    A face's size is between 2 ** `octave` and twice that, in picture widths; a cell is 2 ** `octave` wide and high, so
    that a face is one to two cells wide. `column` and `row` are counted from the picture's left upper corner.
    """

    octave: Octave
    column: CellNumber
    row: CellNumber
    windows: Count
    """Windows in a row that a static face was seen in; it is counted no further than is needed."""
    held: Duration
    """The length of these windows, which is counted no further than is needed."""
    missed: Duration = 0
    """How long it was not seen since."""


class StaticCameraV1(Struct, frozen=True, kw_only=True):
    """What aggregate has learnt of the static faces of one camera."""

    camera: CameraId
    windows: Count
    """Windows that it has observed; this and the next one are counted no further than is needed to learn."""
    observed: Duration
    cells: list[StaticCellV1] = []


class StaticFacesV1(Struct, frozen=True, tag="StaticFacesV1", kw_only=True):
    """Where static faces are, as far as a site has learnt it by the end of a window (ADR 42). Internal, in memory."""

    site: SiteId
    until: Nanoseconds
    """The end of the last window that it rests on."""
    cameras: list[StaticCameraV1] = []
