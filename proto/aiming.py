"""Aiming a camera without a picture: sizes of faces and the picture's quality.

No message here holds a verdict or a count of faces: shares are in steps of five percent, the heat map is normalised to
its maximum and has ten steps. Neither is there before ten seconds had somebody in them, both are renewed every 5 s
alone, and under the profile fr-2021-269 there is neither. Site-local; reports are in no stream.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.control import OperatorName, Why
from proto.types import CameraId, Duration, Fraction, Length, Nanoseconds, Pixels, SiteId

HEAT_COLUMNS, HEAT_ROWS = 32, 18
LONGEST_S = 30.0

Heat = Annotated[
    str, Meta(pattern=r"^[0-9]{576}\Z", description="18 rows of 32 digits, the upper row first; 9 is the maximum")
]
Reason = Annotated[str, Meta(min_length=1, max_length=200, description="a reason of 1 to 200 characters")]
AimSeconds = Annotated[float, Meta(ge=1, le=LONGEST_S)]
AdviceCode = Literal[
    "no-picture",
    "too-dark",
    "too-bright",
    "against-light",
    "blurred",
    "no-face",
    "move-closer",
    "turn-to-faces",
    "faces-withheld",
    "fine",
]
AimEnd = Literal["time", "paused", "replaced", "out-of-service"]


class AimRequestV1(Struct, frozen=True, tag="AimRequestV1", kw_only=True):
    """Tell for so many seconds what a camera's picture is good for. Recorded, as every order is."""

    site: SiteId
    camera: CameraId
    operator: OperatorName
    why: Reason
    seconds: AimSeconds = LONGEST_S
    at: Nanoseconds | None = None
    """When it was given. One that is older than ten seconds when it arrives is not carried out: nobody waits for it."""


class AimReplyV1(Struct, frozen=True, tag="AimReplyV1", kw_only=True):
    """Whether reports follow, and which: those with this `since`."""

    site: SiteId
    camera: CameraId
    since: Nanoseconds | None = None
    """When it began; None if it did not."""
    error: str | None = None
    """Why it did not."""


class AimRecordV1(Struct, frozen=True, tag="AimRecordV1", kw_only=True):
    """Who aimed which camera, when, for how long at most, and why. The stream is the audit."""

    site: SiteId
    camera: CameraId
    operator: OperatorName
    at: Nanoseconds
    seconds: AimSeconds
    why: Why = ""


class PictureSize(Struct, frozen=True):
    """Width and height in pixels."""

    width: Pixels
    height: Pixels


class Quantiles(Struct, frozen=True):
    """0.1, 0.5 and 0.9 quantile of the faces' sizes, in whole pixels: a size is the root of a box's area."""

    p10: Length
    p50: Length
    p90: Length


class Advice(Struct, frozen=True):
    """What to do, as a code; its words belong to the program that shows it.

    `share` is the share of the faces that it is about, `limit` the size, in pixels of the analysed picture, that they
    don't have, or of `fine` the `long_side` that would do, too; 0 where it is about neither.
    """

    code: AdviceCode
    share: Fraction = 0.0
    limit: Length = 0.0


class AimReportV1(Struct, frozen=True, tag="AimReportV1", kw_only=True):
    """What was seen since `since`; of faces, up to the last whole 5 s.

    What is about faces is None until ten seconds had a face in them, and where the site's profile withholds it.
    """

    site: SiteId
    camera: CameraId
    since: Nanoseconds
    at: Nanoseconds
    left: Duration
    """How much longer reports come."""
    ended: AimEnd | None = None
    """In the last report: why it is the last."""
    picture: PictureSize | None = None
    """The camera's own picture."""
    analysed: PictureSize | None = None
    """The picture that faces are looked for in."""
    brightness: Fraction | None = None
    """Mean luma, 0 black to 1 white. This and the next three: over the last second, without privacy areas."""
    dark: Fraction | None = None
    """Share of nearly black pixels."""
    clipped: Fraction | None = None
    """Share of white pixels, in which nothing can be told apart."""
    sharpness: Fraction | None = None
    """See `FrameQualityV1.sharpness`; None where the picture has no contrast to tell it by."""
    heat: Heat | None = None
    """Where faces were."""
    sizes: Quantiles | None = None
    """In pixels of the analysed picture."""
    picture_sizes: Quantiles | None = None
    """In pixels of the camera's own picture."""
    smallest: Length | None = None
    """The smallest size that is judged, in pixels of the analysed picture."""
    too_small: Fraction | None = None
    """Share of the faces that are smaller."""
    unsure: Fraction | None = None
    """Share of the faces that are large enough, and yet nobody can say whether they are masked."""
    advice: list[Advice] = []
    """The most important first."""
