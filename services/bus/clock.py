"""How far this host's clock is from the NATS server's: event times of several hosts meet in one stream.

The server's time is in its answer about a stream. What the way there and back took is not known apart, so half of it is
the uncertainty (Cristian: "Probabilistic clock synchronization", Distributed Computing 3, 1989).
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from nats.aio.client import Client
from prometheus_client import Gauge

from proto.permissions import stream_info
from services.bus.follow import nanoseconds

CLOCK_OFFSET = Gauge("moretta_clock_offset_seconds", "This host's clock less the NATS server's")
MOST_NS = 500_000_000
"""An offset beyond this makes a service not ready."""
_ANSWER_S = 2.0
_AGAIN_S = 10.0


@dataclass(frozen=True)
class Offset:
    """Our clock less the server's, and how far off that may be; ns."""

    ns: int
    uncertainty_ns: int

    @property
    def is_fair(self) -> bool:
        """Whether the offset may be small enough; a slow answer proves nothing."""
        return abs(self.ns) - self.uncertainty_ns <= MOST_NS

    @property
    def in_words(self) -> str:
        """What is wrong and what to do."""
        side = "ahead of" if self.ns > 0 else "behind"
        seconds = abs(self.ns) / 1e9
        return f"this host's clock is {seconds:.1f} s {side} the NATS server's; at most 0.5 s is fair, run NTP on both"


def offset_of(asked_ns: int, server_ns: int, answered_ns: int) -> Offset:
    """Return the offset that an answer with the server's time shows, by our clock when it was asked and answered."""
    half = (answered_ns - asked_ns) // 2
    return Offset(asked_ns + half - server_ns, abs(half))


async def ask(client: Client, stream: str, utc: Callable[[], int] = time.time_ns) -> Offset:
    """Return the offset to the server's clock; nats.errors.Error or TimeoutError if there is no answer."""
    asked = utc()
    answer = await client.request(stream_info(stream), b"", timeout=_ANSWER_S)
    return offset_of(asked, nanoseconds(datetime.fromisoformat(json.loads(answer.data)["ts"])), utc())


async def watch(offset: Callable[[], Awaitable[Offset | None]], ready: Callable[[str, bool, str], None]) -> None:
    """Tell the metric and readiness of the offset, for ever. Without an answer the last one stands: a broken connection
    is told by its own condition.
    """
    while True:
        found = await offset()
        if found is not None:
            CLOCK_OFFSET.set(found.ns / 1e9)
            ready("clock", found.is_fair, found.in_words)
        await asyncio.sleep(_AGAIN_S)
