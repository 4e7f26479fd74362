"""Which names were published: a silence about another one is perhaps misspelt, and holds nothing back."""

import asyncio
import contextlib
from typing import Any, cast, get_args

import nats.errors

from operate.orders import told_sites
from proto.notifications import SilenceV1
from proto.public import OperationalKind, WindowV1
from proto.subjects import NOTIFICATIONS, OPERATIONS, RULES, WINDOWS
from services.bus import Bus, Unavailable

_READ_S = 3.0
Names = dict[str, set[str]]
"""By `site`, `zone`, `rule` and `receiver`."""


async def published(bus: Bus) -> Names:
    """Return the names in what was published so far; none where the streams don't answer, or are not there yet."""
    with contextlib.suppress(TimeoutError, Unavailable, nats.errors.Error):
        async with asyncio.timeout(_READ_S):
            rows = [await bus.latest(row) for row in (WINDOWS, RULES, NOTIFICATIONS)]
            windows, rules, told = ([stored.message for stored in row] for row in rows)
            return _names(windows, rules, told)
    return {}


def _names(windows: list[Any], rules: list[Any], told: list[Any]) -> Names:
    return {
        "site": {one.site for one in windows},
        "zone": {one.zone for one in windows},
        "rule": {one.rule for one in rules} | {*get_args(OperationalKind)},
        "receiver": {one.receiver for one in told},
    }


async def sites(bus: Bus) -> set[str]:
    """Return the sites of which anything was published or told, and those that aggregates count for now."""
    found = set(await told_sites(bus))
    for row in (WINDOWS, OPERATIONS, NOTIFICATIONS):
        with contextlib.suppress(TimeoutError, Unavailable, nats.errors.Error):
            async with asyncio.timeout(_READ_S):
                found |= {cast("WindowV1", stored.message).site for stored in await bus.latest(row)}
    return found


def doubts(silence: SilenceV1, names: Names) -> list[str]:
    """Return a sentence for each name of a silence that was never published, where others of its kind were."""
    named = {"site": silence.sites, "zone": silence.zones, "rule": silence.rules, "receiver": silence.receivers}
    return [
        f"nothing published so far names {kind} {name!r}; published are: {', '.join(sorted(names[kind]))}"
        for kind, given in named.items()
        for name in given
        if names.get(kind) and name not in names[kind]
    ]
