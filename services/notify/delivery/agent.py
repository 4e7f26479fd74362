"""Sends the envelopes that are due, on all channels at once, and records their outcomes."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from proto.public import DeliveryV1
from proto.types import Channel as ChannelName
from services.kernel.app import end_tasks
from services.kernel.log import get_logger
from services.kernel.tracing import follow
from services.notify.channels.channel import Budgeted, Channel
from services.notify.deadlines import seconds_until
from services.notify.delivery.ledger import Attempts
from services.notify.delivery.outbox import Due, Envelope, Outbox
from services.notify.delivery.site_ledger import ALERT_LATENCY, SiteLedger
from services.notify.outcome import Failure
from services.notify.recipient import Recipient

log = get_logger()

LEAVE_S = 4.0
"""How long a site that moves to another replica, or ends, waits for its deliveries in flight."""
_HELD_S = 0.1
_MISSING = Failure("other", "connect", detail="the settings have no such channel any more")


class DeliveryAgent:
    """Delivers the envelopes that the outbox reports as due. Each is sent, then recorded in its site's ledger."""

    def __init__(self, outbox: Outbox, clock: Callable[[], int] = time.time_ns) -> None:
        self._outbox, self._clock = outbox, clock
        self._channels: Mapping[ChannelName, Channel] = {}
        self._ledgers: dict[str, SiteLedger] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    async def use(self, channels: Mapping[ChannelName, Channel], give_up_after_s: float) -> None:
        """Deliver through these channels from now on. Close the earlier ones after their deliveries in flight."""
        before, self._channels = self._channels, channels
        for name in channels:
            ALERT_LATENCY.labels(name)  # starts at 0: a reader who only sees a series appear misses the first alert
        self._outbox.give_up_after_s = give_up_after_s
        self._outbox.retry_now()
        self._wake.set()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=LEAVE_S)
        for channel in before.values():
            await channel.close()

    @property
    def channels(self) -> Mapping[ChannelName, Channel]:
        """The channels in use."""
        return self._channels

    def open(self, site: str, ledger: SiteLedger, deliveries: Collection[DeliveryV1] = ()) -> None:
        """Record a site's deliveries in this ledger. Channels with a budget count the earlier `deliveries`."""
        self._ledgers[site] = ledger
        for channel in self._channels.values():
            if isinstance(channel, Budgeted):
                channel.recount(site, deliveries)

    def put(self, envelopes: Iterable[Envelope]) -> None:
        """Deliver these as soon as possible, in order for each recipient."""
        for envelope in envelopes:
            self._outbox.put(envelope, self._ledgers[envelope.site].attempts(envelope), self._clock())
        self._wake.set()

    def let_go(self, site: str, reached: Iterable[Recipient]) -> list[Envelope]:
        """Drop and return a site's waiting envelopes for recipients that are not in `reached`."""
        return self._outbox.let_go(site, {one.place for one in reached})

    async def run(self) -> None:
        """Deliver, for ever."""
        while True:
            while not self._stopping and (due := self._outbox.take(self._clock())) is not None:
                task = asyncio.create_task(self._deliver(due), name=f"deliver {due.envelope.notification.id}")
                self._tasks[task] = due.envelope.site
                task.add_done_callback(self._ended)
            self._wake.clear()
            when = self._outbox.next_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds_until(None if self._stopping else when, self._clock()) + 0.001):
                    await self._wake.wait()

    async def leave(self, site: str) -> None:
        """Stop delivering for a site. Finish and record its deliveries in flight, within a time limit."""
        self._outbox.drop(site)
        mine = {task for task, name in self._tasks.items() if name == site}
        if mine:
            _, left = await asyncio.wait(mine, timeout=LEAVE_S)
            await end_tasks(left)
        self._outbox.drop(site)
        self._ledgers.pop(site, None)

    async def stop(self) -> None:
        """Start no more deliveries, finish those in flight within a time limit, then close the channels."""
        self._stopping = True
        if self._tasks:
            _, left = await asyncio.wait(set(self._tasks), timeout=LEAVE_S)
            await end_tasks(left)
        for channel in self._channels.values():
            await channel.close()

    async def _deliver(self, due: Due) -> None:
        known, failure = due.known, None
        ledger, envelope = self._ledgers[due.envelope.site], due.envelope
        channel = envelope.recipient.channel
        try:
            with follow("notify.deliver", envelope.trace, site=envelope.site, channel=channel) as span:
                known, failure = await self._attempt(due, ledger)
                span.set_attributes(outcome=known.outcome, reason=known.reason)
                await ledger.record(due, known, failure)
        finally:  # after any error, this process does not send an accepted message again
            self._outbox.done(due, known, failure, self._clock())
            self._wake.set()

    async def _attempt(self, due: Due, ledger: SiteLedger) -> tuple[Attempts, Failure | None]:
        if due.expired:
            return due.known.given_up(self._clock()), None
        while not ledger.held():  # the process was frozen, or has no NATS: another replica may serve this site by now
            await asyncio.sleep(_HELD_S)
        recipient = due.envelope.recipient
        channel = self._channels.get(recipient.channel)
        try:
            failure = _MISSING if channel is None else await channel.send(due.envelope.notification, recipient)
        except Exception as error:  # the channel broke its contract: the delivery is retried slowly and blocks no other
            failure = Failure("other", "data", detail=type(error).__name__)
        return due.known.judged(failure, self._clock()), failure

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("delivery failed unexpectedly", error=type(error).__name__)
