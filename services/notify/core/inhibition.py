"""Inhibition: where nothing is observed, nobody is told of rates.

A zone is blind while its `no-data` fires, or a `no-data` of the whole site because of missing pictures, or while all
cameras of the zone or of the site are down. When that ends it goes on for the group's wait, since what it hid may be
over in the same window.
"""

from dataclasses import dataclass, replace

from proto.public import OperationalAlertV1
from proto.types import WHOLE_SITE, SiteId, ZoneId
from services.notify.core.notification import Notice
from services.notify.core.routing import CAMERA_DOWN, NO_DATA, SiteFacts

OPEN_END = 2**63
"""An instant that never comes: what goes on until something happens."""


@dataclass(frozen=True, slots=True)
class _Source:
    firing: bool
    stored: int
    wide: bool
    """Whether it is about the whole site: its pictures are missing, and not people alone."""

    def end(self, wait: int) -> int:
        return OPEN_END if self.firing else self.stored + wait


class Inhibition:
    """The operational alerts that inhibit, whether anybody is told of them or not."""

    def __init__(self) -> None:
        self._sources: dict[SiteId, dict[tuple[str, str], _Source]] = {}

    def take(self, notice: Notice) -> bool:
        """Take a state in; return whether it may change what is inhibited at its site."""
        message = notice.message
        if not isinstance(message, OperationalAlertV1) or notice.rule not in {CAMERA_DOWN, NO_DATA}:
            return False
        sources, key = self._sources.setdefault(notice.site, {}), (notice.rule, notice.zone)
        before = sources.get(key)
        if before is None and not notice.firing:
            return False
        wide = message.reason is not None if notice.firing else before is not None and before.wide
        sources[key] = _Source(notice.firing, notice.stored, wide)
        return True

    def until(self, notice: Notice, place: SiteFacts, wait: int) -> int:
        """Return when an alert about a rate is free again, ns: OPEN_END if that isn't known, 0 if it never was."""
        sources = self._sources.get(notice.site)
        if notice.audience != "field" or not sources:
            return 0
        ends = [_no_data(sources, notice.zone, wait), _all_down(sources, place, None, wait)]
        if notice.zone != WHOLE_SITE:
            ends.append(_all_down(sources, place, notice.zone, wait))
        return max(ends)

    def put_back(self, now: int) -> None:
        """Take nothing to be later than now (ns): clocks were put back since it was stored."""
        for site, sources in self._sources.items():
            self._sources[site] = {key: replace(one, stored=min(one.stored, now)) for key, one in sources.items()}

    def forget(self, before: int) -> None:
        """Forget what ended before an instant (ns)."""
        for site, sources in list(self._sources.items()):
            kept = {key: one for key, one in sources.items() if one.firing or one.stored >= before}
            self._sources[site] = kept
            if not kept:
                del self._sources[site]


def _no_data(sources: dict[tuple[str, str], _Source], zone: ZoneId, wait: int) -> int:
    own, whole = sources.get((NO_DATA, zone)), sources.get((NO_DATA, WHOLE_SITE))
    return max(own.end(wait) if own else 0, whole.end(wait) if whole and whole.wide else 0)


def _all_down(sources: dict[tuple[str, str], _Source], place: SiteFacts, zone: ZoneId | None, wait: int) -> int:
    cameras = [camera for camera, zones in place.cameras.items() if zone is None or zone in zones]
    found = [sources.get((CAMERA_DOWN, camera)) for camera in cameras]
    return min((source.end(wait) if source else 0 for source in found), default=0)
