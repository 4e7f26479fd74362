"""What was sent, read from the recorded attempts, and what is left to send, in order.

A mail is sent at least once, and exactly once unless the process died between the server's acceptance and the record.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from proto.public import AlertV1, DeliveryOutcome, DeliveryReason, DeliveryV1
from services.notify.core.recipient import Recipient

SETTLED: frozenset[DeliveryOutcome] = frozenset({"sent", "failed", "dead"})
"""Outcomes after which nothing more is tried: accepted, refused for good, given up."""


@dataclass(frozen=True)
class Attempts:
    """What is known of one mail: attempts so far and the outcome and reason that count."""

    count: int = 0
    outcome: DeliveryOutcome | None = None
    reason: DeliveryReason | None = None
    at: int = 0
    """When the last attempt was recorded, in ns."""

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be tried."""
        return self.outcome in SETTLED

    def after(self, record: DeliveryV1) -> "Attempts":
        """Return what is known after one more record. A mail once settled stays settled."""
        count = max(self.count, record.attempt)
        if self.settled:
            return Attempts(count, self.outcome, self.reason, self.at)
        return Attempts(count, record.outcome, record.reason, record.at)


_Key = tuple[str, str, str]


@dataclass
class Ledger:
    """The recorded attempts of one place and rule."""

    _mails: dict[_Key, Attempts] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[DeliveryV1]) -> "Ledger":
        """Return the ledger of these records, oldest first."""
        ledger = cls()
        for record in records:
            ledger.add(record)
        return ledger

    def add(self, record: DeliveryV1) -> None:
        """Take one more record into account."""
        key = (record.alert, record.state, record.recipient_sha256)
        self._mails[key] = self._mails.get(key, Attempts()).after(record)

    def attempts(self, alert: AlertV1, recipient: Recipient) -> Attempts:
        """Return what is known of the mail that tells this recipient of this alert's state."""
        return self._mails.get((alert.alert, alert.state, recipient.digest), Attempts())

    def pending(self, alert: AlertV1, recipients: Iterable[Recipient]) -> list[Recipient]:
        """Return those who are still to be told."""
        return [recipient for recipient in recipients if not self.attempts(alert, recipient).settled]

    def untold(self, alert: AlertV1, recipients: Iterable[Recipient]) -> list[Recipient]:
        """Return those who will never be told: refused for good, or given up."""
        return [r for r in recipients if self.attempts(alert, r).outcome in {"failed", "dead"}]


@dataclass(frozen=True)
class StoredAlert:
    """An alert as its stream holds it; `time` is the server's, in ns."""

    alert: AlertV1
    sequence: int
    time: int


def chain(
    stored: Sequence[StoredAlert], sequence: int, recipient: Recipient, ledger: Ledger, horizon: int
) -> list[StoredAlert]:
    """Return what this recipient must be sent now, in order, when the alert of that sequence has come up for delivery.

    `stored` is every alert of one place and rule, oldest first. A redelivered alert can come after a later one, so the
    order is made here: the chain begins with the oldest alert that was tried in vain, or with the firing that a
    resolved alert ends (if not stored before `horizon`), and goes on to the newest. It stops at the first mail that
    fails again; what is behind waits.
    """
    current = next((item for item in stored if item.sequence == sequence), None)
    if current is None:
        return []
    start = next(
        item.sequence
        for item in stored
        if item is current or _comes_first(item, current, ledger.attempts(item.alert, recipient), horizon)
    )
    return [item for item in stored if item.sequence >= start and not ledger.attempts(item.alert, recipient).settled]


def _comes_first(item: StoredAlert, current: StoredAlert, known: Attempts, horizon: int) -> bool:
    if known.outcome == "retrying":
        return True
    return item.alert.alert == current.alert.alert and not known.settled and item.time >= horizon
