"""Reads what a site's streams say about it, as far back as it may still matter.

Three things still matter. First, alerts that fire, however old, and the decisions that notified of them. Second, alerts
whose end their receivers do not know yet, since they are muted over a weekend or a holiday. Third, everything that is
not older than the longest repeat interval plus `give_up_after_s`. That age is counted back from the last stored
decision or attempt, not from now. So an outage of days forgets nothing that was on its way.

After a change of salt, old decisions name people by hashes that nobody can resolve any more. Moretta reports that.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import cast

from proto.notifications import NotificationV1, SilenceV1
from proto.public import AlertV1, DeliveryV1, OperationalAlertV1
from proto.subjects import ALERTS, DELIVERIES, NOTIFICATIONS, OPERATIONS, SILENCES, Subject
from proto.types import AlertId, Channel, NotificationId
from services.bus import Bus, Stored
from services.notify.delivery.ledger import Ledger
from services.notify.delivery.outbox import Envelope
from services.notify.directory import Directory
from services.notify.dispatch.replay import AlertInState, KnownAlerts, Since, needed, only, since_when
from services.notify.notification import Notice, Notification, notice_of
from services.notify.recipient import Recipient
from services.notify.routing.plan import RoutingPlan

FOLLOWED = (ALERTS, OPERATIONS)


@dataclass
class Past:
    """The data that was read, each list in the order of its stream."""

    notices: list[Notice] = field(default_factory=list)
    records: list[NotificationV1] = field(default_factory=list)
    known_of: set[NotificationId] = field(default_factory=set)
    """Old records, cut to some of their alerts. They say who knows what; their deliveries were settled long ago."""
    again: list[NotificationV1] = field(default_factory=list)
    """Old records in full, for notifications that an operator had sent again."""
    deliveries: list[DeliveryV1] = field(default_factory=list)
    silences: list[SilenceV1] = field(default_factory=list)
    alarms: list[OperationalAlertV1] = field(default_factory=list)
    """The last alarm of each kind and name."""
    next: dict[str, int] = field(default_factory=dict)
    """For each stream, the first sequence that was not read."""


async def read_past(bus: Bus, site: str, plan: RoutingPlan, give_up_after_s: float, oldest: int | None = None) -> Past:
    """Return what the streams hold, from `oldest` (ns) on if that is earlier; Unavailable if JetStream does not answer.

    Limits by the clock, such as the hourly cap, need `oldest`: the repeat and give-up times may be only seconds.
    """
    past = Past()
    for row in (*FOLLOWED, DELIVERIES):
        _, last = await bus.streams.created(str(row.stream))
        past.next[str(row.stream)] = last + 1
    latest = {row.pattern: await bus.latest(row, site=site) for row in (*FOLLOWED, NOTIFICATIONS, DELIVERIES)}
    firing = {n.alert: n for row in FOLLOWED for s in latest[row.pattern] if (n := notice(s)).firing}
    past.alarms = [cast("OperationalAlertV1", stored.message) for stored in latest[OPERATIONS.pattern]]
    past.silences = [cast("SilenceV1", stored.message) for stored in await bus.latest(SILENCES)]
    written = [stored.time for row in (NOTIFICATIONS, DELIVERIES) for stored in latest[row.pattern]]
    since = since_when(written, firing.values(), plan, give_up_after_s, oldest)
    if since is not None:
        await _decisions(bus, site, since, firing, plan, past)
        await _alerts(bus, site, since, firing, past)
    return past


def notice(stored: Stored) -> Notice:
    """Return a stored alert of either audience as routing sees it."""
    order = stored.stream_created, stored.sequence
    return replace(
        notice_of(cast("AlertV1 | OperationalAlertV1", stored.message), stored.time, order), trace=stored.trace
    )


async def _decisions(
    bus: Bus, site: str, since: Since, firing: Iterable[AlertId], plan: RoutingPlan, past: Past
) -> None:
    """Read the decisions and deliveries since then, and what older decisions say about alerts that matter.

    Attempts are read last. So all attempts recorded by then are read for every decision that was read.
    """
    known, named = KnownAlerts(), set[AlertId](firing)
    async for stored in _read(bus, NOTIFICATIONS, site, since.decisions):
        record = cast("NotificationV1", stored.message)
        known.news(record)
        if stored.time >= since.all:
            named.update(record.firing, record.resolved)
    interested = {route.receiver for route in plan.routes if route.send_resolved}
    # Read again, so that memory holds only what matters, however many alerts a storm of last month had.
    async for stored in _read(bus, NOTIFICATIONS, site, since.decisions):
        record = cast("NotificationV1", stored.message)
        if stored.time >= since.all:
            past.records.append(record)
            continue
        ends = known.knows(record.receiver) if record.receiver in interested else set[AlertId]()
        if (part := only(record, named, ends, known.waits(record.receiver))) is not None:
            past.records.append(part)
            past.known_of.add(record.notification)
    async for stored in _read(bus, DELIVERIES, site, since.all):
        past.deliveries.append(cast("DeliveryV1", stored.message))
    await _replayed(bus, site, since, past)


async def _replayed(bus: Bus, site: str, since: Since, past: Past) -> None:
    """Read the old decisions that an operator recently had sent again."""
    again = {one.notification for one in past.deliveries if one.outcome == "replayed"}
    again -= {one.notification for one in past.records} - past.known_of
    if again:
        async for stored in _read(bus, NOTIFICATIONS, site, since.decisions):
            record = cast("NotificationV1", stored.message)
            if record.notification in again:
                past.again.append(record)


async def _alerts(bus: Bus, site: str, since: Since, firing: dict[AlertId, Notice], past: Past) -> None:
    """Read the alerts since then, and of older alerts only those that fire or that a notification covered."""
    for row in FOLLOWED:
        found = [stored async for stored in _read(bus, row, site, since.all)]
        past.next[str(row.stream)] = max([past.next[str(row.stream)], *(stored.sequence + 1 for stored in found)])
        past.notices += [notice(stored) for stored in found]
    have = {(one.alert, one.state) for one in past.notices}
    past.notices += [one for one in firing.values() if (one.alert, one.state) not in have]
    wanted = needed([*past.records, *past.again], firing) - have
    # An operational alert that has just ended inhibits a moment longer. Only its firing message says how far.
    begun: set[AlertInState] = {(n.alert, "firing") for n in past.notices if n.audience == "operators" and not n.firing}
    begun -= have
    if wanted or begun:
        past.notices += await _older(bus, site, wanted | begun, FOLLOWED if wanted else (OPERATIONS,))
    past.notices.sort(key=lambda one: one.stored)


async def _older(bus: Bus, site: str, wanted: set[AlertInState], rows: Iterable[Subject]) -> list[Notice]:
    """Return these states, but no firing state of an alert that is over and whose end is no longer stored."""
    found = list[Notice]()
    for row in rows:
        async for stored in _read(bus, row, site, 0):
            if ((one := notice(stored)).alert, one.state) in wanted:
                found.append(one)
    over = {one.alert for one in found if not one.firing}
    return [one for one in found if not one.firing or one.alert in over or (one.alert, "resolved") not in wanted]


def _read(bus: Bus, row: Subject, site: str, since: int) -> AsyncGenerator[Stored, None]:
    return bus.read(row, since=since, site=site)


def unknown_recipients(
    decided: Iterable[tuple[NotificationV1, Notification]], deliveries: Iterable[DeliveryV1], directory: Directory
) -> Iterator[Envelope]:
    """Yield unsettled envelopes of another salt, without an address, for receivers that the settings still have.

    The last attempt names the channel. If there was no attempt, it is the receiver's first channel.
    """
    tried = list(deliveries)
    ledger = Ledger(tried)
    channels: dict[str, Channel] = {one.recipient_sha256: one.channel for one in tried}
    for record, notification in decided:
        people = directory.recipients(record.receiver, "email" if record.reason == "report" else None)
        if not people or record.salt in {None, directory.salt_name}:
            continue
        for name in record.recipients:
            unknown = Recipient(record.receiver, "", name, channel=channels.get(name, people[0].channel))
            if not ledger.attempts(notification.id, unknown).settled:
                yield Envelope(notification, unknown)
