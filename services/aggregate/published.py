"""Reads the published messages that a start needs: the ends of each series, and the windows of rows that continue.

It reads no more, however long the streams keep messages: a takeover must not take longer with every week.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS, Subject
from proto.types import WHOLE_SITE
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.rules import operations, rulebook
from services.aggregate.core.rules.rate_rules import judged_by
from services.bus import Bus, Stored

_BACK = 64
"""This many messages before a zone's last window are read at first; four times as many whenever that is not enough."""


@dataclass(frozen=True)
class Published:
    """The messages that a site's core restores from, each kind oldest first (see `SiteCore.restore`)."""

    alerts: list[AlertV1]
    states: list[RuleStateV1]
    operational: list[OperationalAlertV1]
    windows: list[WindowV1]

    @property
    def messages(self) -> list[AlertV1 | RuleStateV1 | OperationalAlertV1 | WindowV1]:
        """The messages of all kinds."""
        return [*self.alerts, *self.states, *self.operational, *self.windows]


async def read(bus: Bus, site: str, configs: Sequence[SiteConfig]) -> Published:
    """Return the published messages that a site's core needs; `configs` are those that may have judged its windows."""
    alerts = cast("list[AlertV1]", await _latest(bus, ALERTS, site))
    states = cast("list[RuleStateV1]", await _latest(bus, RULES, site))
    operational = cast("list[OperationalAlertV1]", await _latest(bus, OPERATIONS, site))
    ends = await _ends(bus, site, configs)
    config = judged_by((_window(last) for _, last in ends), configs)
    windows: list[WindowV1] = []
    for first, last in ends:
        enough = _limit(_window(last).zone, config, states, operational)
        windows += map(_window, await _tail(bus, first, last, enough))
    return Published(alerts, states, operational, windows)


async def _latest(bus: Bus, row: Subject, site: str) -> list[object]:
    return [stored.message for stored in await bus.latest(row, site=site)]


async def _ends(bus: Bus, site: str, configs: Iterable[SiteConfig]) -> list[tuple[Stored, Stored]]:
    """Return the first and the last window of each zone that has any."""
    zones = {WHOLE_SITE, *(name for config in configs for name in (*config.zones, *(r.zone for r in config.rules)))}
    found = []
    for zone in sorted(zones):
        first, last = [await end(WINDOWS, site=site, zone=zone) for end in (bus.first, bus.last)]
        if first is not None and last is not None:
            found.append((first, last))
    return found


def _limit(
    zone: str, config: SiteConfig | None, states: Iterable[RuleStateV1], operational: Iterable[OperationalAlertV1]
) -> Callable[[Sequence[WindowV1]], bool]:
    """Return a function that says whether a zone's last windows are enough."""
    if config is None:
        return bool
    names = {rule.id for rule in config.rules if rule.zone == zone}
    known = [state for state in states if state.zone == zone and state.rule in names]
    alert = next((a for a in operational if (a.kind, a.name) == ("no-data", zone)), None)
    return lambda windows: rulebook.is_enough(windows, known) and operations.is_enough(windows, zone, config, alert)


async def _tail(
    bus: Bus, first: Stored, last: Stored, enough: Callable[[Sequence[WindowV1]], bool]
) -> Iterable[Stored]:
    """Return a zone's first window and as many of its last ones as are enough, oldest first."""
    found, back, window = [last], _BACK, _window(last)
    while not enough([_window(stored) for stored in found]) and first.sequence < found[0].sequence:
        start = max(first.sequence, last.sequence - back)
        found = await bus.history_from(start, WINDOWS, site=window.site, zone=window.zone) or [last]
        if start == first.sequence:
            break
        back *= 4
    return found if found[0].sequence <= first.sequence else [first, *found]


def _window(stored: Stored) -> WindowV1:
    return cast("WindowV1", stored.message)
