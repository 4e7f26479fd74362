"""Operational alerts that notify raises about itself: unreachable recipients, and channels that a person must fix.

They are published and routed like aggregate's. So the operators hear of a dead mail server by SMS.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proto.public import DeliveryV1, OperationalAlertV1, OperationalKind
from services.notify.delivery.ledger import UNTOLD, Attempts
from services.notify.delivery.outbox import Envelope, concerns_all
from services.notify.outcome import SLOW, Failure, judge
from services.notify.recipient import Recipient, named

_OURS: frozenset[OperationalKind] = frozenset({"channel-down", "undelivered"})


@dataclass(slots=True)
class Alarms:
    """The firing alarms of one site. Each is raised once and ended once, however often its cause recurs."""

    site: str
    _since: dict[tuple[OperationalKind, str], int] = field(default_factory=dict)

    def restore(self, published: Iterable[OperationalAlertV1]) -> None:
        """Load the published alarms, oldest first."""
        for alert in published:
            if alert.kind in _OURS and alert.state == "firing":
                self._since[alert.kind, alert.name] = alert.since
            elif alert.kind in _OURS:
                self._since.pop((alert.kind, alert.name), None)

    def take(self, envelope: Envelope, known: Attempts, failure: Failure | None) -> Iterator[OperationalAlertV1]:
        """Yield the alarms that an attempt, or giving up, raises and ends. Call it before the records are stored."""
        server, recipient = envelope.server, envelope.recipient.name
        if failure is not None and concerns_all(failure) and judge(failure).reason in SLOW:
            yield from self._raise("channel-down", server, known.at)
        if known.outcome in UNTOLD:
            yield from self._raise("undelivered", recipient, known.at)
        if known.outcome == "sent":
            yield from self._end("channel-down", server, known.at)
            yield from self._end("undelivered", recipient, known.at)

    def forgotten(self, people: Iterable[Recipient], now: int) -> Iterator[OperationalAlertV1]:
        """Yield the alarms for a message that cannot be delivered and that one of these would have got."""
        for one in people:
            yield from self._raise("undelivered", one.name, now)

    def reported(self, record: DeliveryV1) -> Iterator[OperationalAlertV1]:
        """Yield the alarms that a gateway's report on an accepted SMS raises and ends."""
        name = named(record).name
        if record.outcome == "delivered":
            yield from self._end("undelivered", name, record.at)
        else:
            yield from self._raise("undelivered", name, record.at)

    def let_go(self, reached: Iterable[Recipient], now: int) -> Iterator[OperationalAlertV1]:
        """Yield the ends of alarms about channels and recipients no longer in use: nothing else would end them."""
        names = {name for one in reached for name in (("channel-down", one.server), ("undelivered", one.name))}
        for kind, name in [key for key in self._since if key not in names]:
            yield from self._end(kind, name, now)

    def _raise(self, kind: OperationalKind, name: str, now: int) -> Iterator[OperationalAlertV1]:
        if (kind, name) not in self._since:
            self._since[kind, name] = now
            yield OperationalAlertV1(site=self.site, kind=kind, name=name, state="firing", since=now, at=now)

    def _end(self, kind: OperationalKind, name: str, now: int) -> Iterator[OperationalAlertV1]:
        since = self._since.pop((kind, name), None)
        if since is not None:
            yield OperationalAlertV1(site=self.site, kind=kind, name=name, state="resolved", since=since, at=now)
