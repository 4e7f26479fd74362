"""A channel: one way to reach a recipient. Each adapter has one third-party library and one failure vocabulary."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from proto.public import DeliveryV1
from proto.types import Channel as ChannelName
from proto.types import SiteId
from services.notify.notification import Notification
from services.notify.outcome import Failure
from services.notify.recipient import Recipient


class Channel(Protocol):
    """Delivers notifications to one recipient at a time. The same notification always gives the same message."""

    @property
    def name(self) -> ChannelName:
        """The channel's name."""

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Return None once the other side has accepted it, else the failure. Raise nothing but cancellation."""

    async def close(self) -> None:
        """Close the connections."""


@runtime_checkable
class Budgeted(Protocol):
    """A channel whose messages cost something, so it has a daily limit."""

    def recount(self, site: SiteId, records: Iterable[DeliveryV1]) -> None:
        """Count what the site has spent today from these records, as after a restart or a takeover of the site."""
