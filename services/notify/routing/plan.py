"""Routing: which receiver is notified of an alert, by which route, at which local times, and in which group.

Local clock time counts. An hour that clocks repeat comes twice. Hours that begin in an hour that clocks skip begin
where the clocks go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Literal
from zoneinfo import ZoneInfo

from proto.types import WHOLE_SITE, CameraId, ReceiverId, RuleId, Severity, SiteId, ZoneId
from services.notify.notification import Audience, Group, Notice
from services.statistics.calendar import SECOND, day_start, instant, local

_MIDNIGHT = time()
_AHEAD_DAYS = 8
_WEEK = 7 * 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class Hours:
    """Times of day on some days. An end not after the start is on the next day; midnight to midnight is a whole day."""

    start: time = _MIDNIGHT
    end: time = _MIDNIGHT
    weekdays: frozenset[int] = frozenset(range(7))
    """The days on which it starts, Monday is 0."""
    dates: tuple[tuple[date, date], ...] = ()
    """Only on these days, first and last one included; if empty, on all."""
    zone: ZoneInfo | None = None
    """None: the site's zone."""

    def cover(self, at: int, here: ZoneInfo) -> bool:
        """Return whether this instant (ns) lies within; `here` is the site's zone."""
        wall = local(at, self.zone or here)
        now, today = wall.time(), wall.date()
        if self.start < self.end:
            return self.start <= now < self.end and self._starts(today)
        return (now >= self.start and self._starts(today)) or (
            now < self.end and self._starts(today - timedelta(days=1))
        )

    def change(self, after: int, here: ZoneInfo) -> int | None:
        """Return the first instant after this one at which they begin or end; None: not within the next week."""
        zone = self.zone or here
        now, today = self.cover(after, zone), local(after, zone).date()
        for days in range(-1, _AHEAD_DAYS):
            for at in sorted(self._borders(today + timedelta(days=days), zone)):
                if at > after and self.cover(at, zone) != now:
                    return at
        return None

    def _starts(self, day: date) -> bool:
        return day.weekday() in self.weekdays and (
            not self.dates or any(first <= day <= last for first, last in self.dates)
        )

    def _borders(self, day: date, zone: ZoneInfo) -> Iterator[int]:
        """Yield every instant of a day at which they could begin or end."""
        begin, end = day_start(day, zone), day_start(day + timedelta(days=1), zone)
        yield begin
        for shown in (self.start, self.end):
            for fold in (0, 1):
                yield instant(datetime.combine(day, shown, tzinfo=zone).replace(fold=fold))
        if local(begin, zone).utcoffset() != local(end, zone).utcoffset():
            yield _clock_change(begin, end, zone)


def _clock_change(before: int, after: int, zone: ZoneInfo) -> int:
    """Return the first second between two instants at which clocks are put forward or back."""
    offset, low, high = local(before, zone).utcoffset(), before // SECOND, after // SECOND
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if local(middle * SECOND, zone).utcoffset() == offset else (low, middle)
    return high * SECOND


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a route may notify: within one of `active` (if empty: always), and within none of `mute`."""

    active: tuple[Hours, ...] = ()
    mute: tuple[Hours, ...] = ()

    def mutes(self, at: int, here: ZoneInfo) -> bool:
        """Return whether notifications are muted at this instant (ns) at a site with this zone."""
        idle = bool(self.active) and not any(hours.cover(at, here) for hours in self.active)
        return idle or any(hours.cover(at, here) for hours in self.mute)

    def muted_until(self, at: int, here: ZoneInfo) -> int:
        """Return when notifications may go out again: `at` itself if they may now, and never later than in a week."""
        end, changes = at + _WEEK, dict.fromkeys((*self.active, *self.mute), at)
        while self.mutes(at, here):
            for hours, change in changes.items():
                if change <= at:
                    changes[hours] = hours.change(at, here) or end
            at = min(changes.values())
            if at >= end:
                return end
        return at


ALWAYS = Schedule()


GroupBy = Literal["site", "zone", "rule"]
CAMERA_DOWN, NO_DATA = "camera-down", "no-data"
HOURLY_CAP = 12
"""Notifications per receiver, site and hour. One digest covers the rest."""


@dataclass(frozen=True, slots=True)
class Route:
    """A route from alerts to a receiver. For its matches, an empty set matches all. Durations are ns."""

    receiver: ReceiverId
    audience: Audience = "field"
    sites: frozenset[SiteId] = frozenset()
    zones: frozenset[ZoneId] = frozenset()
    rules: frozenset[RuleId] = frozenset()
    severities: frozenset[Severity] = frozenset()
    goes_on: bool = False
    """Whether the routes after it are tried too, after a match."""
    group_by: frozenset[GroupBy] = frozenset({"site"})
    wait: int = 10 * SECOND
    """How long a change waits for others, to share a notification with them."""
    interval: int = 300 * SECOND
    """How long a group gets no notification after its last one."""
    repeat: int = 14_400 * SECOND
    """After this long without a change, alerts that still fire are reported again."""
    send_resolved: bool = True
    schedule: Schedule = ALWAYS
    named: bool = True
    """Whether the settings contain it; otherwise it is the default route of a receiver."""

    @property
    def key(self) -> str:
        """Identifies it among its receiver's routes, by what it matches. Its waits and times may change meanwhile."""
        if not self.named:
            return ""
        sets = (self.sites, self.zones, self.rules, self.severities)
        return sha256("\0".join([self.audience, *(" ".join(sorted(names)) for names in sets)]).encode()).hexdigest()[:8]

    def matches(self, notice: Notice, zones: frozenset[ZoneId]) -> bool:
        """Return whether it leads an alert about these zones to its receiver."""
        return (
            notice.audience == self.audience
            and (not self.sites or notice.site in self.sites)
            and (not self.zones or not self.zones.isdisjoint(zones))
            and (not self.rules or notice.rule in self.rules)
            and (not self.severities or notice.severity in self.severities)
        )

    def group(self, notice: Notice) -> Group:
        """Return the group of an alert that it matches."""
        return Group(
            self.receiver,
            notice.site,
            notice.audience,
            notice.zone if "zone" in self.group_by else None,
            notice.rule if "rule" in self.group_by else None,
            self.key,
        )


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A site's facts for routing and inhibition: its time zone, and the zones that its cameras look at."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    cameras: Mapping[CameraId, frozenset[ZoneId]] = field(default_factory=dict)

    def zones(self, notice: Notice) -> frozenset[ZoneId]:
        """Return the zones that an alert is about. For a camera that is down, its zones or else the whole site."""
        if notice.audience == "operators" and notice.rule == CAMERA_DOWN:
            return self.cameras.get(notice.zone) or frozenset({WHOLE_SITE})
        return frozenset({notice.zone})


_NOWHERE = SiteFacts()


@dataclass(frozen=True, slots=True)
class RoutingPlan:
    """One version of the settings, in the form that the dispatcher needs."""

    routes: tuple[Route, ...]
    places: Mapping[SiteId, SiteFacts] = field(default_factory=dict)
    caps: Mapping[ReceiverId, int] = field(default_factory=dict)
    """Maximum notifications per site and hour, by receiver."""

    def place(self, site: SiteId) -> SiteFacts:
        """Return what is known of a site; for an unknown one, a site without cameras."""
        return self.places.get(site, _NOWHERE)

    def cap(self, receiver: ReceiverId) -> int:
        """Return how many notifications about a site a receiver may get in an hour."""
        return self.caps.get(receiver, HOURLY_CAP)

    def lead(self, notice: Notice) -> Iterator[Route]:
        """Yield an alert's routes: the first match, and later ones if it goes on; at most one per receiver."""
        zones, seen = self.place(notice.site).zones(notice), set[ReceiverId]()
        for route in self.routes:
            if not route.matches(notice, zones):
                continue
            if route.receiver not in seen:
                seen.add(route.receiver)
                yield route
            if not route.goes_on:
                return
