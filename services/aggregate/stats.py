"""Answers requests for published figures, from the stream WINDOWS and nothing else (ADR 15)."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast

from msgspec import structs

from proto.public import WindowV1
from proto.stats import StatsError, StatsReplyV1, StatsRequestV1
from proto.subjects import STATS, WINDOWS
from proto.types import WHOLE_SITE
from services.aggregate.core.config import AHEAD
from services.bus import Bus, Endpoint, Refusal, Unavailable
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings, clock_phase_s, local_zone
from services.statistics.calendar import SECOND, TimeRange, day_start, local
from services.statistics.roll_ups import RollUp, TooMany

ANSWER_S = 4.0
"""A slower answer is an error: clients wait for about five seconds, the time in the queue included."""
_PUBLISHING = 10 * SECOND
"""A window is published at most this long after it closed."""
_DAY_AHEAD = AHEAD + 2 * 3_600 * SECOND
"""No window is later than the day of now plus this: the furthest that event time may be ahead, and a day of 25
hours."""
_CODES: dict[StatsError, int] = {
    "unknown-zone": 404,
    "not-under-this-profile": 403,
    "empty-range": 400,
    "too-many-periods": 413,
    "too-slow": 413,
    "unavailable": 503,
}


class Stats:
    """The micro service of one aggregate process, for its configured sites."""

    def __init__(self, bus: Bus, utc: Callable[[], int] = time.time_ns) -> None:
        self._bus, self._utc = bus, utc
        self._sites: dict[str, SiteSettings] = {}
        self._service = bus.micro_service(STATS, self.answer)

    async def apply(self, sites: Sequence[SiteSettings]) -> None:
        """Answer for these sites, and for no others from now on."""
        wanted = {site.id: site for site in sites}
        self._sites |= wanted
        await self._service.offer(Endpoint(site.id, {"site": site.id}, _metadata(site)) for site in sites)
        self._sites = wanted

    async def stop(self) -> None:
        """Accept no more requests, and finish the answer in progress."""
        await self._service.stop()

    async def answer(self, asked: StatsRequestV1) -> StatsReplyV1:
        """Return the published periods that were asked for; Refusal with the reason in its reply."""
        site = self._sites[asked.site]
        reply = self._resolve(asked, site)
        if reply.since >= reply.until:
            raise _refusal(reply, "empty-range", until=reply.until)
        try:
            async with asyncio.timeout(ANSWER_S):
                # In a thread: ten thousand periods would block the event loop for a tenth of a second.
                found = await asyncio.to_thread(self._fold, reply, site)
                read = await self._read(found, reply)
                periods = await asyncio.to_thread(found.periods, reply.site, reply.zone)
        except TooMany:
            raise _refusal(reply, "too-many-periods", step=reply.step) from None
        except TimeoutError:
            raise _refusal(reply, "too-slow", since=reply.since) from None
        except Unavailable:
            raise _refusal(reply, "unavailable") from None
        if not read:
            _require_zone(reply, site)
        return structs.replace(reply, periods=periods)

    def _resolve(self, asked: StatsRequestV1, site: SiteSettings) -> StatsReplyV1:
        """Return an empty answer, with today's borders where the request has none."""
        zone = local_zone(site)
        today = local(self._utc(), zone).date()
        return StatsReplyV1(
            site=asked.site,
            zone=asked.zone,
            step=asked.step,
            timezone=site.timezone,
            since=day_start(today, zone) if asked.since is None else asked.since,
            until=day_start(today + timedelta(days=1), zone) if asked.until is None else asked.until,
        )

    def _fold(self, reply: StatsReplyV1, site: SiteSettings) -> RollUp:
        now, zone = self._utc(), local_zone(site)
        latest = day_start(local(now + _DAY_AHEAD, zone).date() + timedelta(days=1), zone)
        span = TimeRange(reply.since, min(reply.until, latest))
        settled = now - round(site.lateness_s * SECOND) - _PUBLISHING
        try:
            length, border = round(site.window_s * SECOND), -round(clock_phase_s(site) * SECOND)
            return RollUp(span, reply.step, zone, length, settled, border)
        except TooMany:
            raise _refusal(reply, "too-many-periods", step=reply.step) from None

    async def _read(self, found: RollUp, reply: StatsReplyV1) -> int:
        """Fold the requested windows; return how many there were. A zone's windows are stored in order of their start.

        Event time may be ahead, and a window may be stored early by as much. No window is missing before the first
        stored one: either the zone did not exist then, or the stream no longer keeps that time.
        """
        since, read, begun = max(1, min(reply.since, self._utc()) - AHEAD), 0, False
        stored = self._bus.read(WINDOWS, since=since, site=reply.site, zone=reply.zone)
        async with contextlib.aclosing(stored) as windows:
            async for one in windows:
                window = cast("WindowV1", one.message)
                if not begun:
                    await self._begin(found, reply)
                    begun = True
                if window.start >= reply.until:
                    break
                found.add(window)
                read += window.start >= reply.since
        if not begun:
            await self._begin(found, reply)
        return read

    async def _begin(self, found: RollUp, reply: StatsReplyV1) -> None:
        """Tell `found` where the zone's windows begin.

        Call it once the stream has answered: without an answer, this query goes on asking.
        """
        first = await self._bus.first(WINDOWS, site=reply.site, zone=reply.zone)
        if first is not None:
            found.begin(cast("WindowV1", first.message).start)


def _metadata(site: SiteSettings) -> dict[str, str]:
    """Return a site's metadata for micro info: time zone, zones that its profile publishes, and how windows close."""
    zones = [zone.id for zone in site.zones] if PROFILES[site.profile].zones else []
    metadata = {"site": site.id, "timezone": site.timezone, "zones": " ".join([WHOLE_SITE, *zones])}
    return metadata | {"close_on_end": str(site.close_on_end).lower()}


def _require_zone(reply: StatsReplyV1, site: SiteSettings) -> None:
    """Refuse a zone that has no windows and that is not published."""
    if reply.zone == WHOLE_SITE:
        return
    if not PROFILES[site.profile].zones:
        raise _refusal(reply, "not-under-this-profile", zone=reply.zone)
    if reply.zone not in {zone.id for zone in site.zones}:
        raise _refusal(reply, "unknown-zone", zone=reply.zone)


def _refusal(reply: StatsReplyV1, why: StatsError, **given: object) -> Refusal:
    path, value = next(iter(given.items()), (None, None))
    refused = structs.replace(reply, error=why, path=path, value=None if value is None else str(value))
    return Refusal(_CODES[why], why, refused)
