"""A channel: one way to reach a recipient. Each adapter has one third-party library and one failure vocabulary."""

from typing import Protocol

from proto.types import Channel as ChannelName
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
