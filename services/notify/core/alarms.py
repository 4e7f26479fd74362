"""Operational alerts that notify raises about itself: who cannot be told, and which channel a person must mend.

They are published like aggregate's, and routed like them: whoever runs the system hears of a dead mail server by SMS.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proto.public import DeliveryV1, OperationalAlertV1, OperationalKind
from services.notify.core.ledger import UNTOLD, Attempts
from services.notify.core.outbox import Envelope, concerns_all
from services.notify.core.outcome import SLOW, Failure, judge
from services.notify.core.recipient import Recipient, named

_OURS: frozenset[OperationalKind] = frozenset({"channel-down", "undelivered"})


@dataclass(slots=True)
class Alarms:
    """Which alarms of one site stand; each is raised once and ended once, however often the same happens again."""

    site: str
    _since: dict[tuple[OperationalKind, str], int] = field(default_factory=dict)

    def restore(self, published: Iterable[OperationalAlertV1]) -> None:
        """Take in what was published, oldest first."""
        for alert in published:
            if alert.kind in _OURS and alert.state == "firing":
                self._since[alert.kind, alert.name] = alert.since
            elif alert.kind in _OURS:
                self._since.pop((alert.kind, alert.name), None)

    def take(self, envelope: Envelope, known: Attempts, failure: Failure | None) -> Iterator[OperationalAlertV1]:
        """Yield what an attempt, or giving up, raises and ends; call it before the records are stored."""
        server, recipient = envelope.server, envelope.recipient.name
        if failure is not None and concerns_all(failure) and judge(failure).reason in SLOW:
            yield from self._raise("channel-down", server, known.at)
        if known.outcome in UNTOLD:
            yield from self._raise("undelivered", recipient, known.at)
        if known.outcome == "sent":
            yield from self._end("channel-down", server, known.at)
            yield from self._end("undelivered", recipient, known.at)

    def forgotten(self, people: Iterable[Recipient], now: int) -> Iterator[OperationalAlertV1]:
        """Yield what is raised where a message can't be told, and one of these would have got it."""
        for one in people:
            yield from self._raise("undelivered", one.name, now)

    def reported(self, record: DeliveryV1) -> Iterator[OperationalAlertV1]:
        """Yield what a gateway's report on an SMS that it had taken raises and ends."""
        name = named(record).name
        if record.outcome == "delivered":
            yield from self._end("undelivered", name, record.at)
        else:
            yield from self._raise("undelivered", name, record.at)

    def let_go(self, reached: Iterable[Recipient], now: int) -> Iterator[OperationalAlertV1]:
        """Yield the ends of what stands of channels and recipients in use no more: nothing else would end it."""
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
