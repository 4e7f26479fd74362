"""What a site does with messages that are ahead of this host's clock: its own or the NATS server's may be wrong."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from msgspec import Struct

from proto.sightings import CameraEventV1, PassageV1, SightingsV1
from services.aggregate.core.config import SiteConfig
from services.aggregate.core.site_clock import time_by
from services.bus import Stored
from services.bus.clock import FAR_NS, LOOK_S, HostClock
from services.kernel.log import get_logger

log = get_logger()

_QUIET_S = 60.0
"""Messages that are ahead of time are logged once, until there was none for this long."""


class ClockSteppedBack(Exception):
    """The clocks were ahead and were set back: what a site knows is about a time that has yet to come."""


class ClockSkewGate:
    """Gives a site's messages their time, and holds them back until this host's clock has come to it (ADR 38).

    So if the NATS server's clock is ahead for a while, no window of that time is published. `config` returns the
    configuration in force; `dropped` is called for each message that can't be placed in time.
    """

    def __init__(self, config: Callable[[], SiteConfig], host: HostClock, dropped: Callable[[], None]) -> None:
        self._config, self._host, self._dropped = config, host, dropped
        self._held_back = -_QUIET_S
        """When a message was last ahead of this host's clock, in s of the monotonic clock."""

    async def placed(self, now: int, found: Stored) -> Stored | None:
        """Return a message with its time once this host's clock has come to it; None if it can't be placed in time.

        `now` is the time that the site has come to (ns), 0 at its start. The message's time is that of `time_by`. If it
        is ahead although this host's clock and the server's agree, then the server's and the sender's were wrong alike.
        For such messages time stands still: they get the time of the message before them. If this host's was, too, and
        was set back, the site's time is ahead of all, and would be for as long as they had been: ClockSteppedBack.
        """
        if now > found.time + FAR_NS and self._by_s(now) > FAR_NS / 1e9 and await self._host.agrees():
            raise ClockSteppedBack(f"{self._by_s(now)} s")
        time_ns = time_by(found.message, found.time, now)
        stored = found if time_ns == found.time else replace(found, time=time_ns)
        while stored.time > self._host.now() + FAR_NS:
            if time.monotonic() - self._held_back > _QUIET_S:
                log.error("message ahead of time", site=self._config().site, by_s=self._by_s(stored.time))
            self._held_back = time.monotonic()
            if await self._host.agrees():
                return self._standing_still(now, stored)
            await asyncio.sleep(LOOK_S)
        return stored

    def _standing_still(self, now: int, stored: Stored) -> Stored | None:
        if now and not self.is_ahead(stored.message):
            return replace(stored, time=now)
        self._dropped()
        return None

    def is_ahead(self, message: Struct) -> bool:
        """Return whether a camera's host had the wrong clock, too: people would count in a window that is to come."""
        if self._config().close_on_end or not isinstance(message, SightingsV1 | CameraEventV1 | PassageV1):
            return False
        return message.at > self._host.now() + FAR_NS

    def why(self, until: int) -> str:
        """Return why a site publishes nothing while what is published reaches up to `until` (ns), and what to do."""
        end, now = (f"{datetime.fromtimestamp(at / 1e9, UTC):%FT%TZ}" for at in (until, self._host.now()))
        if self._config().close_on_end and until - self._host.now() <= self._config().window:
            return f"the window until {end} was closed when its recordings ended; what is played before is not counted"
        why = f"something of the future is published, up to {end}: if now is not {now}, set this host's clock right"
        repair = f"moretta repair {self._config().site} -c BACKUP.yaml (docs/runbooks.md, MorettaClockOff)"
        return f"{why}; if it is, run {repair}"

    def _by_s(self, moment: int) -> int:
        return round((moment - self._host.now()) / 1e9)
