"""`moretta notify status`: sent, waiting and failed notifications, from public records and so without addresses."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import cast

from rich.box import SIMPLE
from rich.table import Table

from operate.notify.silences import Zones, local, sites, zone_named, zones_of
from operate.orders import ANSWER_S, operator_bus
from proto.codec import as_json as encoded
from proto.control import DeadV1
from proto.notifications import NotificationReason, NotificationV1, WithheldReason
from proto.public import DeliveryOutcome, DeliveryV1, OperationalAlertV1
from proto.subjects import DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS
from services.bus import Bus, Unavailable
from services.kernel.settings import SettingsError

Clocks = Mapping[str, tzinfo | None]
"""Time zones by site, as far as they are known."""
_COMMAND = "moretta notify status"
_PENDING: frozenset[DeliveryOutcome | None] = frozenset({None, "retrying", "replayed"})
_WHOLE = ("now", "last told", "messages")
"""Columns that are never narrower than their content."""
_OURS = frozenset({"channel-down", "undelivered"})


@dataclass
class GroupStatus:
    """What a receiver was told about one group of alerts. Counts are of recipients, over all notifications."""

    site: str
    receiver: str
    group: str
    about: list[str] = field(default_factory=list)
    """Zone and rule of each alert that it tells of."""
    firing: int = 0
    last: int | None = None
    """When the last notification was decided, ns."""
    reason: NotificationReason | None = None
    withheld: WithheldReason | None = None
    """Why something has been held back since then."""
    pending: int = 0
    sent: int = 0
    failed: int = 0
    dead: int = 0


@dataclass
class DeadLetter:
    """A notification that could not be delivered; `id` is the number that `replay` takes."""

    id: int
    at: int
    site: str
    receiver: str
    reason: str


@dataclass
class NotificationStatus:
    """All that the command shows."""

    groups: list[GroupStatus]
    dead: list[DeadLetter]
    alarms: list[OperationalAlertV1]


def groups(records: Iterable[NotificationV1], deliveries: Iterable[DeliveryV1]) -> list[GroupStatus]:
    """Return the state of each group, by site and receiver. Both arguments are in the order of their stream."""
    found: dict[str, GroupStatus] = {}
    last: dict[tuple[str, str], DeliveryV1] = {}
    abouts: dict[str, dict[str, None]] = {}
    for delivery in deliveries:
        last[delivery.notification, delivery.recipient_sha256] = delivery
        abouts.setdefault(delivery.notification, {})[_about(delivery)] = None
    on, held = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for record in records:
        known = found.setdefault(record.group, GroupStatus(record.site, record.receiver, record.group))
        if record.reason is None:
            known.withheld = record.withheld
            held[record.group] |= {*record.firing, *record.resolved}
            continue
        for group, one in found.items():
            if (one.site, one.receiver) == (record.site, record.receiver):  # a digest tells of several groups
                on[group].difference_update(record.firing, record.resolved)
                held[group].difference_update(record.firing, record.resolved)
        on[record.group], held[record.group] = set(record.firing), set()
        known.last, known.reason = record.at, record.reason
        known.about = list(abouts.get(record.notification, {})) or known.about
        outcomes = [last.get((record.notification, whom)) for whom in record.recipients]
        _count(known, Counter(None if one is None else one.outcome for one in outcomes))
    for group, one in found.items():
        one.firing, one.withheld = len(on[group]), one.withheld if held[group] else None
    return sorted(found.values(), key=lambda one: (one.site, one.receiver, -(one.last or 0)))


def _about(delivery: DeliveryV1) -> str:
    """Return what a delivery is about, in one word: zone and rule, or kind and what it names."""
    if delivery.kind == "rule":
        return f"{delivery.zone}/{delivery.rule}"
    named = delivery.camera or delivery.zone or delivery.name
    return f"{delivery.kind}/{named}" if named else delivery.kind


def _count(known: GroupStatus, outcomes: "Counter[DeliveryOutcome | None]") -> None:
    known.pending += sum(count for outcome, count in outcomes.items() if outcome in _PENDING)
    known.sent += outcomes["sent"] + outcomes["delivered"]
    known.failed += outcomes["failed"]
    known.dead += outcomes["dead"]


async def ask(file: Path, site: str | None, hours: float) -> tuple[NotificationStatus, Zones]:
    """Return the status from the streams, and the time zones of sites.

    SettingsError if the streams don't answer, or the site was never known.
    """
    bus = await operator_bus(file)
    try:
        if site is not None and (known := await sites(bus)) and site not in known:
            raise SettingsError(_COMMAND, [("SITE", f"no such site {site!r}; known are {', '.join(sorted(known))}")])
        async with asyncio.timeout(ANSWER_S):
            found = await _read(bus, site, time.time_ns() - int(hours * 3_600e9))
        return found, await zones_of(bus)
    except (TimeoutError, Unavailable):
        why = f"JetStream did not answer in {ANSWER_S:g} s, or notify has never run here"
        raise SettingsError(_COMMAND, [("", why)]) from None
    finally:
        await bus.close()


async def _read(bus: Bus, site: str | None, since: int) -> NotificationStatus:
    where = {} if site is None else {"site": site}
    records = [cast("NotificationV1", s.message) async for s in bus.read(NOTIFICATIONS, since=since, **where)]
    deliveries = [cast("DeliveryV1", s.message) async for s in bus.read(DELIVERIES, since=since, **where)]
    letters = [
        _letter(s.sequence, cast("DeadV1", s.message)) async for s in bus.read(DEAD, since=since, service="notify")
    ]
    alarms = [cast("OperationalAlertV1", s.message) for s in await bus.latest(OPERATIONS, **where)]
    standing = [one for one in alarms if one.kind in _OURS and one.state == "firing"]
    dead = [one for one in letters if one is not None and site in {None, one.site}]
    return NotificationStatus(groups(records, deliveries), dead, standing)


def _letter(sequence: int, dead: DeadV1) -> DeadLetter | None:
    tokens = NOTIFICATIONS.parse(dead.subject)
    return None if tokens is None else DeadLetter(sequence, dead.at, tokens["site"], tokens["receiver"], dead.reason)


def as_json(status: NotificationStatus) -> str:
    """Return the status as JSON."""
    return encoded(status).decode()


def tables(status: NotificationStatus, zones: Zones) -> list[Table | str]:
    """Return the status as tables, 80 characters wide; tables about trouble only if there is some.

    Times are by the clock of each site, or of this machine where nobody tells the site's.
    """
    clocks = {site: zone_named(name) for site, name in zones.items()}
    sites = dict.fromkeys(one.site for one in status.groups)
    shown: list[Table | str] = [
        _groups(site, [one for one in status.groups if one.site == site], clocks.get(site)) for site in sites
    ]
    if not shown:
        shown.append("nobody was told of anything in that time")
    if status.alarms:
        shown.append(_alarms(status.alarms, clocks))
    if status.dead:
        shown.append(_dead(status.dead, clocks))
    return shown


def _table(*names: str, title: str) -> Table:
    """Return an empty table. A text too long for its column goes on in the next line; nothing is cut off."""
    table = Table(title=title, title_justify="left", box=SIMPLE)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    return table


def _groups(site: str, found: list[GroupStatus], zone: tzinfo | None) -> Table:
    table = _table("receiver", "about", *_WHOLE, title=f"{site}: who was told")
    for one in found:
        about = [name.replace("/", " / ") for name in one.about[:2]]
        about += [f"and {len(one.about) - 2} more"] if len(one.about) > 2 else []
        last = "–" if one.last is None else f"{local(one.last, zone)}\n{one.reason or ''}"
        counts = {"pending": one.pending, "sent": one.sent, "failed": one.failed, "dead": one.dead}
        messages = "\n".join(f"{count} {name}" for name, count in counts.items() if count)
        now = "\n".join([f"{one.firing} firing"] * bool(one.firing) + [one.withheld or ""])
        table.add_row(one.receiver, "\n".join(about) or "–", now, last, messages or "–")
    return table


def _alarms(found: list[OperationalAlertV1], clocks: Clocks) -> Table:
    table = _table("site", "what", "which", "since", title="out of order")
    for one in found:
        table.add_row(one.site, one.kind, one.name, local(one.since, clocks.get(one.site)))
    return table


def _dead(found: list[DeadLetter], clocks: Clocks) -> Table:
    """Return one line for each reason, since a receiver that is refused once is refused often."""
    table = _table(
        "id", "site", "receiver", "last", "why", title="dead letters; `moretta notify replay ID` tries again"
    )
    alike: dict[tuple[str, str, str], list[DeadLetter]] = {}
    for one in found:
        alike.setdefault((one.site, one.receiver, one.reason), []).append(one)
    for (site, receiver, reason), letters in alike.items():
        ids = " ".join(str(one.id) for one in letters)
        last = local(max(one.at for one in letters), clocks.get(site))
        table.add_row(ids, site, receiver, last, reason)
    return table
