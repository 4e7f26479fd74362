"""Rebuilds the same notifications after a crash, from the decisions and alerts in their streams."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from proto.notifications import NotificationV1
from proto.types import AlertId, AlertState, ReceiverId
from services.notify.deadlines import SLOW_LONGEST_S
from services.notify.notification import Group, Notice, Notification
from services.notify.routing.plan import RoutingPlan

AlertInState = tuple[AlertId, AlertState]
_STATES: tuple[AlertState, ...] = ("firing", "resolved")
_CLOSED = 35 * 86_400 * 10**9
"""No office is closed, and no silence lasts, for longer. An end this late may still have to be reported."""


def keys(record: NotificationV1) -> Iterator[AlertInState]:
    """Yield the alerts that a decision tells of, with their states."""
    yield from ((alert, "firing") for alert in record.firing)
    yield from ((alert, "resolved") for alert in record.resolved)


def needed(records: Iterable[NotificationV1], firing: Container[AlertId]) -> set[AlertInState]:
    """Return the alert states that these decisions need. An alert that has ended needs both, or it would fire again.

    `firing`: the alerts that fire now. Their state is known.
    """
    telling = (one for one in records if one.reason is not None or one.withheld == "capped")
    alerts = {alert for record in telling for alert, _ in keys(record)}
    return {(alert, state) for alert in alerts if alert not in firing for state in _STATES}


@dataclass(frozen=True, slots=True)
class Since:
    """From when to read the streams, ns."""

    all: int
    """Data stored before this does not matter any more, unless it is about an alert that fires."""
    decisions: int
    """No decision before this is about an alert that fires, or about one whose end may still have to be reported."""


def since_when(
    written: Sequence[int],
    firing: Iterable[Notice],
    plan: RoutingPlan,
    give_up_after_s: float,
    oldest: int | None = None,
) -> Since | None:
    """Return from when to read, given when decisions and attempts were stored last, and which alerts fire.

    None: there is nothing to read, since nobody was ever notified and nothing fires.

    The last writer had nothing on its way that was older than `give_up_after_s` plus the pause before the attempt that
    finds that out. It had no group to repeat that was last reported before the longest repeat interval. The time
    without writes since then does not matter. With `oldest` (ns), reading begins no later than that.
    """
    began = min((notice.stored for notice in firing), default=None)
    last = max(written, default=began)
    if last is None:
        return None
    repeat = max((route.repeat for route in plan.routes), default=0)
    every = max(0, last - repeat - int((give_up_after_s + SLOW_LONGEST_S) * 1e9))
    every = every if oldest is None else min(every, oldest)
    untold = max(0, every - _CLOSED)
    return Since(every, untold if began is None else min(untold, began))


class KnownAlerts:
    """The alerts that each receiver so far knows to fire, as the dispatcher's book has them. A fold over decisions."""

    def __init__(self) -> None:
        self._known: dict[ReceiverId, set[AlertId]] = defaultdict(set)
        self._capped: dict[ReceiverId, set[AlertId]] = defaultdict(set)

    def news(self, record: NotificationV1) -> frozenset[AlertId]:
        """Return the firing alerts of a decision that are new to its receiver. Call it in the order of the stream."""
        capped = self._capped[record.receiver]
        if record.reason is None:
            if record.withheld == "capped":
                capped.update(record.firing, record.resolved)
            return frozenset()
        capped.difference_update(record.firing, record.resolved)
        known = self._known[record.receiver]
        new = frozenset(record.firing) - known
        known |= new
        known -= set(record.resolved)
        return new

    def knows(self, receiver: ReceiverId) -> set[AlertId]:
        """Return the alerts that a receiver was notified of, but not of their end."""
        return self._known[receiver]

    def waits(self, receiver: ReceiverId) -> set[AlertId]:
        """Return the alerts that wait for a receiver's digest. The digest reports them even if they have ended."""
        return self._capped[receiver]


def only(record: NotificationV1, *alerts: Container[AlertId]) -> NotificationV1 | None:
    """Return an old decision, cut to these alerts; None if nothing is left."""
    parts = ([one for one in part if any(one in some for some in alerts)] for part in (record.firing, record.resolved))
    firing, resolved = parts
    return structs.replace(record, firing=firing, resolved=resolved) if firing or resolved else None


def whole(
    record: NotificationV1, new: frozenset[AlertId], notices: Mapping[AlertInState, Notice], plan: RoutingPlan
) -> Notification | None:
    """Return the notification that was stored as this record; None if one of its alerts is no longer stored."""
    found = [_known(key, notices) for key in keys(record)]
    known = [notice for notice in found if notice is not None]
    if record.reason is None or not known or len(known) < len(found):
        return None
    return Notification(
        id=record.notification,
        group=_group(record, known, plan),
        reason=record.reason,
        number=record.number,
        root=record.root,
        at=record.at,
        firing=tuple(notice for notice in known if notice.firing),
        resolved=tuple(notice for notice in known if not notice.firing),
        new=new,
    )


def _known(key: AlertInState, notices: Mapping[AlertInState, Notice]) -> Notice | None:
    notice, begun = notices.get(key), notices.get((key[0], "firing"))
    return notice.as_begun(begun) if notice is not None and begun is not None else notice


def _group(record: NotificationV1, notices: Iterable[Notice], plan: RoutingPlan) -> Group:
    """Return the group whose key is the record's; one of the same receiver if the routes have changed since."""
    first = next(iter(notices))
    groups = (route.group(first) for route in plan.routes if route.receiver == record.receiver)
    bare = Group(record.receiver, record.site, first.audience)
    return next((group for group in groups if group.key == record.group), bare)
