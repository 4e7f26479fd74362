"""Runs one site: restores the dispatcher, feeds it alerts and silences in order, stores and delivers decisions."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import cast

from msgspec import structs
from prometheus_client import Counter

from proto.notifications import NotificationV1, SilenceV1
from proto.subjects import DELIVERIES, SILENCES, Subject
from proto.types import Channel as ChannelName
from proto.types import Nanoseconds, SilenceId
from services.bus import Bus, LeaseCheck, Removed, Stored
from services.kernel.log import get_logger
from services.kernel.tracing import begin
from services.notify.deadlines import seconds_until
from services.notify.delivery.agent import LEAVE_S, DeliveryAgent
from services.notify.delivery.ledger import ARRIVED, Ledger
from services.notify.delivery.lost_sms import KEPT_S, LostMessages
from services.notify.delivery.outbox import Envelope
from services.notify.delivery.site_ledger import SiteLedger
from services.notify.directory import Directory
from services.notify.dispatch.dispatcher import Dispatcher, Input, SilenceGone
from services.notify.dispatch.replay import KnownAlerts, whole
from services.notify.dispatch.restoring import FOLLOWED, Past, notice, read_past, unknown_recipients
from services.notify.notification import Decision, Notification, record_of
from services.notify.reports.daily import REMEMBERED, DailyReports
from services.notify.reports.schedule import notification_again as again

log = get_logger()

DECIDED = Counter("moretta_notify_notifications_total", "Decisions to tell a receiver, by reason", ["reason"])
WITHHELD = Counter("moretta_notify_withheld_total", "Decisions not to tell a receiver for now, by reason", ["reason"])
_LOOK_S = 60.0
"""How often to look: a delivery in flight to a recipient that left the settings may have failed meanwhile."""
_INBOX = 256
_GATHER_S = 0.05
"""Just long enough to collect some inputs: every notification waits this much longer."""


class NotHeldError(Exception):
    """The site has gone, or is about to go, to another replica."""


class SiteDispatch:
    """Notifies people about one site. Calls `ready` once everything stored before the start has been read.

    It decides only while `held`: without the lease, another replica may serve this site by now (ADR 12).
    """

    def __init__(
        self,
        bus: Bus,
        site: str,
        directory: Directory,
        agent: DeliveryAgent,
        held: LeaseCheck,
        ready: Callable[[bool], None],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._bus, self._site, self._agent, self._held, self._ready, self._clock = bus, site, agent, held, ready, clock
        self._directory = directory
        self._ledger = SiteLedger(bus, site, held)
        self._lost = LostMessages(bus, site, self._ledger, clock)
        self._reports = DailyReports(bus, site, lambda: self._directory, self.notify, clock)
        self._inbox: asyncio.Queue[Input] = asyncio.Queue(_INBOX)
        self._changed = asyncio.Event()
        self._open, self._replaying = False, asyncio.Lock()
        self._silenced: dict[SilenceId, Nanoseconds] = {}

    async def configure(self, directory: Directory) -> None:
        """Apply new settings to all decisions from now on."""
        self._directory = directory
        self._changed.set()
        await self._inbox.put(directory.plan)

    async def run(self) -> None:
        """Restore, then decide, for ever."""
        dispatcher, starts = await self._restore()
        async with asyncio.TaskGroup() as group:
            for row in FOLLOWED:
                group.create_task(self._follow(row, starts[str(row.stream)]), name=f"{row.stream} of {self._site}")
            group.create_task(self._lost.run(starts[str(DELIVERIES.stream)]), name=f"reports about {self._site}")
            group.create_task(self._silences(), name=f"silences of {self._site}")
            group.create_task(self._reports.run(), name=f"reports of {self._site}")
            group.create_task(self._let_go(), name=f"receivers that left {self._site}")
            await self._decide(dispatcher)

    async def _restore(self) -> tuple[Dispatcher, dict[str, int]]:
        """Return a dispatcher that knows past decisions, and where to read on. Continue the unsettled deliveries."""
        plan = self._directory.plan
        oldest = self._clock() - REMEMBERED  # covers today's spending, decided reports and the cap's hour
        past = await read_past(self._bus, self._site, plan, self._directory.give_up_after_s, oldest)
        dispatcher = Dispatcher(plan)
        self._ledger.restore(past.deliveries, past.alarms)
        self._lost.restore(past.deliveries)
        self._reports.restore(past.records)
        self._agent.open(self._site, self._ledger, past.deliveries)
        self._open = True
        await self._take_up(past)
        dispatcher.restore(past.notices, past.records, past.silences, self._clock())
        log.info("restored", site=self._site, alerts=len(past.notices), decisions=len(past.records))
        return dispatcher, past.next

    async def notify(self, notification: Notification, record: NotificationV1) -> None:
        """Store a decision, then deliver it to all recipients of its receiver; a daily report goes by e-mail only."""
        parent, links = _traces(notification)
        with begin("notify.decide", parent, links, site=self._site, reason=notification.reason) as span:
            await self._notify(notification, record, span.traceparent)

    async def _notify(self, notification: Notification, record: NotificationV1, trace: str) -> None:
        channel: ChannelName | None = "email" if notification.reason == "report" else None
        people = self._directory.recipients(notification.group.receiver, channel)
        envelopes = [Envelope(notification, one, trace) for one in people]
        whom = [envelope.recipient.digest for envelope in envelopes]
        await self._ledger.decided(structs.replace(record, recipients=whom, salt=self._directory.salt_name))
        DECIDED.labels(notification.reason).inc()
        log.info(
            "notification",
            site=self._site,
            receiver=notification.group.receiver,
            reason=notification.reason,
            notification=notification.id,
            recipients=len(whom),
        )
        self._ledger.begin(envelopes)
        self._agent.put(envelopes)

    async def replay(self, name: str) -> int:
        """Send a notification again to the recipients that it did not reach; return how many.

        LookupError if it is unknown. NotHeldError if the site moves to another replica: ask the next lease holder.
        """
        async with self._replaying:
            oldest = self._clock() - int(KEPT_S * 1e9)
            past = await read_past(self._bus, self._site, self._directory.plan, self._directory.give_up_after_s, oldest)
            found = [envelope for envelope in self._stored(past) if envelope.notification.id == name]
            if not found:
                raise LookupError(name)
            ledger = Ledger(past.deliveries)
            left = [one for one in found if ledger.attempts(name, one.recipient).outcome not in ARRIVED]
            return sum([await self._try_again(one, ledger) for one in left if not self._ledger.is_open(one)])

    async def _try_again(self, envelope: Envelope, ledger: Ledger) -> bool:
        if not (self._open and self._held()):
            raise NotHeldError
        known = ledger.attempts(envelope.notification.id, envelope.recipient)
        await self._ledger.replay(envelope, known.replayed(self._clock()))
        if self._open:  # else the next lease holder finds the record
            self._agent.put([envelope])
        return True

    def holds(self, silence: SilenceId, ends: Nanoseconds) -> bool:
        """Return whether each alert that comes in from now on is decided here, with a silence that ends then."""
        return self._held() and self._silenced.get(silence) == ends

    async def leave(self) -> None:
        """Stop delivering for the site. First let a replay in progress finish and answer, within a time limit."""
        self._open = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S), self._replaying:
                pass
        await self._agent.leave(self._site)

    async def _decide(self, dispatcher: Dispatcher) -> None:
        """Decide at every input and at every deadline. Decide what is due now before reading anything new."""
        inputs: list[Input] = []
        ready = False
        while True:
            for output in dispatcher.step(self._clock(), *inputs):
                await self._settle(output)
            if not ready:
                self._ready(True)
                ready = True
            inputs = await self._next(dispatcher.next_deadline())

    async def _next(self, deadline: int | None) -> list[Input]:
        """Return the inputs that came in; none at the deadline, or when it is time to look at the clock."""
        # Wait at least some milliseconds: a deadline that stays due must not block everything else in the event loop.
        found: list[Input] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.005, seconds_until(deadline, self._clock()))):
                found.append(await self._inbox.get())
                # In a storm, inputs come one by one, and each decision looks at all open alerts: collect some.
                await asyncio.sleep(_GATHER_S)
        while not self._inbox.empty():
            found.append(self._inbox.get_nowait())
        return found

    async def _settle(self, output: Decision) -> None:
        record = record_of(output)
        if isinstance(output, Notification):
            await self.notify(output, record)
            return
        await self._ledger.decided(record)
        WITHHELD.labels(output.reason).inc()
        log.info("withheld", site=self._site, receiver=output.group.receiver, reason=output.reason)

    async def _take_up(self, past: Past) -> None:
        """Continue with decisions that are not settled, in their order."""
        envelopes = list(self._stored(past))
        self._ledger.begin(envelopes)
        for envelope in envelopes:
            known = self._ledger.attempts(envelope)
            if known.settled:
                await self._ledger.complete(envelope, known)
            else:
                self._agent.put([envelope])
        await self._forget(past)
        self._ledger.tidy()

    async def _forget(self, past: Past) -> None:
        """Give up, and report, what was on its way when the salt changed: its recipients cannot be identified."""
        left = list(unknown_recipients(self._whole(past), past.deliveries, self._directory))
        for envelope in left:
            people = self._directory.recipients(envelope.recipient.receiver, envelope.recipient.channel)
            await self._ledger.forgotten(envelope, people, self._clock())
        if left:
            log.error(
                "pending notifications dropped",
                reason="notify.salt has changed, or the sender where there is none",
                site=self._site,
                messages=len(left),
                advice="put the old one back, start notify again, and send the dead letters with moretta notify replay",
            )

    def _stored(self, past: Past) -> Iterator[Envelope]:
        """Yield stored notifications, rebuilt in full, for each of their recipients that is still in the settings."""
        for record, notification in self._whole(past):
            recipients, whom = self._directory.recipients(record.receiver), set(record.recipients)
            yield from (Envelope(notification, one) for one in recipients if one.digest in whom)

    def _whole(self, past: Past) -> Iterator[tuple[NotificationV1, Notification]]:
        """Yield stored decisions with their notifications, rebuilt in full."""
        known, notices = KnownAlerts(), {(one.alert, one.state): one for one in past.notices}
        # Two holders that overlapped for a moment may have stored the same decision, under the same name.
        replays = {record.notification: record for record in past.again}
        for record in ({record.notification: record for record in past.records} | replays).values():
            new = known.news(record)
            if record.notification in past.known_of - replays.keys():
                continue
            is_report = record.reason == "report"
            notification = again(record) if is_report else whole(record, new, notices, self._directory.plan)
            if notification is not None:
                yield record, notification

    async def _let_go(self) -> None:
        """For ever: drop the waiting envelopes of recipients that left the settings, and end the alarms about them."""
        while True:
            self._changed.clear()
            reached = self._directory.everyone()
            left = self._agent.let_go(self._site, reached)
            if left:
                log.warning("messages to removed recipients dropped", site=self._site, count=len(left))
            await self._ledger.let_go(left, reached, self._clock())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._changed.wait()

    async def _follow(self, row: Subject, start: int) -> None:
        async for stored in self._bus.follow(str(row.stream), [row.wildcard(site=self._site)], start=start):
            if isinstance(stored, Stored):
                await self._inbox.put(notice(stored))
            else:
                log.warning("alert stream lost", stream=row.stream)

    async def _silences(self) -> None:
        async for change in self._bus.watch(str(SILENCES.stream), [SILENCES.wildcard()]):
            if isinstance(change, Stored):
                silence = cast("SilenceV1", change.message)
                await self._inbox.put(silence)
                self._silenced[silence.silence] = silence.ends
                who = {"operator": silence.operator, "why": silence.why}
                log.info("silence", site=self._site, silence=silence.silence, **who)
            elif isinstance(change, Removed):
                gone = (SILENCES.parse(change.subject) or {})["silence"]
                await self._inbox.put(SilenceGone(gone))
                self._silenced.pop(gone, None)


def _traces(notification: Notification) -> tuple[str, list[str]]:
    """Return the parent trace and the linked traces. A single new trace is the parent; a reminder has no parent."""
    news = [n.trace for n in notification.notices if n.trace and (n.alert in notification.new or not n.firing)]
    if len(news) == 1:
        return news[0], []
    return "", news or [n.trace for n in notification.notices if n.trace]
