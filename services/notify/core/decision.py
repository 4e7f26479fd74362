"""What comes of a step of the dispatcher, and its record in the stream."""

from dataclasses import dataclass
from operator import attrgetter

from proto.notifications import NotificationReason, NotificationV1, WithheldReason
from proto.types import NotificationId
from services.notify.core.book import Last
from services.notify.core.notification import Group, Notice, Notification, notification_id

_BY_AGE = attrgetter("since", "alert")


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


def told(
    group: Group,
    reason: NotificationReason,
    last: Last | None,
    at: int,
    new: list[Notice],
    known: list[Notice],
    ended: list[Notice],
) -> Notification:
    """Return the decision to tell of these, as the one after `last` in its incident, or as the first of one."""
    firing, resolved = sorted([*new, *known], key=_BY_AGE), sorted(ended, key=_BY_AGE)
    root, number = (last.root, last.number + 1) if last else (None, 1)
    name = notification_id(group.key, root, number, _states([*firing, *resolved]))
    return Notification(
        name, group, reason, number, root or name, at, tuple(firing), tuple(resolved), frozenset(n.alert for n in new)
    )


def withheld(group: Group, reason: WithheldReason, last: Last | None, at: int, held: list[Notice]) -> Withheld:
    """Return the decision to hold these back, after `last` in their incident."""
    root, number = (last.root, last.number) if last else (None, 0)
    name = notification_id(group.key, root, number, (reason, *_states(held)))
    firing, resolved = tuple(n for n in held if n.firing), tuple(n for n in held if not n.firing)
    return Withheld(name, group, reason, root or name, at, firing, resolved)


def _states(notices: list[Notice]) -> tuple[str, ...]:
    return tuple(f"{notice.alert}/{notice.state}" for notice in notices)


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
