"""SMS that a gateway took and reports as lost: each is to be dealt with once. A fold over what is recorded."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from proto.public import DeliveryV1
from proto.types import NotificationId, Sha256

Sms = tuple[NotificationId, Sha256, int]
"""Notification, recipient and attempt: one SMS, however many alerts it told of."""


@dataclass
class Losses:
    """Which lost SMS were dealt with; the oldest are forgotten.

    A report is recorded as `failed` with the reason `lost`, once for each alert; that it was dealt with as `dead`,
    once.
    """

    most: int = 10_000
    _done: dict[Sms, None] = field(default_factory=dict)

    def restore(self, records: Iterable[DeliveryV1]) -> list[DeliveryV1]:
        """Return one record of each SMS that was lost and not dealt with when the process before died."""
        lost = [record for record in records if record.reason == "lost"]
        for record in lost:
            if record.outcome == "dead":
                self._note(record)
        return [record for record in lost if self.take(record)]

    def take(self, record: DeliveryV1) -> bool:
        """Return whether a record tells of a loss that is to be dealt with now."""
        return record.reason == "lost" and self._note(record) and record.outcome == "failed"

    def _note(self, record: DeliveryV1) -> bool:
        """Return whether this SMS was not noted before."""
        sms = (record.notification, record.recipient_sha256, record.attempt)
        if sms in self._done:
            return False
        self._done[sms] = None
        if len(self._done) > self.most:
            del self._done[next(iter(self._done))]
        return True
