"""One site's ledger on the bus. It records each attempt before the next; a final failure becomes a dead letter."""

import asyncio
from collections.abc import Iterable
from itertools import islice
from typing import Any

from msgspec import structs
from prometheus_client import Counter, Histogram

from proto.codec import encode
from proto.control import DeadV1
from proto.notifications import NotificationV1
from proto.public import DeliveryV1, OperationalAlertV1
from proto.subjects import DEAD, DELIVERIES, NOTIFICATIONS, OPERATIONS
from proto.types import Channel
from services.bus import Bus, LeaseCheck
from services.kernel.log import get_logger
from services.notify.delivery.alarms import Alarms
from services.notify.delivery.ledger import UNTOLD, Attempts, Ledger, records
from services.notify.delivery.outbox import Due, Envelope
from services.notify.notification import record_id, record_of
from services.notify.outcome import Failure, advice, judge
from services.notify.recipient import Recipient, named

log = get_logger()

# Labels are the enums of DeliveryV1, so a metric has a known number of series; no metric knows a receiver or a site.
ATTEMPTS = Counter(
    "moretta_notify_attempts_total", "Attempts to deliver, by what came of them", ["channel", "outcome", "reason"]
)
ALERTS_RECORDED = Counter(
    "moretta_notify_recorded_total", "Records of what became of alerts, by recipient", ["channel", "outcome", "reason"]
)
DECIDED_TO_SENT = Histogram(
    "moretta_notify_delivery_seconds",
    "From the decision to tell to its acceptance by the other side",
    ["channel"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 43200),
)
ALERT_LATENCY = Histogram(
    "moretta_notify_alert_seconds",
    "From an alert's storing to a recipient's first word of it being accepted by the other side, over all attempts",
    ["channel"],
    buckets=(0.5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 43200),
)
_NEWS = frozenset({"first", "new-alerts"})
"""Reasons that report an alert as soon as possible. For other reasons, the settings impose a wait."""
_AT_ONCE = 128
_RETRY_S = 1.0


class SiteLedger:
    """The records of a site's notifications: all in DELIVERIES, and in memory those with something left to do."""

    def __init__(self, bus: Bus, site: str, held: LeaseCheck) -> None:
        self._bus, self.held = bus, held
        self._ledger, self._alarms = Ledger(), Alarms(site)
        self._open: dict[str, set[str]] = {}
        """For each notification, the hashes of the recipients that are still to be reached."""

    def restore(self, deliveries: Iterable[DeliveryV1], alarms: Iterable[OperationalAlertV1]) -> None:
        """Load what is stored, each in the order of its stream."""
        self._ledger = Ledger(deliveries)
        self._alarms.restore(alarms)

    def attempts(self, envelope: Envelope) -> Attempts:
        """Return what is known about the delivery of a notification to a recipient."""
        return self._ledger.attempts(envelope.notification.id, envelope.recipient)

    def begin(self, envelopes: Iterable[Envelope]) -> None:
        """Keep track of these envelopes from now on."""
        for envelope in envelopes:
            self._open.setdefault(envelope.notification.id, set()).add(envelope.recipient.digest)

    def tidy(self) -> None:
        """Drop everything that needs no more work."""
        self._ledger.keep(self._open)

    def is_open(self, envelope: Envelope) -> bool:
        """Return whether a notification is already on its way to a recipient."""
        return envelope.recipient.digest in self._open.get(envelope.notification.id, ())

    async def decided(self, record: NotificationV1) -> None:
        """Store a decision. Nothing is sent before it is stored."""
        what = f"{record.notification}.{record.reason or record.withheld}.{record.at}"
        await self._bus.store(NOTIFICATIONS, record, message_id=what, held=self.held)

    async def record(self, due: Due, now: Attempts, failure: Failure | None) -> None:
        """Record an attempt, or that it was given up.

        An accepted message is recorded before all else, since it would be sent again otherwise. After a failure, the
        alarm and the dead letter come first, so that neither is missed.
        """
        envelope = due.envelope
        alarms = list(self._alarms.take(envelope, now, failure))
        while not await self._keep(envelope, now, alarms):
            await asyncio.sleep(_RETRY_S)
        if now.settled:
            self._close(envelope)
        _count(envelope, now, due)
        _log(envelope, now, failure)

    async def _keep(self, envelope: Envelope, now: Attempts, alarms: list[OperationalAlertV1]) -> bool:
        """Return whether everything is stored. If not, only the storing is repeated, never the delivery."""
        recorded = records(envelope.notification, envelope.recipient, now)
        try:
            if now.outcome == "sent":
                await self._store(recorded)
            for alarm in alarms:
                await self._alarm(alarm)
            if now.outcome in UNTOLD:
                await self._bury(record_of(envelope.notification), envelope.recipient, now)
            if now.outcome != "sent":
                await self._store(recorded)
        except Exception as error:  # JetStream refuses, for example when it has no room
            log.error("attempt not recorded yet", notification=envelope.notification.id, error=str(error))
            return False
        return True

    async def complete(self, envelope: Envelope, known: Attempts) -> None:
        """Store the records of a known outcome that a crash left out."""
        left = self._ledger.unrecorded(envelope.notification, envelope.recipient)
        await self._store(records(envelope.notification, envelope.recipient, known, left))
        self._close(envelope)

    async def replay(self, envelope: Envelope, known: Attempts) -> None:
        """Record that an operator ordered an envelope to be sent again."""
        self.begin([envelope])
        await self._store(records(envelope.notification, envelope.recipient, known))

    async def forgotten(self, envelope: Envelope, people: Iterable[Recipient], now: int) -> None:
        """Give up an envelope whose recipient is unknown since the salt changed; it was one of `people`."""
        known = self.attempts(envelope).given_up(now, "salt-changed")
        alarms = list(self._alarms.forgotten(people, now))
        while not await self._keep(envelope, known, alarms):
            await asyncio.sleep(_RETRY_S)

    async def reported(self, record: DeliveryV1, decided: NotificationV1 | None) -> None:
        """Handle a gateway's report about an SMS that it had accepted. A lost SMS is one alarm and one dead letter.

        The record that it was handled comes last. So a process that dies before that handles it again after a restart.
        """
        alarms = list(self._alarms.reported(record))
        while not await self._keep_report(record, decided, alarms):
            await asyncio.sleep(_RETRY_S)

    async def _keep_report(
        self, record: DeliveryV1, decided: NotificationV1 | None, alarms: list[OperationalAlertV1]
    ) -> bool:
        known: dict[str, str] = {"notification": record.notification, "recipient": named(record).name}
        try:
            for alarm in alarms:
                await self._alarm(alarm)
            if record.outcome == "failed":
                log.warning("accepted message not delivered", **known)
                if decided is not None:
                    await self._bury(decided, named(record), Attempts().after(record))
                await self._store([structs.replace(record, outcome="dead")])
        except Exception as error:  # JetStream refuses, for example when it has no room
            log.error("lost message not recorded yet", error=str(error), **known)
            return False
        return True

    async def let_go(self, envelopes: Iterable[Envelope], reached: Iterable[Recipient], now: int) -> None:
        """Stop tracking these envelopes, and end the alarms about recipients that are not in `reached`."""
        for envelope in envelopes:
            self._close(envelope)
        for alarm in self._alarms.let_go(reached, now):
            await self._alarm(alarm)

    def _close(self, envelope: Envelope) -> None:
        left = self._open.get(envelope.notification.id, set())
        left.discard(envelope.recipient.digest)
        if not left:
            self._open.pop(envelope.notification.id, None)
            self._ledger.forget(envelope.notification.id)

    async def _store(self, found: Iterable[DeliveryV1]) -> None:
        """Store records in batches. They are facts, so a replica whose lease has expired may write them too."""
        left = iter(found)
        while batch := list(islice(left, _AT_ONCE)):
            await asyncio.gather(*(self._bus.store(DELIVERIES, one, message_id=record_id(one)) for one in batch))
            for one in batch:
                self._ledger.add(one)
                ALERTS_RECORDED.labels(one.channel, one.outcome, one.reason).inc()

    async def _bury(self, record: NotificationV1, recipient: Recipient, now: Attempts) -> None:
        payload = encode(NOTIFICATIONS, record)
        dead = DeadV1(
            service="notify",
            subject=NOTIFICATIONS.of(record),
            reason=f"{recipient.name} by {recipient.channel}: {now.outcome} ({now.reason})",
            size=len(payload),
            at=now.at,
            payload=payload,
        )
        what = f"{record.notification}.{recipient.digest[:16]}.{now.count}.dead"
        await self._bus.store(DEAD, dead, message_id=what)

    async def _alarm(self, alarm: OperationalAlertV1) -> None:
        what = f"{alarm.kind}.{alarm.name}.{alarm.state}.{alarm.since}"
        await self._bus.store(OPERATIONS, alarm, message_id=what, held=self.held)
        log.warning("operational alert", site=alarm.site, kind=alarm.kind, name=alarm.name, state=alarm.state)


def _count(envelope: Envelope, now: Attempts, due: Due) -> None:
    ATTEMPTS.labels(envelope.recipient.channel, now.outcome, now.reason).inc()
    if now.outcome == "sent" and not due.known.count:
        DECIDED_TO_SENT.labels(envelope.recipient.channel).observe((now.at - envelope.notification.at) / 1e9)
    if now.outcome == "sent" and envelope.notification.reason in _NEWS:
        for notice in envelope.notification.firing:
            if notice.alert in envelope.notification.new:
                ALERT_LATENCY.labels(envelope.recipient.channel).observe(max(0, now.at - notice.stored) / 1e9)


def _log(envelope: Envelope, now: Attempts, failure: Failure | None) -> None:
    """Log an attempt with the first digits of the hash, never the address; as an error if a person must fix it."""
    known: dict[str, object] = {
        "outcome": now.outcome,
        "reason": now.reason,
        "site": envelope.site,
        "notification": envelope.notification.id,
        "recipient": envelope.recipient.name,
        "channel": envelope.recipient.channel,
        "attempt": now.count,
    }
    if failure is not None:
        known |= failure_facts(failure, envelope.recipient.channel)
    loud = failure is not None and judge(failure).loud
    level: Any = log.error if loud else log.info if now.outcome == "sent" else log.warning
    level("delivery", **known)


def failure_facts(failure: Failure, channel: Channel) -> dict[str, object]:
    """Return what the log says about a failure, and the advice."""
    known = {
        "what": failure.kind,
        "stage": failure.stage,
        "code": failure.code,
        "enhanced": failure.enhanced,
        "detail": failure.detail or None,
        "advice": advice(failure, channel),
    }
    return {key: value for key, value in known.items() if value is not None}
