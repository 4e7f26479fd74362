"""What a site's streams say about it, as far back as anything of it may still matter.

What still matters: alerts that fire, however old, and the decisions that told of them; and whatever is not older than
the longest interval of repeating and `give_up_after_s` together. That is counted back from the last decision or attempt
that anybody stored and not from now, so that an outage of days forgets nothing that was on its way.
"""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field
from typing import cast

from proto.notifications import NotificationV1, SilenceV1
from proto.public import AlertV1, DeliveryV1, OperationalAlertV1
from proto.subjects import ALERTS, DELIVERIES, NOTIFICATIONS, OPERATIONS, SILENCES, Subject
from proto.types import AlertId, NotificationId
from services.bus import Bus, Stored
from services.notify.core.notification import Notice, notice_of
from services.notify.core.routing import Plan
from services.notify.core.stored import Key, Since, keys, since_when

FOLLOWED = (ALERTS, OPERATIONS)


@dataclass
class Past:
    """What was read; each in the order of its stream."""

    notices: list[Notice] = field(default_factory=list)
    records: list[NotificationV1] = field(default_factory=list)
    known_of: set[NotificationId] = field(default_factory=set)
    """Those of the records that only say who knows what: whatever was to be delivered by them was settled long ago."""
    deliveries: list[DeliveryV1] = field(default_factory=list)
    silences: list[SilenceV1] = field(default_factory=list)
    alarms: list[OperationalAlertV1] = field(default_factory=list)
    """The last one of each kind and name."""
    next: dict[str, int] = field(default_factory=dict)
    """By stream, the sequence from which on nothing of it was read."""


async def read_past(bus: Bus, site: str, plan: Plan, give_up_after_s: float, oldest: int | None = None) -> Past:
    """Return what the streams hold, from `oldest` (ns) on if that is earlier; Unavailable if JetStream is silent."""
    past = Past()
    for row in FOLLOWED:
        _, last = await bus.streams.created(str(row.stream))
        past.next[str(row.stream)] = last + 1
    latest = {row.pattern: await bus.latest(row, site=site) for row in (*FOLLOWED, NOTIFICATIONS, DELIVERIES)}
    firing = {n.alert: n for row in FOLLOWED for s in latest[row.pattern] if (n := notice(s)).firing}
    past.alarms = [cast("OperationalAlertV1", stored.message) for stored in latest[OPERATIONS.pattern]]
    past.silences = [cast("SilenceV1", stored.message) for stored in await bus.latest(SILENCES)]
    written = [stored.time for row in (NOTIFICATIONS, DELIVERIES) for stored in latest[row.pattern]]
    since = since_when(written, firing.values(), plan, give_up_after_s, oldest)
    await _decisions(bus, site, since, firing.keys(), past)
    await _alerts(bus, site, since, firing, past)
    return past


def notice(stored: Stored) -> Notice:
    """Return a stored alert of either audience as routing sees it."""
    return notice_of(cast("AlertV1 | OperationalAlertV1", stored.message), stored.time)


async def _decisions(bus: Bus, site: str, since: Since, firing: Iterable[AlertId], past: Past) -> None:
    if not since.all:
        return
    fires = set(firing)
    async for stored in _read(bus, NOTIFICATIONS, site, since.firing):
        record = cast("NotificationV1", stored.message)
        if stored.time >= since.all:
            past.records.append(record)
        elif fires & set(record.firing):
            past.records.append(record)
            past.known_of.add(record.notification)
    async for stored in _read(bus, DELIVERIES, site, since.all):
        past.deliveries.append(cast("DeliveryV1", stored.message))


async def _alerts(bus: Bus, site: str, since: Since, firing: dict[AlertId, Notice], past: Past) -> None:
    """Read the alerts since then; before that only those that fire, or that a notification told of."""
    if not since.all:
        return
    for row in FOLLOWED:
        found = [stored async for stored in _read(bus, row, site, since.all)]
        past.next[str(row.stream)] = max([past.next[str(row.stream)], *(stored.sequence + 1 for stored in found)])
        past.notices += [notice(stored) for stored in found]
    have = {(one.alert, one.state) for one in past.notices}
    past.notices += [one for one in firing.values() if (one.alert, one.state) not in have]
    have |= {(alert, "firing") for alert in firing}
    told: set[Key] = {key for record in past.records if record.reason is not None for key in keys(record)}
    if wanted := told - have:
        past.notices += [one async for one in _older(bus, site, wanted)]
    past.notices.sort(key=lambda one: one.stored)


async def _older(bus: Bus, site: str, wanted: set[Key]) -> AsyncGenerator[Notice, None]:
    for row in FOLLOWED:
        async for stored in _read(bus, row, site, 0):
            if ((one := notice(stored)).alert, one.state) in wanted:
                yield one


def _read(bus: Bus, row: Subject, site: str, since: int) -> AsyncGenerator[Stored, None]:
    return bus.read(row, since=since, site=site)
