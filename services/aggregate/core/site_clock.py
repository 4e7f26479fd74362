"""The time to which a stored message brings a site: the NATS server's clock and the sender's must both agree (ADR 38).

A server's clock that is ahead for a while would close windows whose pictures are still to come, also when the stream is
read again much later. A message that says when it was sent has a second opinion, so the stream alone decides.
"""

from dataclasses import dataclass

from msgspec import Struct

from proto.sightings import SightingsV1, TickV1
from services.aggregate.core.config import FAIR


def time_by(message: Struct, stored: int, now: int) -> int:
    """Return the time of a message that the server stored at `stored`, where the site has come to `now`; all in ns.

    It is never later than `stored`, and later than `now` only as far as the sender's clock agrees. A message that does
    not say when it was sent has the time of the one before it; the first of all (`now` 0) has the server's. A camera's
    event is one of them: it is repeated with the time at which the camera's state changed.
    """
    sent = _sent(message)
    if sent is None:
        return min(stored, now or stored)
    return min(stored, max(now, sent + FAIR))


def _sent(message: Struct) -> int | None:
    if isinstance(message, SightingsV1):
        return message.at
    return message.sent if isinstance(message, TickV1) else None


@dataclass(slots=True)
class SiteClock:
    """The server's time, ns, as the stream's messages have it."""

    now: int = 0
    """Of the last message."""
    begun: int = 0
    """Of the first message since the start."""
    resumed: int = 0
    """Of the first message since the start or the last reset; 0 until it comes."""

    def advance(self, time: int) -> None:
        """Go on to a message's time, never back."""
        self.now = max(self.now, time)
        self.begun, self.resumed = self.begun or self.now, self.resumed or self.now
