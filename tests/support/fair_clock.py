"""A host's clock as a service sees it, that a test makes right or wrong."""

import time
from collections.abc import Callable

from services.bus.clock import HostClock, Offset


def fair_host(
    offset_s: Callable[[], float] = lambda: 0.0,
    utc: Callable[[], int] = time.time_ns,
    steady: Callable[[], int] = time.monotonic_ns,
) -> HostClock:
    """Return this host's clock, which is so far off the server's."""

    async def offset() -> Offset:
        return Offset(round(offset_s() * 1e9), 0)

    return HostClock(offset, lambda *_: None, utc, steady)
