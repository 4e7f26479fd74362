"""The state of deliveries, read from the recorded attempts: what was delivered, and what is left to deliver.

A notification reaches each recipient at least once. It does so exactly once unless the process died between the other
side's acceptance and the record (ADR 8).
"""

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from proto.public import AlertV1, DeliveryKind, DeliveryOutcome, DeliveryReason, DeliveryV1
from proto.types import AlertId, AlertState
from services.notify.notification import Notice, Notification
from services.notify.outcome import Failure, judge
from services.notify.recipient import Recipient
from services.notify.reports.schedule import STATE

SETTLED: frozenset[DeliveryOutcome] = frozenset({"sent", "delivered", "failed", "dead"})
"""Outcomes after which nothing more is tried: accepted, refused for good, given up."""
ARRIVED: frozenset[DeliveryOutcome | None] = frozenset({"sent", "delivered"})
"""Outcomes of recipients that got the message."""
UNTOLD: frozenset[DeliveryOutcome] = frozenset({"failed", "dead"})
"""Outcomes of recipients that will never get the message, unless an operator has it sent again."""
_FEW = 16
"""At every attempt, this many alerts of a notification are recorded; all alerts of a storm would fill DELIVERIES."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known of one notification to one recipient: attempts so far, and the outcome and reason that count."""

    count: int = 0
    outcome: DeliveryOutcome | None = None
    reason: DeliveryReason | None = None
    at: int = 0
    """When the last attempt was recorded, ns."""
    replayed_at: int = 0
    """When an operator had it sent again, ns; 0: never."""

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to try."""
        return self.outcome in SETTLED

    def after(self, record: DeliveryV1) -> "Attempts":
        """Return what is known after one more record. Only a replay or a delivery report changes a settled outcome."""
        count = max(self.count, record.attempt)
        if record.outcome == "replayed":
            return Attempts(count, record.outcome, record.reason, record.at, record.at)
        change = (self.outcome, record.outcome)
        is_report = record.outcome == "delivered" or change == ("sent", "failed")
        is_report = is_report or (change == ("failed", "dead") and record.reason == "lost")
        if self.settled and not is_report:
            return Attempts(count, self.outcome, self.reason, self.at, self.replayed_at)
        return Attempts(count, record.outcome, record.reason, record.at, self.replayed_at)

    def judged(self, failure: Failure | None, now: int) -> "Attempts":
        """Return what is known after one more attempt with this result."""
        if failure is None:
            return Attempts(self.count + 1, "sent", "accepted", now, self.replayed_at)
        verdict = judge(failure)
        return Attempts(
            self.count + 1, "retrying" if verdict.retry else "failed", verdict.reason, now, self.replayed_at
        )

    def given_up(self, now: int, why: DeliveryReason | None = None) -> "Attempts":
        """Return what is known once it is too old to be tried again, or cannot be for another reason."""
        return Attempts(self.count + 1, "dead", why or self.reason or "timeout", now, self.replayed_at)

    def replayed(self, now: int) -> "Attempts":
        """Return what is known once an operator has it sent again."""
        return Attempts(self.count + 1, "replayed", self.reason or "other", now, now)


@dataclass(frozen=True, slots=True)
class Topic:
    """What one record of a notification is about: an alert in a state, or the day of a report."""

    kind: DeliveryKind
    alert: AlertId
    state: AlertState
    names: Mapping[str, str] = field(default_factory=dict)
    """The place, by the names of DeliveryV1's fields."""


@dataclass(slots=True)
class _Entry:
    attempts: Attempts = Attempts()
    settled: set[tuple[str, str]] = field(default_factory=set)
    """Alerts with their states, of which the last record is stored."""


class Ledger:
    """The recorded attempts of the notifications that are not forgotten."""

    def __init__(self, records: Iterable[DeliveryV1] = ()) -> None:
        self._entries: dict[str, dict[str, _Entry]] = {}
        for record in records:
            self.add(record)

    def add(self, record: DeliveryV1) -> None:
        """Take one more record into account."""
        entry = self._entries.setdefault(record.notification, {}).setdefault(record.recipient_sha256, _Entry())
        entry.attempts = entry.attempts.after(record)
        if record.outcome == "replayed":
            entry.settled.clear()
        elif record.outcome in SETTLED:
            entry.settled.add((record.alert, record.state))

    def attempts(self, notification: str, recipient: Recipient) -> Attempts:
        """Return what is known of a notification to a recipient."""
        entry = self._entries.get(notification, {}).get(recipient.digest)
        return entry.attempts if entry is not None else Attempts()

    def unrecorded(self, notification: Notification, recipient: Recipient) -> list[Topic]:
        """Return the alerts whose outcome is not stored yet, since the process died between two of its records."""
        entry = self._entries.get(notification.id, {}).get(recipient.digest, _Entry())
        return [line for line in recorded(notification) if (line.alert, line.state) not in entry.settled]

    def forget(self, notification: str) -> None:
        """Forget a notification that needs no more work."""
        self._entries.pop(notification, None)

    def keep(self, notifications: Container[str]) -> None:
        """Forget all notifications but these."""
        self._entries = {name: entry for name, entry in self._entries.items() if name in notifications}

    def __len__(self) -> int:
        """Return how many notifications it holds."""
        return len(self._entries)


def recorded(notification: Notification) -> list[Topic]:
    """Return the alerts for which a notification's outcome is recorded: all, or of very many only the news.

    A repetition has no news: then these are the first ones. A report has one line.
    """
    if notification.reason == "report":
        return [Topic("daily-report", notification.id, STATE)]
    notices = list(notification.notices)
    if len(notices) > _FEW:
        news = [notice for notice in notices if not notice.firing or notice.alert in notification.new]
        notices = news or notices[:_FEW]
    return [_topic(notice) for notice in notices]


def _topic(notice: Notice) -> Topic:
    message = notice.message
    if isinstance(message, AlertV1):
        return Topic("rule", notice.alert, notice.state, {"zone": message.zone, "rule": message.rule})
    named = {"camera-down": "camera", "no-data": "zone"}.get(message.kind, "name")
    return Topic(message.kind, notice.alert, notice.state, {named: message.name})


def records(
    notification: Notification, recipient: Recipient, now: Attempts, lines: Iterable[Topic] | None = None
) -> Iterator[DeliveryV1]:
    """Yield an attempt's records, one for each alert. Before the last attempt, of very many only the first."""
    topics = recorded(notification) if lines is None else list(lines)
    assert now.outcome is not None
    assert now.reason is not None
    for line in topics if now.settled else topics[:_FEW]:
        yield DeliveryV1(
            site=notification.group.site,
            receiver=recipient.receiver,
            notification=notification.id,
            kind=line.kind,
            **line.names,
            alert=line.alert,
            state=line.state,
            channel=recipient.channel,
            recipient_sha256=recipient.digest,
            attempt=now.count,
            outcome=now.outcome,
            reason=now.reason,
            at=now.at,
        )
