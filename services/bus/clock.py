"""A host's clock beside the NATS server's, and its steps: event times of several hosts meet in one stream (ADR 38).

The server's time is in its answer about a stream. The times of the way there and of the way back are not known
separately, so half of the round trip is the uncertainty (Cristian: "Probabilistic clock synchronization", Distributed
Computing 3, 1989).
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
from services.bus.streams.ordered_consumer import nanoseconds
from services.kernel.log import get_logger

log = get_logger()

CLOCK_OFFSET = Gauge("moretta_clock_offset_seconds", "This host's clock less the NATS server's")
MAX_NS = 500_000_000
"""An offset beyond this makes a service not ready. Cameras are not played by such a clock, and no lease's number comes
from it: somebody at a window's border could count twice. A step of the clock by more than this is noticed."""
FAR_NS = 2_000_000_000
"""An offset beyond this is too large to publish by: a site goes to another replica, and messages wait."""
NOTIFY_NS = 60_000_000_000
"""An offset beyond this is too large to tell people by: when, and whether it is too late."""
_UNKNOWN = "this host's clock was not compared with the NATS server's yet, at the start or since it was set"
_ANSWER_S = 2.0
_INTERVAL_S = 10.0
_FRESH_NS = 1_000_000_000
LOOK_S = 0.2
_AT_ONCE_NS = 50_000_000


@dataclass(frozen=True)
class Offset:
    """Our clock minus the server's, and how far off that may be, in ns."""

    ns: int
    uncertainty_ns: int

    @property
    def is_fair(self) -> bool:
        """Whether the offset may be small enough; a slow answer proves nothing."""
        return self._least <= MAX_NS

    def is_beyond(self, limit_ns: int) -> bool:
        """Whether the offset is certainly larger than a limit."""
        return self._least > limit_ns

    @property
    def _least(self) -> int:
        return abs(self.ns) - self.uncertainty_ns

    @property
    def in_words(self) -> str:
        """The problem, and what to do about it."""
        side = "ahead of" if self.ns > 0 else "behind"
        seconds = abs(self.ns) / 1e9
        return f"this host's clock is {seconds:.1f} s {side} the NATS server's; at most 0.5 s is fair, run NTP on both"


def offset_of(asked_ns: int, server_ns: int, answered_ns: int) -> Offset:
    """Return the offset, from the server's time in an answer and our times of asking and of the answer; all in ns."""
    half = (answered_ns - asked_ns) // 2
    return Offset(asked_ns + half - server_ns, abs(half))


async def ask(client: Client, stream: str, utc: Callable[[], int] = time.time_ns) -> Offset:
    """Return the offset to the server's clock; nats.errors.Error or TimeoutError if there is no answer."""
    asked = utc()
    answer = await client.request(stream_info(stream), b"", timeout=_ANSWER_S)
    return offset_of(asked, nanoseconds(datetime.fromisoformat(json.loads(answer.data)["ts"])), utc())


class HostClock:
    """The clock of this host: its offset to the server's, and how often it was set.

    Without an answer the last offset stands: a broken connection has its own condition. `utc` and `steady` are the
    clock that people set and one that nobody sets, in ns.
    """

    def __init__(
        self,
        offset: Callable[[], Awaitable[Offset | None]],
        ready: Callable[[str, bool, str], None],
        utc: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
        far_ns: int = FAR_NS,
    ) -> None:
        """`ready` is called with the condition `clock`, whether it holds, and if not, why; `far_ns` is for `wrong`."""
        self._ask, self._ready, self._utc, self._steady, self._far_ns = offset, ready, utc, steady, far_ns
        self._known: Offset | None = None
        self._bad = True
        """Whether this clock was too far off when it was last compared; also before that."""
        self._known_at = self._steady() - _FRESH_NS
        self._apart, _ = self._between()
        self._steps = 0
        self.forward = 0
        """How often the clock was set forward by more than MAX_NS; a suspended host counts as one."""
        self.back = 0
        """How often it was set back by more than that, or was right again after it had been far off."""

    @property
    def wrong(self) -> str:
        """The problem in words, if this clock is too far off to work by; else empty.

        Nor is it worked by before it was compared, at first and after each step.
        """
        if self._known is None:
            return _UNKNOWN
        return self._known.in_words if self._bad else ""

    def number(self) -> int | None:
        """Return the microsecond of now, for the number of a lease; None unless this clock is known to be fair."""
        self.look()
        return self._utc() // 1_000 if not self.wrong and self._known is not None and self._known.is_fair else None

    def now(self) -> int:
        """Return this clock's time, ns."""
        return self._utc()

    async def measure(self) -> None:
        """Ask for the offset; metric and readiness follow it."""
        steps, asked, found = self._steps, self._steady(), await self._ask()
        if self.look() or self._steps != steps:  # an answer across a step tells nothing; another task may have looked
            found = None
        if found is None:
            if self._known is None:
                self._ready("clock", False, _UNKNOWN)
            return
        # A clock at the very limit must not stop and start cameras again and again.
        was_far = self._bad and self._known is not None
        was_bad, self._bad = self._bad, found.is_beyond(self._far_ns * 4 // 5 if was_far else self._far_ns)
        self._known, self._known_at = found, asked
        self.back += was_bad and not self._bad
        CLOCK_OFFSET.set(found.ns / 1e9)
        self._ready("clock", found.is_fair, found.in_words)

    async def agrees(self) -> bool:
        """Return whether this clock and the server's agree to within MAX_NS, asked within the last second."""
        if self._steady() - self._known_at >= _FRESH_NS:
            await self.measure()
        fresh = self._steady() - self._known_at < _FRESH_NS
        return fresh and self._known is not None and self._known.is_fair

    def _between(self) -> tuple[int, int]:
        """Return the wall clock less the steady one, and how long reading took, ns: a busy machine may pause."""
        before, now, after = self._steady(), self._utc(), self._steady()
        return now - (before + after) // 2, after - before

    async def watch(self) -> None:
        """Look for steps five times a second; measure every ten seconds, or every second while nothing is known."""
        while True:
            await self.measure()
            until = self._steady() + (_FRESH_NS if self._known is None else round(_INTERVAL_S * 1e9))
            steps = self._steps
            while not self.look() and self._steps == steps and self._steady() < until:
                await asyncio.sleep(LOOK_S)

    def look(self) -> bool:
        """Return whether the clock was set since the last look, and count it."""
        apart, took = self._between()
        step = apart - self._apart  # since the last one that counted: small ones add up
        if took > _AT_ONCE_NS or abs(step) <= MAX_NS:
            return False
        self._apart, self._known = apart, None
        self._steps += 1
        log.warning("this host's clock was set", by_s=round(step / 1e9, 3))
        if step > 0:
            self.forward += 1
        else:
            self.back += 1
        return True
