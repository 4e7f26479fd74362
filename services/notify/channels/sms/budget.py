"""The daily budget of SMS segments: one for each site, by the site's own calendar."""

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
    """The segments spent today. A limit of None means no limit."""

    limit: int | None
    _days: dict[SiteId, _Day] = field(default_factory=dict)

    def take(self, site: SiteId, day: date, segments: int) -> bool:
        """Reserve segments for an SMS of this site; return False if the day's budget has too few left."""
        today = self._today(site, day)
        if self.limit is not None and today.spent + segments > self.limit:
            return False
        today.spent += segments
        return True

    def give_back(self, site: SiteId, day: date, segments: int) -> None:
        """Undo a `take` for an SMS that certainly was not accepted; do nothing if another day has begun since."""
        known = self._days.get(site)
        if known is not None and known.day == day:
            known.spent = max(0, known.spent - segments)

    def refused_before(self, site: SiteId, day: date) -> bool:
        """Return whether this was asked today already, so that only the first refusal of a day is reported."""
        today = self._today(site, day)
        before, today.refused = today.refused, True
        return before

    def recount(self, site: SiteId, day: date, spent: int) -> None:
        """Start a day with the spending in records, as after a restart."""
        self._days[site] = _Day(day, spent)

    def _today(self, site: SiteId, day: date) -> _Day:
        known = self._days.get(site)
        if known is None or known.day != day:
            known = self._days[site] = _Day(day)
        return known


def spent(records: Iterable[DeliveryV1], since: int, each: int) -> int:
    """Return the segments that these records may have cost since `since` (ns): `each`, the maximum, per SMS.

    Records do not say how long a text was, so this is an upper bound. An attempt that timed out counts, since it may
    have been accepted. An SMS about several alerts has one record for each of them and counts once.
    """
    sent = {
        (record.notification, record.recipient_sha256, record.attempt)
        for record in records
        if record.channel == "sms"
        and record.at >= since
        and (record.outcome == "sent" or (record.outcome, record.reason) == ("retrying", "timeout"))
    }
    return each * len(sent)
