"""The configuration that travels in the stream: what decides the numbers, and nothing else.

It has no field for a URL, so a camera's password can never get into the stream.
"""

from functools import cached_property
from hashlib import sha256
from typing import Self

import msgspec
from msgspec import Struct, field

from proto.sightings import SiteConfigV1
from proto.types import WHOLE_SITE, CameraId, Profile, SiteId, ZoneId
from services.aggregate.core.ground import Ground
from services.sites.settings import (
    CameraSettings,
    LineSettings,
    OperationsSettings,
    RuleSettings,
    Seconds,
    SiteSettings,
    TrackingSettings,
    ZoneAreaSettings,
    clock_phase_s,
)

SECOND = 1_000_000_000
"""In nanoseconds."""


class CameraConfig(Struct, frozen=True, kw_only=True):
    """A camera, the zone it counts for (no zone: for the whole site alone), and what its picture shows where."""

    id: CameraId
    zone: ZoneId = WHOLE_SITE
    zone_areas: list[ZoneAreaSettings] = []
    line: LineSettings | None = None


class SiteConfig(Struct, frozen=True, kw_only=True, dict=True):
    """What a site's numbers depend on."""

    site: SiteId
    profile: Profile
    window_s: Seconds
    lateness_s: Seconds
    phase_s: float = 0.0
    """How far the site's clock is ahead of UTC, in seconds, whole hours left out."""
    close_on_end: bool = False
    suppress_below: int = 0
    cameras: list[CameraConfig] = field(default_factory=list)
    zones: list[ZoneId] = field(default_factory=list)
    rules: list[RuleSettings] = field(default_factory=list)
    tracking: TrackingSettings = TrackingSettings()
    operations: OperationsSettings = OperationsSettings()

    @classmethod
    def of(cls, settings: SiteSettings) -> Self:
        """Return what of a site's settings decides its numbers; order in the file does not matter."""
        return cls(
            site=settings.id,
            profile=settings.profile,
            window_s=settings.window_s,
            lateness_s=settings.lateness_s,
            phase_s=clock_phase_s(settings),
            close_on_end=settings.close_on_end,
            suppress_below=settings.suppress_below or 0,
            cameras=sorted(map(_camera, settings.cameras), key=lambda c: c.id),
            zones=sorted(zone.id for zone in settings.zones),
            rules=sorted(settings.rules, key=lambda r: r.id),
            tracking=settings.tracking,
            operations=settings.operations,
        )

    @classmethod
    def decode(cls, message: SiteConfigV1) -> Self:
        """Return a stored configuration; ValueError if another version wrote what we cannot follow."""
        config = msgspec.json.decode(message.config, type=cls)
        if not divides_hour(config.window_s):
            raise ValueError(f"window_s {config.window_s} does not divide an hour")
        return config

    def message(self) -> SiteConfigV1:
        """Return the message that puts this configuration into force."""
        return SiteConfigV1(site=self.site, sha256=self.sha256, config=self._canonical.decode())

    @cached_property
    def _canonical(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")

    @cached_property
    def sha256(self) -> str:
        """The hash that windows carry."""
        return sha256(self._canonical).hexdigest()

    @cached_property
    def window(self) -> int:
        """A window's length in ns."""
        return round(self.window_s * SECOND)

    @cached_property
    def lateness(self) -> int:
        """How long after its end a window closes, in ns."""
        return round(self.lateness_s * SECOND)

    @cached_property
    def phase(self) -> int:
        """`phase_s` in ns."""
        return round(self.phase_s * SECOND)

    @cached_property
    def max_gap(self) -> int:
        """How long a track may go unseen, in ns: no longer than windows stay open, or it would count in two."""
        return min(round(self.tracking.max_gap_s * SECOND), self.lateness)

    @cached_property
    def grounds(self) -> dict[str, Ground]:
        """What each camera's picture shows where, by camera."""
        smallest = self.tracking.min_size
        return {c.id: Ground(c.zone, tuple(c.zone_areas), c.line, smallest) for c in self.cameras}

    @cached_property
    def zone_cameras(self) -> dict[str, list[str]]:
        """Cameras by zone, the zones that have any, in the order of publication; the whole site comes last."""
        found = {zone: [c for c, ground in self.grounds.items() if zone in ground.zones] for zone in self.zones}
        found[WHOLE_SITE] = list(self.grounds)
        return {zone: cameras for zone, cameras in found.items() if cameras}

    def start_of(self, at: int) -> int:
        """Return the border at or before `at`: windows are aligned to full hours of the site's clock."""
        return at - (at + self.phase) % self.window


def divides_hour(window_s: float) -> bool:
    """Whether windows of this length fit into an hour without a rest."""
    window = round(window_s * SECOND)
    return window > 0 and 3_600 * SECOND % window == 0


def _camera(camera: CameraSettings) -> CameraConfig:
    zone = camera.zone or WHOLE_SITE
    return CameraConfig(id=camera.id, zone=zone, zone_areas=camera.zone_areas, line=camera.line)
