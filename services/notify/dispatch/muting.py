"""Reasons to withhold an alert: a silence that an operator set, or inhibition, because nothing was observed.

A zone is blind in three cases: its `no-data` fires; a `no-data` of the whole site fires because pictures are missing;
or all cameras of the zone or of the site are down. Inhibition lasts for the group's wait beyond that, since the alert
that it hid may be over in the same window.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from proto.notifications import SilenceV1
from proto.public import OperationalAlertV1
from proto.types import WHOLE_SITE, ReceiverId, SilenceId, SiteId, ZoneId
from services.notify.notification import Notice
from services.notify.routing.plan import CAMERA_DOWN, NO_DATA, SiteFacts


def matches(silence: SilenceV1, notice: Notice, zones: Collection[ZoneId], receiver: ReceiverId) -> bool:
    """Return whether a silence covers an alert about these zones for this receiver."""
    return (
        (not silence.sites or notice.site in silence.sites)
        and (not silence.zones or any(zone in silence.zones for zone in zones))
        and (not silence.rules or notice.rule in silence.rules)
        and (not silence.receivers or receiver in silence.receivers)
    )


class Silences:
    """The silences that are in force, or will be. Each holds from `starts` on, until just before `ends`."""

    def __init__(self) -> None:
        self._known: dict[SilenceId, SilenceV1] = {}

    def put(self, silence: SilenceV1) -> None:
        """Add a silence. It replaces an earlier one with its name."""
        self._known[silence.silence] = silence

    def remove(self, silence: SilenceId) -> None:
        """Forget a silence; do nothing if it is unknown."""
        self._known.pop(silence, None)

    def forget(self, now: int) -> None:
        """Forget silences that have ended."""
        self._known = {name: one for name, one in self._known.items() if one.ends > now}

    def next_start(self, after: int) -> int | None:
        """Return when the next silence begins after an instant (ns); None if none does."""
        return min((one.starts for one in self._known.values() if one.starts > after), default=None)

    def in_force(self, at: int) -> tuple[SilenceV1, ...]:
        """Return the silences in force at an instant (ns)."""
        return tuple(one for one in self._known.values() if one.starts <= at < one.ends)


def silenced_until(
    in_force: Collection[SilenceV1], notice: Notice, zones: Collection[ZoneId], receiver: ReceiverId
) -> int:
    """Return when the last matching silence ends, ns; 0 if none matches."""
    return max((one.ends for one in in_force if matches(one, notice, zones, receiver)), default=0)


OPEN_END = 2**63
"""An instant that never comes: the end of a state that lasts until something happens."""


@dataclass(frozen=True, slots=True)
class _Source:
    firing: bool
    stored: int
    wide: bool
    """Whether it is about the whole site: its pictures are missing, not only people."""

    def end(self, wait: int) -> int:
        return OPEN_END if self.firing else self.stored + wait


class Inhibition:
    """The operational alerts that inhibit, even if nobody is notified of them."""

    def __init__(self) -> None:
        self._sources: dict[SiteId, dict[tuple[str, str], _Source]] = {}

    def take(self, notice: Notice) -> bool:
        """Take in an alert's state; return whether it may change what is inhibited at its site."""
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
        """Return when inhibition of an alert about a rate ends, ns: OPEN_END if unknown, 0 if there was none."""
        sources = self._sources.get(notice.site)
        if notice.audience != "field" or not sources:
            return 0
        ends = [_no_data(sources, notice.zone, wait), _all_down(sources, place, None, wait)]
        if notice.zone != WHOLE_SITE:
            ends.append(_all_down(sources, place, notice.zone, wait))
        return max(ends)

    def clock_stepped_back(self, now: int) -> None:
        """Move every stored time after `now` (ns) to `now`: clocks were put back since."""
        for site, sources in self._sources.items():
            self._sources[site] = {key: replace(one, stored=min(one.stored, now)) for key, one in sources.items()}

    def forget(self, before: int) -> None:
        """Forget alerts that ended before an instant (ns)."""
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
