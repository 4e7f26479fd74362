"""From an alert that came up for delivery to mails accepted and recorded (design §4, DELIVERIES)."""

import asyncio
import time
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any, Protocol, cast

from msgspec import Struct
from prometheus_client import Counter

from proto.public import AlertV1, DeliveryOutcome, DeliveryReason, DeliveryV1
from proto.subjects import ALERTS, DELIVERIES, Subject
from services.bus import Dead, Delivery, Retry, Stored
from services.log import get_logger
from services.notify.core.backoff import delay_s, given_up
from services.notify.core.describe import describe
from services.notify.core.ledger import Attempts, Ledger, StoredAlert, chain
from services.notify.core.local_time import UnpresentableError
from services.notify.core.message import Sender, compose, letter_of
from services.notify.core.notification import Group, Notification, notice_of, notification_id
from services.notify.core.outcome import SLOW, Failure, advice, judge
from services.notify.core.recipient import Recipient
from services.notify.directory import Directory
from services.notify.smtp import Session
from services.notify.templates import render
from services.notify.words import words_in
from services.sites.settings import SiteSettings

log = get_logger()

MAILS = Counter("moretta_notify_mails_total", "Attempts to send a mail, by what came of it", ["outcome", "reason"])


class DeliveryBus(Protocol):
    """What a delivery needs of the bus."""

    async def history(self, row: Subject, **tokens: str) -> list[Stored]:
        """Return all stored messages of a row."""

    async def store(self, row: Subject, message: Struct, *, message_id: str | None = None) -> int:
        """Store with acknowledgement."""


class Notifier:
    """Tells people about alerts; one alert at a time, each recipient's mails in the order of the alerts."""

    def __init__(self, bus: DeliveryBus, directory: Directory, clock: Callable[[], int] = time.time_ns) -> None:
        self._bus, self._directory, self._clock = bus, directory, clock
        self._one_at_a_time = asyncio.Lock()
        self._stopping = False

    def use(self, directory: Directory) -> None:
        """Take new settings into force from the next alert on."""
        self._directory = directory

    async def stop(self) -> None:
        """Take no more alerts and wait for the mails in flight."""
        self._stopping = True
        async with self._one_at_a_time:
            pass

    async def handle(self, alert: AlertV1, delivery: Delivery) -> None:
        """Tell everyone who is to be told and was not yet; Retry or Dead for those who could not be."""
        async with self._one_at_a_time:
            if self._stopping:
                raise Retry(1.0, "stopping")
            await _Round(self._bus, self._directory, self._clock, alert, delivery).run()


class _Round:
    """One go at what is left to send when an alert comes up."""

    def __init__(
        self, bus: DeliveryBus, directory: Directory, clock: Callable[[], int], alert: AlertV1, delivery: Delivery
    ) -> None:
        self._bus, self._directory, self._clock = bus, directory, clock
        self._alert, self._delivery = alert, delivery
        self._recipients = directory.recipients(alert.site)
        self._ledger = Ledger()
        self._waits: list[float] = []
        self._told: set[Failure] = set()

    async def run(self) -> None:
        if not self._recipients:
            log.info("an alert with nobody to tell", site=self._alert.site, rule=self._alert.rule)
            return
        stored = await self._read_back()
        async with self._directory.session() as session:
            for recipient in self._recipients:
                await self._catch_up(session, stored, recipient)
        self._conclude()

    async def _read_back(self) -> list[StoredAlert]:
        place = {"site": self._alert.site, "zone": self._alert.zone, "rule": self._alert.rule}
        self._ledger = Ledger.of(
            cast("DeliveryV1", stored.message) for stored in await self._bus.history(DELIVERIES, **place)
        )
        alerts = [
            StoredAlert(cast("AlertV1", s.message), s.sequence, s.time)
            for s in await self._bus.history(ALERTS, **place)
        ]
        if all(stored.sequence != self._delivery.sequence for stored in alerts):  # aged out while it waited
            alerts = [StoredAlert(self._alert, self._delivery.sequence, self._delivery.time), *alerts]
        return alerts

    async def _catch_up(self, session: Session, stored: list[StoredAlert], recipient: Recipient) -> None:
        """Send one recipient what is due, in order, up to the first mail that fails for now."""
        horizon = self._clock() - int(self._directory.give_up_after_s * 1e9)
        for item in chain(stored, self._delivery.sequence, recipient, self._ledger, horizon):
            if not await self._settle(session, item, recipient):
                return

    async def _settle(self, session: Session, item: StoredAlert, recipient: Recipient) -> bool:
        """Return whether nothing is left to try for this mail."""
        known = self._ledger.attempts(item.alert, recipient)
        if given_up(item.time, self._clock(), self._directory.give_up_after_s):
            await self._record(item, recipient, known, "dead", known.reason or "timeout")
            return True
        if (wait := self._wait_of(item, known)) > 0:
            self._waits.append(wait)
            return False
        return await self._attempt(session, item, recipient, known)

    async def _attempt(self, session: Session, item: StoredAlert, recipient: Recipient, known: Attempts) -> bool:
        sender = self._directory.sender()
        try:
            message = _mail(item, recipient, sender, self._directory.site(item.alert.site), self._directory.link)
        except UnpresentableError as error:
            log.error("no mail can be written about this alert", alert=item.alert.alert, error=str(error))
            await self._record(item, recipient, known, "failed", "other")
            return True
        failure = await session.send(message, recipient.address)
        if failure is None:
            await self._record(item, recipient, known, "sent", "accepted")
            return True
        verdict = judge(failure)
        self._tell(failure)
        await self._record(item, recipient, known, "retrying" if verdict.retry else "failed", verdict.reason)
        self._waits.append(self._wait_of(item, self._ledger.attempts(item.alert, recipient)))
        return not verdict.retry

    def _wait_of(self, item: StoredAlert, known: Attempts) -> float:
        """Return the seconds until the next attempt is due; 0 for the first."""
        if known.outcome != "retrying":
            return 0.0
        delay = delay_s(item.alert.alert, known.count, slow=known.reason in SLOW)
        return min(delay, known.at / 1e9 + delay - self._clock() / 1e9)

    async def _record(
        self, item: StoredAlert, recipient: Recipient, known: Attempts, outcome: DeliveryOutcome, reason: DeliveryReason
    ) -> None:
        alert, attempt = item.alert, known.count + 1
        record = DeliveryV1(
            site=alert.site,
            zone=alert.zone,
            rule=alert.rule,
            alert=alert.alert,
            state=alert.state,
            notification=alert.alert,
            receiver=recipient.receiver,
            channel="email",
            recipient_sha256=recipient.digest,
            attempt=attempt,
            outcome=outcome,
            reason=reason,
            at=self._clock(),
        )
        await self._bus.store(
            DELIVERIES, record, message_id=f"{alert.alert}.{alert.state}.{recipient.digest}.{attempt}"
        )
        self._ledger.add(record)
        MAILS.labels(outcome, reason).inc()
        level: Any = log.info if outcome == "sent" else log.warning
        level("mail", **_facts(record))

    def _tell(self, failure: Failure) -> None:
        """Log a failure once a round, as an error where a person must mend it."""
        if failure in self._told:
            return
        self._told.add(failure)
        smtp = self._directory.smtp
        assert smtp is not None
        level: Any = log.error if judge(failure).loud else log.warning
        level("the mail server did not take a mail", **server_facts(smtp.host, smtp.port_in_use(), failure))

    def _conclude(self) -> None:
        """Raise what the bus shall do with the alert; nothing when everyone was told."""
        if pending := self._ledger.pending(self._alert, self._recipients):
            raise Retry(max(min(self._waits, default=1.0), 0.1), f"{len(pending)} recipients are still to be told")
        if untold := self._ledger.untold(self._alert, self._recipients):
            raise Dead(_epitaph([(r.receiver, self._ledger.attempts(self._alert, r)) for r in untold]))


def _facts(record: DeliveryV1) -> dict[str, object]:
    """What the log says of an attempt: the first digits of the hash, never the address."""
    return {
        "outcome": record.outcome,
        "reason": record.reason,
        "alert": record.alert,
        "state": record.state,
        "site": record.site,
        "receiver": record.receiver,
        "recipient": record.recipient_sha256[:8],
        "attempt": record.attempt,
    }


def server_facts(host: str, port: int, failure: Failure) -> dict[str, object]:
    """What the log says of a mail server's failure, and what would be right."""
    known = {
        "what": failure.kind,
        "stage": failure.stage,
        "code": failure.code,
        "enhanced": failure.enhanced,
        "detail": failure.detail or None,
        "advice": advice(failure),
    }
    return {"host": host, "port": port, **{key: value for key, value in known.items() if value is not None}}


def _mail(item: StoredAlert, recipient: Recipient, sender: Sender, site: SiteSettings, link: str) -> EmailMessage:
    """Return the mail of one alert: an incident of two notifications, when it fires and when it is over."""
    notice = notice_of(item.alert, item.time)
    group = Group(recipient.receiver, notice.site, "field", notice.zone, notice.rule)
    ids = [notification_id(group.key, None, number, (notice.alert,)) for number in (1, 2)]
    firing = notice.firing
    notification = Notification(
        id=ids[0] if firing else ids[1],
        group=group,
        reason="first" if firing else "all-resolved",
        number=1 if firing else 2,
        root=ids[0],
        at=item.alert.end,
        firing=(notice,) if firing else (),
        resolved=() if firing else (notice,),
    )
    view = describe(notification, site, words_in(recipient.language), link=link)
    return compose(letter_of(notification, view.language, view.subject, render(view)), recipient, sender)


def _epitaph(untold: list[tuple[str, Attempts]]) -> str:
    """Say who was not told, by receiver; public, so without addresses."""
    each = ", ".join(f"{receiver}: {known.outcome} ({known.reason})" for receiver, known in untold)
    return f"{len(untold)} recipient{'s' if len(untold) > 1 else ''} could not be told: {each}"
