"""Alerts as routing sees them, and the notifications that the dispatcher decides on.

The terms are Alertmanager's. Alerts are grouped, and a group of one receiver gets a notification. A series of
notifications from a first alert to the last one's end is an incident, and one thread in a mail program.
"""

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal

from msgspec import structs

from proto.notifications import NotificationReason, NotificationV1, WithheldReason
from proto.public import AlertV1, DeliveryV1, OperationalAlertV1
from proto.types import AlertId, AlertState, NotificationId, ReceiverId, RuleId, Severity, SiteId, ZoneId

Audience = Literal["field", "operators"]
"""Field staff acts on rates, operators on cameras and data that are missing (ADR 17)."""


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert in its present state, of either audience."""

    alert: AlertId
    site: SiteId
    zone: ZoneId
    """For an operational alert, the camera or the zone that it names."""
    rule: RuleId
    """For an operational alert, its kind."""
    severity: Severity
    audience: Audience
    state: AlertState
    since: int
    """When it began to fire, ns: the start of the first window that breached."""
    at: int
    """End of the window that decided this state, ns."""
    stored: int
    """When the server stored it, by the server's clock, ns. Waits and ages count from this time."""
    message: AlertV1 | OperationalAlertV1
    order: tuple[int, int] = field(default=(0, 0), compare=False)
    """When its stream was created, and its place there. It gives the order even if the server's clock was put back."""
    trace: str = field(default="", compare=False)
    """The traceparent that it came with."""

    @property
    def firing(self) -> bool:
        """Whether it is not over."""
        return self.state == "firing"

    def as_begun(self, begun: "Notice") -> "Notice":
        """Return it with severity, profile and bounds of its beginning. Settings may change; these must not."""
        now, then = self.message, begun.message
        if not isinstance(now, AlertV1) or not isinstance(then, AlertV1):
            return self
        kept = {name: getattr(then, name) for name in ("severity", "profile", "fire_below", "clear_above")}
        message = structs.replace(now, **kept)
        return self if message == now else replace(self, severity=then.severity, message=message)

    def not_after(self, now: int) -> "Notice":
        """Return it with `stored` set to `now` (ns), if that is earlier: clocks may have been put back since."""
        return self if self.stored <= now else replace(self, stored=now)


def notice_of(message: AlertV1 | OperationalAlertV1, stored: int, order: tuple[int, int] = (0, 0)) -> Notice:
    """Return how routing sees a published alert; an operational one has the severity `warning`."""
    if isinstance(message, AlertV1):
        return Notice(
            message.alert, message.site, message.zone, message.rule, message.severity, "field", message.state,
            message.since, message.end, stored, message, order,
        )  # fmt: skip
    return Notice(
        operational_id(message), message.site, message.name, message.kind, "warning", "operators", message.state,
        message.since, message.at, stored, message, order,
    )  # fmt: skip


def operational_id(message: OperationalAlertV1) -> AlertId:
    """Return the name of an operational alert, the same from firing to resolved."""
    return _digest(message.site, message.kind, message.name, str(message.since))


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that share notifications: one receiver's alerts of one audience that agree in the fields of `group_by`.

    `zone` and `rule` are None where the route does not group by them.
    """

    receiver: ReceiverId
    site: SiteId
    audience: Audience
    zone: ZoneId | None = None
    rule: RuleId | None = None
    route: str = ""
    """The key of its route, made of what the route matches. Groups of two routes to one receiver do not mix."""

    @property
    def key(self) -> str:
        """The group's name in records: 16 hexadecimal digits."""
        return _digest(self.receiver, self.site, self.audience, self.zone or "", self.rule or "", self.route)


@dataclass(frozen=True, slots=True)
class Notification:
    """One decision to tell a receiver something; stored as a NotificationV1 before the first attempt to deliver it."""

    id: NotificationId
    group: Group
    reason: NotificationReason
    number: int
    """Place in its incident, from 1."""
    root: NotificationId
    """The first notification of its incident: the thread's root; its own id if it is the first."""
    at: int
    """When it was decided, ns."""
    firing: tuple[Notice, ...]
    """Every alert of the group that fires, the oldest first."""
    resolved: tuple[Notice, ...] = ()
    """Alerts that ended since the receiver was last notified."""
    new: frozenset[AlertId] = frozenset()
    """The firing alerts of which the receiver was not notified before."""
    previous: NotificationId | None = None
    """The previous notification of its incident, which a mail answers. None: this is the first, or it is unknown."""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """All alerts that it is about."""
        return (*self.firing, *self.resolved)


@dataclass(frozen=True, slots=True)
class Withheld:
    """A decision to withhold alerts for now. It is made once per alert state and reason, until the receiver is told."""

    id: NotificationId
    group: Group
    reason: WithheldReason
    root: NotificationId
    """The first notification of the incident so far; its own id if there is none."""
    at: int
    firing: tuple[Notice, ...] = ()
    resolved: tuple[Notice, ...] = ()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """All alerts that it holds back."""
        return (*self.firing, *self.resolved)


Decision = Notification | Withheld
"""What a dispatcher decides on a group."""


def record_of(output: Decision) -> NotificationV1:
    """Return the record of a decision. It is stored before anything is sent, and `Dispatcher.restore` reads it."""
    return NotificationV1(
        site=output.group.site,
        receiver=output.group.receiver,
        notification=output.id,
        group=output.group.key,
        number=output.number if isinstance(output, Notification) else 0,
        root=output.root,
        reason=output.reason if isinstance(output, Notification) else None,
        withheld=None if isinstance(output, Notification) else output.reason,
        firing=[n.alert for n in output.firing],
        resolved=[n.alert for n in output.resolved],
        at=output.at,
    )


def record_id(record: DeliveryV1) -> str:
    """Return the message id under which a record is stored: the same when it is stored again."""
    what = (record.notification, record.alert, record.state, record.recipient_sha256[:16])
    return ".".join((*what, str(record.attempt), record.outcome))


def notification_id(group: str, root: NotificationId | None, number: int, alerts: tuple[str, ...]) -> NotificationId:
    """Return an id that depends only on the decision, so that a repeated decision has the same id."""
    return _digest(group, root or "", str(number), *alerts)


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:16]
