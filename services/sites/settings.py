"""The section `sites` of the settings file: the settings of each site, which all four services read.

Durations are seconds and say so in their names. Cross-field rules are in `services.sites.problems`.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, Struct, UnsetType, field

from proto.types import WHOLE_SITE, CameraId, Fraction, Profile, RuleId, Severity, SiteId, ZoneId
from services.kernel.settings import Secret
from services.sites.profiles import USUAL
from services.sites.texts import LanguageTag

Name = Annotated[str, Meta(min_length=1, max_length=80)]
Action = Annotated[str, Meta(min_length=1, max_length=200)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WallTime = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d\Z", description='a time in quotes such as "07:30"')]


class RestSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours at which cameras are paused, by the clock of the site. An end before or at the start is on the next day."""

    start: WallTime
    end: WallTime
    days: Annotated[tuple[Day, ...], Meta(min_length=1)] = DAYS
    """The days on which it starts."""


Point = tuple[Fraction, Fraction]
"""x and y in shares of the picture's width and height, from its upper left corner."""
Polygon = Annotated[list[Point], Meta(min_length=3, max_length=64)]


class ZoneAreaSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a camera's picture that is a zone of its own. A face's position is the middle of its box."""

    zone: ZoneId
    area: Polygon


Counts = Literal["both", "leftwards", "rightwards"]


class LineSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line in the picture: only people who cross it are counted, and people who turn back on it are not.

    Left and right are as seen when going from `start` to `end` in the picture.
    """

    start: Point
    end: Point
    counts: Counts = "both"
    """Which people are counted: those who cross it to its right, to its left, or both."""


class PrivacySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Areas that a camera must not see: they are made black before a picture leaves the camera's thread."""

    drawn_for: tuple[Annotated[int, Meta(ge=16, le=8192)], Annotated[int, Meta(ge=16, le=8192)]]
    """Width and height of the camera's picture on which the areas were drawn, in square pixels as players show it. A
    picture of another size stops the camera, since it may show something else at the same place. The camera stays
    stopped, even if the old size comes back, until somebody looks and changes the camera's settings, or restarts
    ingest."""
    areas: Annotated[list[Polygon], Meta(min_length=1, max_length=32)]


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One camera. `url` is a file, an rtsp(s)/http(s) URL or a local video device (`/dev/video0`).

    A login stands in `user` and `password` as it is, or percent-encoded in the URL.

    With the URL `whip://`, a WebRTC peer such as a phone publishes to the camera by WHIP (RFC 9725), with the `token`.
    """

    id: CameraId
    zone: ZoneId | None = None
    """The zone of people who are in none of `zone_areas`; None: they count for the whole site only."""
    zone_areas: Annotated[list[ZoneAreaSettings], Meta(max_length=32)] = []
    """Parts of the picture that are zones of their own; a passage belongs to the zone where it was longest."""
    line: LineSettings | None = None
    ignore: Annotated[list[Polygon], Meta(max_length=32)] = []
    """Parts of the picture in which nobody is counted, such as a screen or a mirror that shows faces."""
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    user: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    """Who logs in at an rtsp(s) or http(s) camera."""
    password: Secret | None = None
    token: Secret | None = None
    """A peer with this token may publish to a `whip://` camera and see its state; other cameras have no token."""
    fps: Annotated[float, Meta(ge=0.1, le=30)] = 5.0
    """Analysed pictures per second."""
    long_side: Annotated[int, Meta(ge=160, le=1920, multiple_of=32)] = 640
    """The analysed picture's longer side in pixels; the other keeps the aspect."""
    loop: bool = False
    paced: bool = True
    """A file plays by its timestamps; False reads it as fast as pictures are analysed, with nothing shed."""
    transport: Literal["tcp", "udp"] = "tcp"
    ca_file: Annotated[str, Meta(min_length=1)] | None = None
    """PEM file with the certificate of an rtsps:// or https:// camera, or of its issuing CA; None, or `system`: the
    system's authorities."""
    tls_verify: bool = True
    """Whether the certificate of such a camera is verified. If not, its password goes to any server that answers."""
    allow_link_local: bool = False
    """Whether it may have a link-local address (169.254.0.0/16, fe80::/10), as a camera without a DHCP server has."""
    decoder: Literal["software", "cuda", "vaapi", "qsv", "drm"] = "software"
    """The decoder. If a graphics card's decoder is set and is not there, the camera stops; there is no fallback."""
    skip_loop_filter: bool = False
    """Leave out H.264's and H.265's smoothing of block edges: about a fifth less work for a blockier picture."""
    privacy: PrivacySettings | None = None
    rests: list[RestSettings] = []
    """When it is paused, in addition to the site's own hours."""
    open_timeout_s: Seconds = 10.0
    read_timeout_s: Seconds = 5.0

    @property
    def login_url(self) -> str:
        """The URL with user and password in it, percent-encoded (RFC 3986 §3.2.1). It is a secret."""
        if self.user is None:
            return self.url
        password = "" if self.password is None else f":{quote(self.password.reveal(), safe='')}"
        return self.url.replace("://", f"://{quote(self.user, safe='')}{password}@", 1)

    @property
    def is_peer(self) -> bool:
        """Whether a peer publishes to it; ingest fetches from other cameras."""
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
    name: Name | dict[LanguageTag, Name] | UnsetType | None = UNSET
    """What people call it, in mails and on the page. It decides no number, so it is not in the stream."""
    action: Action | dict[LanguageTag, Action] | UnsetType | None = UNSET
    """What the receiver of an alert should do, in a sentence or two."""


class TrackingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How sightings become a passage."""

    min_hits: Annotated[int, Meta(ge=1, le=50)] = 3
    """Sightings that confirm a track."""
    max_gap_s: Annotated[float, Meta(gt=0, le=10)] = 3.0
    """A track ends when it was unseen for this long; never longer than the site's `lateness_s`.

    Of a person who stood it ends later: after six times as long as they stood, ten times this at most.
    """
    min_size: Fraction = 0.0
    """A track whose largest face is smaller than this share of the picture's width makes no passage."""


class OperationsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When operators are told that numbers are missing."""

    camera_down_windows: Annotated[int, Meta(ge=1, le=50)] = 1
    """This many windows in a row that lost more than half of a camera's time raise a `camera-down`."""
    no_data_windows: Annotated[int, Meta(ge=1, le=50)] = 3
    """This many windows in a row that no rule of a zone could judge raise a `no-data`."""


class SiteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One site: a market, a station, a bus."""

    id: SiteId
    name: Name | None = None
    timezone: str = "UTC"
    language: LanguageTag = "en"
    """That of the people there. Texts that lack a reader's language are shown in it."""
    profile: Profile = USUAL
    window_s: Seconds = 1_200.0
    lateness_s: Seconds = 5.0
    """How long after its end a window closes; up to half a second later where `max_gap_s` is as long."""
    close_on_end: bool = False
    """For recorded files: close windows once every camera was read beyond them, and the open ones when all have
    ended."""
    suppress_below: Annotated[int, Meta(ge=0, le=1_000)] | None = None
    """Figures about fewer people are suppressed; None: the legal profile's limit. May not be lower than that limit."""
    rests: list[RestSettings] = field(default_factory=list)
    """When every camera is paused."""
    cameras: list[CameraSettings] = field(default_factory=list)
    zones: list[ZoneSettings] = field(default_factory=list)
    rules: list[RuleSettings] = field(default_factory=list)
    tracking: TrackingSettings = TrackingSettings()
    operations: OperationsSettings = OperationsSettings()

    def rule(self, zone: str, rule: str) -> RuleSettings | None:
        """Return a zone's rule of that id; None if the settings have it no more."""
        return next((one for one in self.rules if (one.zone, one.id) == (zone, rule)), None)

    def zone_name(self, zone: str) -> str:
        """Return what people call the zone; the site's own name for the whole site."""
        names = {z.id: z.name or z.id for z in self.zones}
        return names.get(zone, self.name or self.id)


def local_zone(site: SiteSettings) -> ZoneInfo:
    """Return the site's time zone, for where people read a time."""
    return ZoneInfo(site.timezone)


def clock_phase_s(site: SiteSettings) -> float:
    """Return how far the site's clock is ahead of UTC, whole hours left out: 0, 1800 or 2700 s nearly everywhere.

    It is that of standard time, so that summer time moves nothing. Where summer time adds half an hour (Lord Howe
    Island), the clock's full hours are then half hours of windows.
    """
    moment = datetime(2026, 1, 1, tzinfo=local_zone(site))
    standard = (moment.utcoffset() or timedelta()) - (moment.dst() or timedelta())
    return standard.total_seconds() % 3_600
