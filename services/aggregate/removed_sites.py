"""Ends what still fires of a site that the settings no longer have (ADR 7).

What a replica's settings lack, another replica's may have: during a rollout they differ. So a site counts as removed
once no replica has held its lease for five minutes. Then one replica takes the lease, and publishes what ends it.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Protocol, cast

from msgspec import Struct

from proto.public import AlertV1, OperationalAlertV1, RuleStateV1, WindowV1
from proto.subjects import ALERTS, OPERATIONS, RULES, WINDOWS, Subject
from services.aggregate.core.policy import last_step
from services.aggregate.core.rules.removed import Last, endings, open_sites
from services.aggregate.runner import is_as_late
from services.bus import Bus, LeaseCheck
from services.kernel.log import get_logger
from services.leases import Leases

log = get_logger()

FREE_S = 300.0
"""So long nobody has held a removed site's lease. Replicas read new settings within some two minutes of each other."""
LOOK_S = 60.0
_ROWS: dict[type[Struct], Subject] = {row.message: row for row in (ALERTS, RULES, OPERATIONS)}


class ConfiguredSites(Protocol):
    """The sites of this replica's settings, and those to end as soon as their leases are held."""

    removed: set[str]

    @property
    def configured(self) -> Collection[str]: ...


class RemovedSites:
    """Finds the sites of which something fires, and that no settings have."""

    def __init__(
        self, bus: Bus, leases: Leases, sites: ConfiguredSites, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._bus, self._leases, self._sites, self._clock = bus, leases, sites, clock
        self._free: dict[str, float] = {}

    async def run(self) -> None:
        """Look once a minute, for ever."""
        while True:
            with attempt():
                await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Tell `sites` which are to end here."""
        found = open_sites(await _last(self._bus)) - set(self._sites.configured)
        now, leases = self._clock(), self._leases.view.leases
        free = [site for site in found if (site,) not in leases or leases[site,].holder == self._leases.me]
        self._free = {site: self._free.get(site, now) for site in free}
        self._sites.removed = {site for site, since in self._free.items() if now - since >= FREE_S}


async def end(bus: Bus, site: str, held: LeaseCheck) -> None:
    """Publish what ends a removed site, each message once, while `held`; log it unless another replica did all."""
    is_ended = False
    windows = {(w := cast("WindowV1", stored.message)).zone: w for stored in await bus.latest(WINDOWS, site=site)}
    for message in map(last_step, endings(await _last(bus, site=site), windows)):
        if isinstance(message, AlertV1 | RuleStateV1 | OperationalAlertV1):
            done = partial(is_as_late, message)
            is_ended |= await bus.store_once(_ROWS[type(message)], message, is_done=done, held=held)
    if is_ended:
        log.warning("removed site's alerts ended", site=site)


@contextlib.contextmanager
def attempt() -> Iterator[None]:
    """Log an error instead of raising it: sites go on while a stream is missing, and each look tries again."""
    try:
        yield
    except Exception as error:
        log.warning("removed sites' alerts not ended", error=str(error) or type(error).__name__)


async def _last(bus: Bus, **tokens: str) -> list[Last]:
    """Return the last message about each rule, camera and zone."""
    return [cast("Last", stored.message) for row in _ROWS.values() for stored in await bus.latest(row, **tokens)]
