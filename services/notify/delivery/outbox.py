"""Chooses the next deliveries. Each recipient's notifications keep their order, and a failing one blocks no others.

A server that fails for everyone (no connection, no login, too many requests) gets no deliveries for a while. Then one
delivery alone tries it, and after a success all do (a circuit breaker; Nygard: "Release It!", 2007).
"""

from collections import Counter, deque
from collections.abc import Container
from dataclasses import dataclass, field
from itertools import islice

from proto.public import DeliveryReason
from proto.types import Channel
from services.notify.deadlines import delay_s, given_up
from services.notify.delivery.ledger import Attempts
from services.notify.notification import Notification
from services.notify.outcome import SLOW, Failure, judge
from services.notify.recipient import Recipient, RecipientKey

AT_ONCE: dict[Channel, int] = {"email": 4, "sms": 4, "webhook": 8}
"""Deliveries of one channel at the same time. Hanging ones block the others only when all of them hang."""
REPORTS_AT_ONCE = 1
"""Daily reports of a channel beside them. All sites' reports are due at the same hour; each reads days of windows."""
_PUT_BACK = 10**9
"""A clock that is earlier than before by more than this was put back, ns."""
_MENDED: frozenset[DeliveryReason | None] = SLOW | {"connect", "timeout"}
"""Reasons of failures that new settings may have fixed."""
_NEVER = 2**63
Lane = tuple[str, Channel, str, bool]
"""Site, channel, the recipient's digest, and whether it is for daily reports."""
_Places = tuple[Channel, bool]
"""Deliveries that share a limit: a channel's alerts, or its daily reports."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A notification on its way to one recipient."""

    notification: Notification
    recipient: Recipient
    trace: str = field(default="", compare=False)
    """The traceparent of the decision."""

    @property
    def site(self) -> str:
        """The site that it is about."""
        return self.notification.group.site

    @property
    def lane(self) -> Lane:
        """The queue that keeps its order: a recipient's alerts of a site, or its reports. No alert waits for those."""
        return self.site, self.recipient.channel, self.recipient.digest, self.notification.reason == "report"

    @property
    def places(self) -> _Places:
        """The limit against which it counts."""
        return self.recipient.channel, self.notification.reason == "report"

    @property
    def server(self) -> str:
        """The server that takes it."""
        return self.recipient.server


@dataclass(frozen=True, slots=True)
class Due:
    """An envelope that is due. `expired`: it is too old to be worth another attempt."""

    envelope: Envelope
    known: Attempts
    expired: bool = False


@dataclass(slots=True)
class _Lane:
    waiting: deque[tuple[Envelope, Attempts]] = field(default_factory=deque)
    due: int = 0
    busy: bool = False
    dropped: bool = False
    """Whether nothing more is to be done after the delivery in progress."""


@dataclass(slots=True)
class _Server:
    failures: int = 0
    """How often in a row it failed for everyone."""
    until: int = 0
    """When it may be asked again, ns."""
    asked_for: bool = False
    """Whether the server itself asked for a pause until then."""
    asked: int = 0
    """Number of deliveries to it in progress."""

    @property
    def takes(self) -> bool:
        """Whether it may get one more delivery once its time has come."""
        return self.failures == 0 or self.asked == 0


class Outbox:
    """The envelopes of all sites that this replica serves. Times are ns."""

    def __init__(self, give_up_after_s: float) -> None:
        self.give_up_after_s = give_up_after_s
        self._lanes: dict[Lane, _Lane] = {}
        self._servers: dict[str, _Server] = {}
        self._busy: Counter[_Places] = Counter()
        self._now = 0

    def put(self, envelope: Envelope, known: Attempts, now: int = _NEVER) -> None:
        """Add an envelope behind its recipient's others. Treat what is known of it as from `now` at the latest."""
        lane = self._lanes.setdefault(envelope.lane, _Lane())
        if not lane.waiting:
            lane.due = _next_attempt(envelope, known, now)
        lane.waiting.append((envelope, known))

    def take(self, now: int) -> Due | None:
        """Return the delivery that is due now; it is in progress until `done` is called. None: nothing is due."""
        if now < self._now - _PUT_BACK:
            self._sooner(self._now - now)
        self._now = max(self._now, now)
        ready = [(when, key) for key, lane in self._lanes.items() if (when := self._when(lane)) is not None]
        when, key = min(ready, default=(now + 1, None))
        if key is None or when > now:
            return None
        lane = self._lanes[key]
        envelope, known = lane.waiting[0]
        lane.busy = True
        self._busy[envelope.places] += 1
        self._server(envelope).asked += 1
        return Due(envelope, known, given_up(_began(envelope, known), now, self.give_up_after_s))

    def done(self, due: Due, known: Attempts, failure: Failure | None, now: int) -> None:
        """Take in the result of a delivery: what is known now, and why it failed.

        After an interrupted attempt no more is known than before, so it says nothing about the server.
        """
        envelope = due.envelope
        self._busy[envelope.places] -= 1
        server = self._server(envelope)
        server.asked -= 1
        if not due.expired and known != due.known:
            _judge(server, envelope.server, failure, now)
        lane = self._lanes[envelope.lane]
        lane.busy = False
        if lane.dropped:
            del self._lanes[envelope.lane]
            return
        if not known.settled:
            lane.waiting[0] = (envelope, known)
            lane.due = max(_next_attempt(envelope, known, now), now + _asked_for(failure))
            return
        lane.waiting.popleft()
        if lane.waiting:
            lane.due = _next_attempt(*lane.waiting[0], now)
        else:
            del self._lanes[envelope.lane]

    def next_due(self) -> int | None:
        """Return when something will be due, ns; None: only after another `put` or `done`."""
        return min((when for lane in self._lanes.values() if (when := self._when(lane)) is not None), default=None)

    def retry_now(self) -> None:
        """After new settings, retry at once what they may have fixed. One delivery alone tries a server that failed."""
        for server in self._servers.values():
            if not server.asked_for:
                server.until = 0
        for lane in self._lanes.values():
            envelope, known = lane.waiting[0]
            if known.reason in _MENDED:
                lane.due = min(lane.due, _began(envelope, known))

    def drop(self, site: str) -> None:
        """Forget a site's waiting envelopes. For deliveries in progress, `done` must still be called."""
        for key in [key for key in self._lanes if key[0] == site]:
            lane = self._lanes[key]
            lane.dropped = True
            if not lane.busy:
                del self._lanes[key]

    def let_go(self, site: str, reached: Container[RecipientKey]) -> list[Envelope]:
        """Forget and return the waiting envelopes of a site's recipients that are not in `reached`."""
        found: list[Envelope] = []
        for key in [key for key in self._lanes if key[0] == site]:
            lane = self._lanes[key]
            if lane.waiting[0][0].recipient.place not in reached:
                found += [envelope for envelope, _ in islice(lane.waiting, int(lane.busy), None)]
                lane.waiting = deque(islice(lane.waiting, int(lane.busy)))
            if not lane.waiting:
                del self._lanes[key]
        return found

    def waiting(self, site: str) -> int:
        """Return how many of a site's envelopes are not settled."""
        return sum(len(lane.waiting) for key, lane in self._lanes.items() if key[0] == site)

    def _sooner(self, by: int) -> None:
        """End all waits earlier, so that none lasts until a clock that was put back shows the old time again."""
        self._now -= by
        for server in self._servers.values():
            server.until -= by
        for lane in self._lanes.values():
            lane.due -= by

    def _server(self, envelope: Envelope) -> _Server:
        return self._servers.setdefault(envelope.server, _Server())

    def _when(self, lane: _Lane) -> int | None:
        """Return when the lane's first envelope may be taken; None: only after another delivery has ended."""
        envelope, known = lane.waiting[0]
        server, (channel, is_report) = self._server(envelope), envelope.places
        if lane.busy or self._busy[envelope.places] >= (REPORTS_AT_ONCE if is_report else AT_ONCE[channel]):
            return None
        too_old = _began(envelope, known) + int(self.give_up_after_s * 1e9) + 1
        return min(too_old, max(lane.due, server.until)) if server.takes else too_old


def _began(envelope: Envelope, known: Attempts) -> int:
    """Return the time from which an envelope's age counts."""
    return max(envelope.notification.at, known.replayed_at)


def _next_attempt(envelope: Envelope, known: Attempts, now: int) -> int:
    """Return when an envelope may be tried, by its own attempts alone. These count as from `now` at the latest."""
    if known.outcome != "retrying":
        return min(_began(envelope, known), now)
    name = f"{envelope.notification.id}/{envelope.recipient.digest}"
    return min(known.at, now) + int(delay_s(name, known.count, slow=known.reason in SLOW) * 1e9)


def _asked_for(failure: Failure | None) -> int:
    """Return what the other side asked to wait for, ns (Retry-After, RFC 9110 §10.2.3)."""
    return int((failure.retry_after_s or 0.0) * 1e9) if failure is not None else 0


def concerns_all(failure: Failure) -> bool:
    """Return whether a failure says something of the server, not of this recipient or this notification."""
    of_server = failure.stage in {"connect", "sender"} or failure.kind == "rate-limited"
    return of_server or judge(failure).reason in {"auth", "tls"}


def _judge(server: _Server, name: str, failure: Failure | None, now: int) -> None:
    if failure is None or not concerns_all(failure):
        server.failures, server.until, server.asked_for = 0, 0, False
        return
    server.asked_for = _asked_for(failure) > 0
    server.failures += 1
    wait = int(delay_s(name, server.failures, slow=judge(failure).reason in SLOW) * 1e9)
    server.until = now + max(wait, _asked_for(failure))
