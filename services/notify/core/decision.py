"""What comes of a step of the dispatcher, and its record in the stream."""

from dataclasses import dataclass

from proto.notifications import NotificationV1, WithheldReason
from proto.types import NotificationId
from services.notify.core.notification import Group, Notice, Notification, notification_id


@dataclass(frozen=True, slots=True)
class Withheld:
    """A decision not to tell for now; said once of an alert's state and a reason, until the receiver is told."""

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
        """All that is held back by it."""
        return (*self.firing, *self.resolved)


Output = Notification | Withheld


def withheld(
    group: Group, reason: WithheldReason, root: NotificationId | None, number: int, at: int, held: list[Notice]
) -> Withheld:
    """Return the decision to hold these back, after `number` notifications of the incident that `root` began."""
    name = notification_id(group.key, root, number, (reason, *(f"{n.alert}/{n.state}" for n in held)))
    firing, resolved = tuple(n for n in held if n.firing), tuple(n for n in held if not n.firing)
    return Withheld(name, group, reason, root or name, at, firing, resolved)


def record_of(output: Output) -> NotificationV1:
    """Return what is stored of a decision, before anything is sent; `Dispatcher.restore` reads it again."""
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
