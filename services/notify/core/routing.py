"""Which receiver is told of an alert, by which route, and together with what."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal
from zoneinfo import ZoneInfo

from proto.types import WHOLE_SITE, CameraId, ReceiverId, RuleId, Severity, SiteId, ZoneId
from services.notify.core.notification import Audience, Group, Notice
from services.notify.core.times import ALWAYS, Schedule

GroupBy = Literal["site", "zone", "rule"]
CAMERA_DOWN, NO_DATA = "camera-down", "no-data"
SECOND = 1_000_000_000
HOURLY_CAP = 12
"""Notifications of a receiver, site and hour; beyond it one digest is told."""


@dataclass(frozen=True, slots=True)
class Route:
    """A way from alerts to a receiver. What it matches by: an empty set matches all. Durations are ns."""

    receiver: ReceiverId
    audience: Audience = "field"
    sites: frozenset[SiteId] = frozenset()
    zones: frozenset[ZoneId] = frozenset()
    rules: frozenset[RuleId] = frozenset()
    severities: frozenset[Severity] = frozenset()
    goes_on: bool = False
    """Whether the routes behind it are asked too, after a match."""
    group_by: frozenset[GroupBy] = frozenset({"site"})
    wait: int = 10 * SECOND
    """So long a change waits for others, to be told with them."""
    interval: int = 300 * SECOND
    """So long a group is left alone after it was told of."""
    repeat: int = 14_400 * SECOND
    """After so long without a change what fires still is told again."""
    send_resolved: bool = True
    schedule: Schedule = ALWAYS
    named: bool = True
    """Whether it is written in the settings; else it stands for a receiver without routes."""

    @property
    def key(self) -> str:
        """What tells it from other routes to the receiver: what it matches. Waits and times may change in between."""
        if not self.named:
            return ""
        sets = (self.sites, self.zones, self.rules, self.severities)
        return sha256("\0".join([self.audience, *(" ".join(sorted(names)) for names in sets)]).encode()).hexdigest()[:8]

    def matches(self, notice: Notice, zones: frozenset[ZoneId]) -> bool:
        """Return whether it leads an alert, which is about these zones, to its receiver."""
        return (
            notice.audience == self.audience
            and (not self.sites or notice.site in self.sites)
            and (not self.zones or not self.zones.isdisjoint(zones))
            and (not self.rules or notice.rule in self.rules)
            and (not self.severities or notice.severity in self.severities)
        )

    def group(self, notice: Notice) -> Group:
        """Return with what an alert that it matches is told."""
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
    """A site, as routing and inhibition ask: its time zone, and which zones its cameras look at."""

    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    cameras: Mapping[CameraId, frozenset[ZoneId]] = field(default_factory=dict)

    def zones(self, notice: Notice) -> frozenset[ZoneId]:
        """Return the zones that an alert is about; those of a camera that is down, or the whole site."""
        if notice.audience == "operators" and notice.rule == CAMERA_DOWN:
            return self.cameras.get(notice.zone) or frozenset({WHOLE_SITE})
        return frozenset({notice.zone})


_NOWHERE = SiteFacts()


@dataclass(frozen=True, slots=True)
class Plan:
    """One state of the settings, as the dispatcher asks them."""

    routes: tuple[Route, ...]
    places: Mapping[SiteId, SiteFacts] = field(default_factory=dict)
    caps: Mapping[ReceiverId, int] = field(default_factory=dict)
    """Notifications of a receiver, site and hour."""

    def place(self, site: SiteId) -> SiteFacts:
        """Return what is known of a site; of an unknown one, a site without cameras."""
        return self.places.get(site, _NOWHERE)

    def cap(self, receiver: ReceiverId) -> int:
        """Return how many notifications a receiver gets of a site in an hour."""
        return self.caps.get(receiver, HOURLY_CAP)

    def lead(self, notice: Notice) -> Iterator[Route]:
        """Yield the routes of an alert: the first that matches, those behind it if it goes on; one a receiver."""
        zones, seen = self.place(notice.site).zones(notice), set[ReceiverId]()
        for route in self.routes:
            if not route.matches(notice, zones):
                continue
            if route.receiver not in seen:
                seen.add(route.receiver)
                yield route
            if not route.goes_on:
                return
