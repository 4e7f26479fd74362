"""A channel: one way to reach a recipient. Each adapter has one third-party library and one failure vocabulary."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from proto.public import DeliveryV1
from proto.types import Channel as ChannelName
from proto.types import SiteId
from services.notify.core.notification import Notification
from services.notify.core.outcome import Failure
from services.notify.core.recipient import Recipient


class Channel(Protocol):
    """Delivers notifications, one recipient at a time; the same notification gives the same message again."""

    @property
    def name(self) -> ChannelName:
        """Which of the channels it is."""

    async def send(self, notification: Notification, recipient: Recipient) -> Failure | None:
        """Return None once the other side has accepted it, else why not. Raises nothing but cancellation."""

    async def close(self) -> None:
        """Give connections back."""


@runtime_checkable
class Budgeted(Protocol):
    """A channel whose messages cost something, so that a day has only so many."""

    def recount(self, site: SiteId, records: Iterable[DeliveryV1]) -> None:
        """Begin the site's day with what was recorded, as after a restart or when the site is taken over."""
