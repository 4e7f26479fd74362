"""The settings that decide a site's numbers, as stored in the stream, and the time from which each version holds.

It has no field for a URL, so a camera's password can never get into the stream.
"""

from functools import cached_property
from hashlib import sha256
from math import lcm
from typing import Self

import msgspec
from msgspec import UNSET, Struct, UnsetType, field, structs

from proto.sightings import SiteConfigV1
from proto.types import WHOLE_SITE, CameraId, Profile, SiteId, ZoneId
from services.aggregate.core.ground import Ground
from services.sites.settings import (
    CameraSettings,
    LineSettings,
    OperationsSettings,
    Polygon,
    RuleSettings,
    Seconds,
    SiteSettings,
    TrackingSettings,
    ZoneAreaSettings,
    clock_phase_s,
)

SECOND = 1_000_000_000
"""In nanoseconds."""
FAIR = SECOND // 2
"""A sender's clock may be behind the server's by this much and is right (ADR 38)."""
AHEAD = 24 * 3_600 * SECOND
"""A recording that is read faster than it plays is ahead of the server's clock; more than this is a mistake."""
CLOCK_AHEAD = 3_660 * SECOND
"""The clock of a live camera's host may be an hour wrong. With more, people would count in windows of another part of
the day. The passages of such windows are not kept that long, and a change of configuration would wait behind these
windows."""


class CameraConfig(Struct, frozen=True, kw_only=True):
    """A camera: its zone (none: only the whole site); in its picture zone areas, counting line and ignored areas."""

    id: CameraId
    zone: ZoneId = WHOLE_SITE
    zone_areas: list[ZoneAreaSettings] = []
    line: LineSettings | None = None
    ignore: list[Polygon] | UnsetType = UNSET
    """Left out if there are none: a site without them keeps the hash that it had before there were any (ADR 29)."""

    @property
    def ignored(self) -> list[Polygon]:
        """The areas in which nobody is counted."""
        return [] if self.ignore is UNSET else self.ignore


class SiteConfig(Struct, frozen=True, kw_only=True, dict=True):
    """The settings that decide a site's numbers."""

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
        """Return the part of a site's settings that decides its numbers; order in the file does not matter."""
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
            rules=sorted(map(_rule, settings.rules), key=lambda r: r.id),
            tracking=settings.tracking,
            operations=settings.operations,
        )

    @classmethod
    def decode(cls, message: SiteConfigV1) -> Self:
        """Return a stored configuration; ValueError if another version wrote it and this one cannot apply it."""
        config = msgspec.json.decode(message.config, type=cls)
        if not divides_hour(config.window_s):
            raise ValueError(f"window_s {config.window_s} does not divide an hour")
        return config

    def message(self, since: int | None = None) -> SiteConfigV1:
        """Return the message that puts this configuration into force; `since` is the border that was decided, ns."""
        return SiteConfigV1(site=self.site, sha256=self.sha256, config=self._canonical.decode(), since=since)

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
    def open_for(self) -> int:
        """How long after its end a window closes, in ns: after `lateness`, and `FAIR` after the longest gap of a track.

        Time may be ahead by that much (ADR 38), and a track that a window ends too soon counts in the next one, too.
        """
        return max(self.lateness, self.max_gap + FAIR)

    @cached_property
    def phase(self) -> int:
        """`phase_s` in ns."""
        return round(self.phase_s * SECOND)

    @property
    def most_ahead(self) -> int:
        """By how much a message of its cameras may be ahead of the server's clock, in ns."""
        return AHEAD if self.close_on_end else CLOCK_AHEAD

    @cached_property
    def max_gap(self) -> int:
        """How long a track may go unseen, in ns: no longer than `lateness`, or a track would count in two windows.

        One whose person waited may for longer (`track.LONGEST`); a window that closes meanwhile ends it.
        """
        return min(round(self.tracking.max_gap_s * SECOND), self.lateness)

    @cached_property
    def grounds(self) -> dict[str, Ground]:
        """The ground of each camera, by camera: zone, zone areas, counting line, smallest face and ignored areas."""
        smallest = self.tracking.min_size
        return {c.id: Ground(c.zone, tuple(c.zone_areas), c.line, smallest, c.ignored) for c in self.cameras}

    @cached_property
    def zone_cameras(self) -> dict[str, list[str]]:
        """Cameras by zone, in the order of publication: only zones that have cameras, the whole site last."""
        found = {zone: [c for c, ground in self.grounds.items() if zone in ground.zones] for zone in self.zones}
        found[WHOLE_SITE] = list(self.grounds)
        return {zone: cameras for zone, cameras in found.items() if cameras}

    def start_of(self, at: int) -> int:
        """Return the border at or before `at`: windows are aligned to full hours of the site's clock."""
        return at - (at + self.phase) % self.window


def divides_hour(window_s: float) -> bool:
    """Return whether an hour is a whole number of windows of this length."""
    window = round(window_s * SECOND)
    return window > 0 and 3_600 * SECOND % window == 0


def _rule(settings: RuleSettings) -> RuleSettings:
    """Return what of a rule decides: another name for it begins no new row."""
    return structs.replace(settings, name=UNSET, action=UNSET)


def _camera(camera: CameraSettings) -> CameraConfig:
    zone = camera.zone or WHOLE_SITE
    areas, ignored = camera.zone_areas, camera.ignore or UNSET
    return CameraConfig(id=camera.id, zone=zone, zone_areas=areas, line=camera.line, ignore=ignored)


class ConfigSchedule:
    """The configurations of a site by the event time from which they hold.

    The first one holds from `since` (ns) on, and also before: earlier ones are known no more.
    """

    def __init__(self, first: SiteConfig, since: int | None = None) -> None:
        self._entries: list[tuple[int, SiteConfig]] = [(first.start_of(0) if since is None else since, first)]
        self._resumed: int | None = None
        """Where the first one goes on behind published windows. It is no border that was decided: none to announce."""

    def at(self, moment: int) -> SiteConfig:
        """Return the configuration in force at an event time."""
        return self._entry(moment)[1]

    @property
    def coming(self) -> SiteConfig:
        """The newest configuration, in force or to come."""
        return self._entries[-1][1]

    def border(self, config: SiteConfig) -> int | None:
        """Return the event time from which the newest configuration holds.

        None if it holds always, if it is another, or if that time only stands in for one that nobody knows any more.
        """
        since, newest = self._entries[-1]
        return since if since > 0 and since != self._resumed and newest.sha256 == config.sha256 else None

    def window_at(self, moment: int) -> tuple[int, int]:
        """Return start and end of the window that an event time falls into.

        A new configuration may take over between two of its own borders, when its clock differs from the old one's by a
        part of a window. Then its first window ends at its second border: no window may be shorter than a legal profile
        demands.
        """
        since, config = self._entry(moment)
        if moment < since:
            start = config.start_of(moment)
            return start, min(start + config.window, since)
        first = config.start_of(since)
        border = since if first == since else first + 2 * config.window
        if moment < border:
            return since, border
        start = config.start_of(moment)
        return start, start + config.window

    def change(self, config: SiteConfig, after: int, since: int | None = None) -> None:
        """Put a configuration into force at the next border after a moment, instead of one that is still to come.

        `since` is the border that was decided before, if it was: a replay may not see all that decided it.
        """
        decided = since if since is not None and since > after else None
        at, newest = self._entries[-1]
        if decided is None and at > after and newest.sha256 == config.sha256:  # it is still to come
            return
        self._entries = self._entries[:1] + [entry for entry in self._entries[1:] if entry[0] <= after]
        now = self._entries[-1][1]
        if config.sha256 != now.sha256:
            self._entries.append((decided or self._border(now, config, after), config))

    def go_on_from(self, done: int) -> None:
        """Let the first configuration hold from the end of the last published window if it has no border there.

        Then the one before is known no more: the stream has lost its messages. No window may overlap a published one.
        """
        if self.window_at(done)[0] != done:
            self._entries[0] = (done, self._entries[0][1])
            self._resumed = done

    def forget(self, before: int) -> None:
        """Drop the configurations that hold for closed windows only."""
        while len(self._entries) > 1 and self._entries[1][0] <= before:
            del self._entries[0]

    def _entry(self, moment: int) -> tuple[int, SiteConfig]:
        for entry in reversed(self._entries):  # a loop, since this is called several times per message
            if entry[0] <= moment:
                return entry
        return self._entries[0]

    def _border(self, old: SiteConfig, new: SiteConfig, after: int) -> int:
        """Return the next border that old and new windows share; by another clock, the next border of the old ones.

        Both lengths divide an hour, so a shared border is near.
        """
        end = self.window_at(after)[1]
        if old.phase != new.phase:
            return end
        grid = lcm(old.window, new.window)
        return end + -(end + old.phase) % grid
