"""How many segments may be paid for a day: one budget for each site, by the site's own calendar."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from proto.public import DeliveryV1
from proto.types import SiteId


@dataclass
class _Day:
    day: date
    spent: int = 0
    refused: bool = False


@dataclass
class Budget:
    """What was spent today; None is no limit."""

    limit: int | None
    _days: dict[SiteId, _Day] = field(default_factory=dict)

    def take(self, site: SiteId, day: date, segments: int) -> bool:
        """Set segments aside for an SMS of this site; False if the day's budget doesn't hold them."""
        today = self._today(site, day)
        if self.limit is not None and today.spent + segments > self.limit:
            return False
        today.spent += segments
        return True

    def give_back(self, site: SiteId, day: date, segments: int) -> None:
        """Undo a `take`, of an SMS that surely was not accepted; nothing if another day has begun since."""
        known = self._days.get(site)
        if known is not None and known.day == day:
            known.spent = max(0, known.spent - segments)

    def refused_before(self, site: SiteId, day: date) -> bool:
        """Return whether this was asked today already: who is told of the first refusal is not told of each."""
        today = self._today(site, day)
        before, today.refused = today.refused, True
        return before

    def recount(self, site: SiteId, day: date, spent: int) -> None:
        """Begin a day with what records say, as after a restart."""
        self._days[site] = _Day(day, spent)

    def _today(self, site: SiteId, day: date) -> _Day:
        known = self._days.get(site)
        if known is None or known.day != day:
            known = self._days[site] = _Day(day)
        return known


def spent(records: Iterable[DeliveryV1], since: int, each: int) -> int:
    """Return the segments that these records may have cost since `since` (ns): of every SMS `each`, the most it can.

    Records don't say how long a text was, so that this is an upper bound. An attempt that timed out counts, since it
    may have been accepted. An SMS about several alerts has one record for each of them and counts once.
    """
    sent = {
        (record.notification, record.recipient_sha256, record.attempt)
        for record in records
        if record.channel == "sms"
        and record.at >= since
        and (record.outcome == "sent" or (record.outcome, record.reason) == ("retrying", "timeout"))
    }
    return each * len(sent)
