"""The section `sites` of the settings file: what all four services know of a site.

Durations are seconds and say so in their names. Cross-field rules are in `services.sites.problems`.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from proto.types import WHOLE_SITE, CameraId, Fraction, Profile, RuleId, Severity, SiteId, ZoneId
from services.kernel.settings import Secret
from services.sites.profiles import USUAL

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WallTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z", description='a time in quotes such as "07:30"')]


class RestSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours at which cameras are paused, by the clock of the site. An end not after the start is on the next day."""

    start: WallTime
    end: WallTime
    days: Annotated[tuple[Day, ...], Meta(min_length=1)] = DAYS
    """The days on which it starts."""


Point = tuple[Fraction, Fraction]
"""x and y in shares of the picture's width and height, from its upper left corner."""
Polygon = Annotated[list[Point], Meta(min_length=3, max_length=64)]


class ZoneAreaSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a camera's picture that is a zone of its own. A face is where the middle of its box is."""

    zone: ZoneId
    area: Polygon


Counts = Literal["both", "leftwards", "rightwards"]


class LineSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line in the picture: only who crosses it is counted, and who turns back on it is not.

    Left and right are those of somebody who goes from `start` to `end` in the picture.
    """

    start: Point
    end: Point
    counts: Counts = "both"
    """Who is counted: those who cross it to its right, to its left, or both."""


class PrivacySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a camera must not see: areas that are made black before a picture leaves the camera's thread."""

    drawn_for: tuple[Annotated[int, Meta(ge=16, le=8192)], Annotated[int, Meta(ge=16, le=8192)]]
    """Width and height of the camera's picture, in square pixels as players show it, that the areas were drawn on. A
    picture of another size stops the camera (it may show something else at the same place), also when the old size
    comes back, until somebody looked and the camera's settings changed, or ingest was started anew."""
    areas: Annotated[list[Polygon], Meta(min_length=1, max_length=32)]


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One camera. `url` is a file, an rtsp(s)/http(s) URL or a local video device (`/dev/video0`).

    To a camera with the URL `whip://` a WebRTC peer, such as a phone, publishes by WHIP (RFC 9725), with the `token`.
    """

    id: CameraId
    zone: ZoneId | None = None
    """The zone of whoever is in none of `zone_areas`; None: the whole site's number alone."""
    zone_areas: Annotated[list[ZoneAreaSettings], Meta(max_length=32)] = []
    """Parts of the picture that are zones of their own; a passage belongs to the zone in which it was the longest."""
    line: LineSettings | None = None
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    token: Secret | None = None
    """Who has it may publish to a `whip://` camera and see its state; others have none."""
    fps: Annotated[float, Meta(ge=0.1, le=30)] = 5.0
    """Analysed pictures per second."""
    long_side: Annotated[int, Meta(ge=160, le=1920, multiple_of=32)] = 640
    """The analysed picture's longer side in pixels; the other keeps the aspect."""
    loop: bool = False
    paced: bool = True
    """A file plays by its timestamps; False reads it as fast as pictures are analysed, with nothing shed."""
    transport: Literal["tcp", "udp"] = "tcp"
    ca_file: Annotated[str, Meta(min_length=1)] | None = None
    """PEM file with the certificate of an rtsps:// or https:// camera, or of who vouches for it; None, or `system`: the
    system's authorities."""
    tls_verify: bool = True
    """Whether such a camera must prove who it is. Without that its password goes to whoever answers."""
    allow_link_local: bool = False
    """Whether it may have a link-local address (169.254.0.0/16, fe80::/10), as a camera that no DHCP server knows."""
    decoder: Literal["software", "cuda", "vaapi", "qsv", "drm"] = "software"
    """Who decodes. A graphics card's decoder that is asked for and isn't there stops the camera; nothing falls back."""
    skip_loop_filter: bool = False
    """Leave out H.264's and H.265's smoothing of block edges: about a fifth less work for a blockier picture."""
    privacy: PrivacySettings | None = None
    rests: list[RestSettings] = []
    """When it is paused, beside the site's own hours."""
    open_timeout_s: Seconds = 10.0
    read_timeout_s: Seconds = 5.0

    @property
    def is_peer(self) -> bool:
        """Whether a peer publishes to it, instead of it being fetched."""
        return self.url.lower().startswith("whip:")


class ZoneSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a site that has numbers of its own."""

    id: ZoneId
    name: Name | None = None


class RuleSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rate rule (ADR 7): fires below, clears above, and the interval's upper bound must breach too."""

    id: RuleId
    zone: ZoneId = WHOLE_SITE
    fire_below: Fraction
    clear_above: Fraction
    for_windows: Annotated[int, Meta(ge=1, le=50)] = 2
    min_persons: Annotated[int, Meta(ge=1)] = 20
    severity: Severity = "warning"


class TrackingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What makes a passage of sightings."""

    min_hits: Annotated[int, Meta(ge=1, le=50)] = 3
    """Sightings that confirm a track."""
    max_gap_s: Annotated[float, Meta(gt=0, le=10)] = 3.0
    """A track ends when it was not seen for so long; never longer than the site's `lateness_s`."""
    min_size: Fraction = 0.0
    """A track whose largest face is smaller than this share of the picture's width makes no passage."""


class OperationsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When those who run the system are told that numbers are missing."""

    camera_down_windows: Annotated[int, Meta(ge=1, le=50)] = 1
    """So many windows in a row that lost more than half of a camera's time make a `camera-down`."""
    no_data_windows: Annotated[int, Meta(ge=1, le=50)] = 3
    """So many windows in a row that no rule of a zone could judge make a `no-data`."""


class SiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One site: a market, a station, a bus."""

    id: SiteId
    name: Name | None = None
    timezone: str = "UTC"
    profile: Profile = USUAL
    window_s: Seconds = 1_200.0
    lateness_s: Seconds = 5.0
    """A window closes so long after its end."""
    close_on_end: bool = False
    """Close windows once every camera was read beyond them, and the open ones when all have ended (recorded files)."""
    suppress_below: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    """A window with fewer people says nothing of them; None: as the legal profile has it. Not fewer than that."""
    rests: list[RestSettings] = field(default_factory=list)
    """When every camera is paused."""
    cameras: list[CameraSettings] = field(default_factory=list)
    zones: list[ZoneSettings] = field(default_factory=list)
    rules: list[RuleSettings] = field(default_factory=list)
    tracking: TrackingSettings = TrackingSettings()
    operations: OperationsSettings = OperationsSettings()

    def zone_name(self, zone: str) -> str:
        """Return what people call the zone; the site's own name for the whole site."""
        names = {z.id: z.name or z.id for z in self.zones}
        return names.get(zone, self.name or self.id)


def local_zone(site: SiteSettings) -> ZoneInfo:
    """Return the site's time zone, for where people read a time."""
    return ZoneInfo(site.timezone)


def clock_phase_s(site: SiteSettings) -> float:
    """Return how far the site's clock is ahead of UTC, whole hours left out: 0, 1800 or 2700 s nearly everywhere.

    Of standard time, so that summer time moves nothing; where that is half an hour (Lord Howe Island), its full hours
    are half hours of windows meanwhile.
    """
    moment = datetime(2026, 1, 1, tzinfo=local_zone(site))
    standard = (moment.utcoffset() or timedelta()) - (moment.dst() or timedelta())
    return standard.total_seconds() % 3_600
