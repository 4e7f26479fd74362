"""What is to be delivered next: each recipient's notifications in their order, whoever fails holding nobody else.

A server that fails for everyone (no connection, no login, too many requests) is left alone for a while, then asked by
one delivery alone, and by all once that succeeded (a circuit breaker; Nygard: "Release It!", 2007).
"""

from collections import Counter, deque
from collections.abc import Container
from dataclasses import dataclass, field
from itertools import islice

from proto.public import DeliveryReason
from proto.types import Channel
from services.notify.core.backoff import delay_s, given_up
from services.notify.core.ledger import Attempts
from services.notify.core.notification import Notification
from services.notify.core.outcome import SLOW, Failure, judge
from services.notify.core.recipient import Recipient, RecipientKey

AT_ONCE: dict[Channel, int] = {"email": 4, "sms": 4, "webhook": 8}
"""Deliveries of one channel at the same time; one that hangs holds the others up only when all hang."""
REPORTS_AT_ONCE = 1
"""Daily reports of a channel beside them: all sites' are due at the same hour, and each reads days of windows."""
_PUT_BACK = 10**9
"""A clock that is earlier than before by more than this was put back, ns."""
_MENDED: frozenset[DeliveryReason | None] = SLOW | {"connect", "timeout"}
"""What new settings may have mended."""
_EVER = 2**63
Lane = tuple[str, Channel, str, bool]
"""Site, channel, the recipient's digest, whether it is one of daily reports."""
_Places = tuple[Channel, bool]
"""Whose deliveries share places: a channel's alerts, or its daily reports."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A notification on its way to one recipient."""

    notification: Notification
    recipient: Recipient
    trace: str = field(default="", compare=False)
    """The traceparent of the decision."""

    @property
    def site(self) -> str:
        """The site that it tells of."""
        return self.notification.group.site

    @property
    def lane(self) -> Lane:
        """What keeps its order: one recipient's alerts of one site, and its daily reports: no alert waits for those."""
        return self.site, self.recipient.channel, self.recipient.digest, self.notification.reason == "report"

    @property
    def places(self) -> _Places:
        """Whose places it takes."""
        return self.recipient.channel, self.notification.reason == "report"

    @property
    def server(self) -> str:
        """Who takes it."""
        return self.recipient.server


@dataclass(frozen=True, slots=True)
class Due:
    """An envelope that is due. `expired`: it is too old to be worth another attempt, for `reason`."""

    envelope: Envelope
    known: Attempts
    expired: bool = False


@dataclass(slots=True)
class _Lane:
    waiting: deque[tuple[Envelope, Attempts]] = field(default_factory=deque)
    due: int = 0
    busy: bool = False
    dropped: bool = False
    """Whether nothing more is to be done once what is being done has ended."""


@dataclass(slots=True)
class _Server:
    failures: int = 0
    """How often in a row it failed for everyone."""
    until: int = 0
    """When it may be asked again, ns."""
    asked_for: bool = False
    """Whether it asked itself to be left alone until then."""
    asked: int = 0
    """How many deliveries ask it now."""

    @property
    def takes(self) -> bool:
        """Whether one more may ask it once its time has come."""
        return self.failures == 0 or self.asked == 0


class Outbox:
    """The envelopes of all sites that are told from here. Times are ns."""

    def __init__(self, give_up_after_s: float) -> None:
        self.give_up_after_s = give_up_after_s
        self._lanes: dict[Lane, _Lane] = {}
        self._servers: dict[str, _Server] = {}
        self._busy: Counter[_Places] = Counter()
        self._now = 0

    def put(self, envelope: Envelope, known: Attempts, now: int = _EVER) -> None:
        """Add one behind its recipient's others; what is known of it is from `now` at the latest."""
        lane = self._lanes.setdefault(envelope.lane, _Lane())
        if not lane.waiting:
            lane.due = _next_attempt(envelope, known, now)
        lane.waiting.append((envelope, known))

    def take(self, now: int) -> Due | None:
        """Return what is to be done now, which then is being done until `done` is told; None: nothing."""
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
        """Take in what came of it: what is known now, and why it failed.

        An attempt that was cut off, after which no more is known than before, says nothing of the server.
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
        """Return when something will be due, ns; None: not before something is put in or done."""
        return min((when for lane in self._lanes.values() if (when := self._when(lane)) is not None), default=None)

    def ask_anew(self) -> None:
        """New settings: who waits for what a person mends is tried at once; of a server that failed, by one alone."""
        for server in self._servers.values():
            if not server.asked_for:
                server.until = 0
        for lane in self._lanes.values():
            envelope, known = lane.waiting[0]
            if known.reason in _MENDED:
                lane.due = min(lane.due, _began(envelope, known))

    def drop(self, site: str) -> None:
        """Forget what waits for a site's recipients; what is being done is still to be told `done`."""
        for key in [key for key in self._lanes if key[0] == site]:
            lane = self._lanes[key]
            lane.dropped = True
            if not lane.busy:
                del self._lanes[key]

    def let_go(self, site: str, reached: Container[RecipientKey]) -> list[Envelope]:
        """Forget what waits for a site's recipients who are not reached any more, and return it."""
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
        """Let nothing wait until a clock that was put back by so much shows the old time again."""
        self._now -= by
        for server in self._servers.values():
            server.until -= by
        for lane in self._lanes.values():
            lane.due -= by

    def _server(self, envelope: Envelope) -> _Server:
        return self._servers.setdefault(envelope.server, _Server())

    def _when(self, lane: _Lane) -> int | None:
        """Return when the lane's first may be taken; None: not before something else is done."""
        envelope, known = lane.waiting[0]
        server, (channel, is_report) = self._server(envelope), envelope.places
        if lane.busy or self._busy[envelope.places] >= (REPORTS_AT_ONCE if is_report else AT_ONCE[channel]):
            return None
        too_old = _began(envelope, known) + int(self.give_up_after_s * 1e9) + 1
        return min(too_old, max(lane.due, server.until)) if server.takes else too_old


def _began(envelope: Envelope, known: Attempts) -> int:
    """Return the moment from which an envelope grows too old."""
    return max(envelope.notification.at, known.anew)


def _next_attempt(envelope: Envelope, known: Attempts, now: int) -> int:
    """Return when an envelope may be tried, for all that is known of itself, which is not of later than `now`."""
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
