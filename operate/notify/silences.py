"""`moretta silence`: keeps silences in the KV bucket SILENCES; each change is kept, with the operator who made it.

A silence about a name that was never published is perhaps misspelt, and holds nothing back. The command warns of it.
"""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar, cast, get_args
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import nats.errors
from msgspec import structs
from rich.table import Table
from rich.text import Text

from operate.orders import ANSWER_S, checked, counted_sites, operator_bus
from proto.notifications import NotificationV1, SilenceHeldRequestV1, SilenceV1
from proto.public import OperationalKind, WindowV1
from proto.subjects import NOTIFICATIONS, OPERATIONS, RULES, SILENCE_HELD, SILENCES, WINDOWS
from services.bus import Bus, NoWorkers, Unavailable
from services.kernel.settings import SettingsError
from services.notify.texts.names import one_line

_READ_S = 3.0
_HELD_S, _ONE_S, _LOOK_S = 5.0, 1.0, 0.05
"""How long notify may take until it applies a silence, how long one answer may take, and how often to ask."""
_BACK_S = 2.0
"""How long nobody may listen: a service that has lost its connection to NATS is back after half a second or so."""
Names = dict[str, set[str]]
"""Published names, by `site`, `zone`, `rule` and `receiver`."""
Zones = Mapping[str, str]
"""Time zones by site."""


async def published(bus: Bus) -> Names:
    """Return the names in messages published so far; none if the streams don't answer or don't exist yet."""
    with contextlib.suppress(TimeoutError, Unavailable, nats.errors.Error):
        async with asyncio.timeout(_READ_S):
            rows = [await bus.latest(row) for row in (WINDOWS, RULES, NOTIFICATIONS)]
            windows, rules, notifications = ([stored.message for stored in row] for row in rows)
            return _names(windows, rules, notifications)
    return {}


def _names(windows: list[Any], rules: list[Any], notifications: list[Any]) -> Names:
    return {
        "site": {one.site for one in windows},
        "zone": {one.zone for one in windows},
        "rule": {one.rule for one in rules} | {*get_args(OperationalKind)},
        "receiver": {one.receiver for one in notifications},
    }


async def sites(bus: Bus) -> set[str]:
    """Return the sites about which anything was published or notified, and those that aggregates count for now."""
    found = set(await counted_sites(bus))
    for row in (WINDOWS, OPERATIONS, NOTIFICATIONS):
        with contextlib.suppress(TimeoutError, Unavailable, nats.errors.Error):
            async with asyncio.timeout(_READ_S):
                found |= {cast("WindowV1", stored.message).site for stored in await bus.latest(row)}
    return found


def doubts(silence: SilenceV1, names: Names) -> list[str]:
    """Return a warning for each name of a silence that was never published, if others of its kind were."""
    named = {"site": silence.sites, "zone": silence.zones, "rule": silence.rules, "receiver": silence.receivers}
    return [
        f"nothing published so far names {kind} {name!r}; published are: {', '.join(sorted(names[kind]))}"
        for kind, given in named.items()
        for name in given
        if names.get(kind) and name not in names[kind]
    ]


_COMMAND = "moretta silence"
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_LENGTH = re.compile(r"(\d{1,4})([smhdw])")
_LONGEST_S = 366 * 86_400
T = TypeVar("T")


@dataclass(frozen=True)
class Match:
    """What a silence is about; an empty list matches anything."""

    sites: list[str]
    zones: list[str]
    rules: list[str]
    receivers: list[str]


def until_when(length: str | None, until: str | None, now: int) -> int:
    """Return when a silence ends, ns UTC; SettingsError unless exactly one is given, and it is within the next year."""
    if (length is None) == (until is None):
        raise SettingsError(_COMMAND, [("--for", "or --until says when it ends; give one of them, such as --for 2h")])
    if length is not None:
        found = _LENGTH.fullmatch(length)
        if found is None:
            raise SettingsError(_COMMAND, [("--for", f"{length!r} is no length; write 30m, 2h or 1d")])
        end = now + int(found[1]) * _UNITS[found[2]] * 10**9
    else:
        try:
            end = int(datetime.fromisoformat(str(until)).astimezone().timestamp()) * 10**9
        except (ValueError, OverflowError, OSError):
            why = f"{until!r} is no time; write 2026-11-24T18:00, by this machine's clock, or with +01:00 behind it"
            raise SettingsError(_COMMAND, [("--until", why)]) from None
    if not now < end <= now + _LONGEST_S * 10**9:
        option, given = ("--for", length) if length is not None else ("--until", until)
        raise SettingsError(_COMMAND, [(option, f"{given!r} must end after now, and within a year")])
    return end


async def add(
    file: Path, match: Match, ends: tuple[str | None, str | None], *, operator: str, why: str
) -> tuple[SilenceV1, list[str], Zones]:
    """Set a silence; return it, warnings about its names, and time zones. SettingsError if it can't be set."""
    now = time.time_ns()
    end = until_when(*ends, now)
    if not (match.sites or match.zones or match.rules or match.receivers):
        raise SettingsError(
            _COMMAND, [("", "would silence everything; name a --site, a --zone, a --rule or a --receiver")]
        )
    made = SilenceV1(
        silence=secrets.token_hex(4),
        sites=match.sites,
        zones=match.zones,
        rules=match.rules,
        receivers=match.receivers,
        starts=now,
        ends=end,
        operator=operator,
        why=why,
    )
    made = checked(_COMMAND, made)
    bus = await operator_bus(file)
    try:
        await _answered(_there(bus))
        await _answered(bus.store(SILENCES, made))
        return made, [*doubts(made, await published(bus)), *await unconfirmed(bus, made)], await zones_of(bus)
    finally:
        await bus.close()


async def read(file: Path, *, every: bool) -> tuple[list[SilenceV1], Zones]:
    """Return the silences in force, the one that ends first at the top, with `every` those that are over, too.

    And the time zones of sites.
    """
    bus = await operator_bus(file)
    try:
        found, zones = await _read(bus), await zones_of(bus)
    finally:
        await bus.close()
    now = time.time_ns()
    return sorted((one for one in found if every or one.ends > now), key=lambda one: one.ends), zones


async def expire(file: Path, name: str, *, operator: str, why: str) -> tuple[SilenceV1, list[str], Zones]:
    """End a silence now; return it, warnings, and time zones. SettingsError if there is none such, or it is over."""
    bus = await operator_bus(file)
    try:
        known = {one.silence: one for one in await _read(bus)}
        now = time.time_ns()
        if name not in known or known[name].ends <= now:
            which = "is over already" if name in known else "is no silence here"
            raise SettingsError(_COMMAND, [("SILENCE-ID", f"{name!r} {which}; `moretta silence list` shows them")])
        ended = structs.replace(known[name], ends=now, operator=operator, why=why or known[name].why)
        await _answered(bus.store(SILENCES, checked(_COMMAND, ended)))
        return ended, await unconfirmed(bus, ended), await zones_of(bus)
    finally:
        await bus.close()


async def unconfirmed(bus: Bus, silence: SilenceV1) -> list[str]:
    """Wait until notify applies a silence as it was stored; return a warning for each site where it does not.

    Without sites in the silence, those are asked about that notify has decided anything.
    """
    try:
        asked = silence.sites or sorted(
            {cast("NotificationV1", one.message).site for one in await bus.latest(NOTIFICATIONS)}
        )
        found = await asyncio.gather(*(_unheld(bus, silence, site) for site in asked))
    except (TimeoutError, Unavailable, nats.errors.Error) as error:
        return [f"whether notify applies it is not known: {str(error) or type(error).__name__}"]
    return list(dict.fromkeys(why for why in found if why))


async def _unheld(bus: Bus, silence: SilenceV1, site: str) -> str:
    question = SilenceHeldRequestV1(site=site, silence=silence.silence, ends=silence.ends)
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _HELD_S:
        try:
            if (await bus.request(SILENCE_HELD, question, timeout=_ONE_S)).held:
                return ""
        except NoWorkers:
            if waited > _BACK_S:
                return (
                    "no notify of this version is connected to this NATS;"
                    " the silence is stored, and applies once one is"
                )
        except TimeoutError:  # its replica may be starting, or handing the site over: the next one answers
            continue
        await asyncio.sleep(_LOOK_S)
    return f"no notify confirmed it for site {site!r} in {_HELD_S:g} s; `moretta doctor` shows whether one serves it"


async def _read(bus: Bus) -> list[SilenceV1]:
    await _answered(_there(bus))
    found: Any = await _answered(bus.latest(SILENCES))
    return [stored.message for stored in found]


async def _there(bus: Bus) -> None:
    try:
        await bus.streams.created(str(SILENCES.stream))
    except nats.errors.Error:
        why = "this NATS has no bucket for silences: notify makes it when it starts, and never did here"
        raise SettingsError(_COMMAND, [("", why)]) from None


async def _answered(call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await call
    except TimeoutError:
        raise SettingsError(_COMMAND, [("", f"JetStream did not answer in {ANSWER_S:g} s")]) from None


def about(silence: SilenceV1) -> str:
    """Return what a silence is about, in words."""
    named = {"site": silence.sites, "zone": silence.zones, "rule": silence.rules, "receiver": silence.receivers}
    return ", ".join(f"{what} {' or '.join(names)}" for what, names in named.items() if names) or "everything"


def local(moment: int, zone: tzinfo | None = None) -> str:
    """Return a moment by the clock of a zone, or else of this machine, with the offset to UTC."""
    return datetime.fromtimestamp(moment // 10**9, zone).astimezone(zone).strftime("%Y-%m-%d %H:%M %z")


async def zones_of(bus: Bus) -> Zones:
    """Return the time zone of each site that aggregates answer for; none if nobody does."""
    with contextlib.suppress(TimeoutError, Unavailable, nats.errors.Error):
        found = await counted_sites(bus)
        return {site: metadata["timezone"] for site, metadata in found.items() if "timezone" in metadata}
    return {}


def clock(silence: SilenceV1, zones: Zones) -> tzinfo | None:
    """Return the time zone of a silence's sites; None if they have several, or nobody tells it."""
    found = {zones.get(site) for site in silence.sites or zones}
    return zone_named(found.pop() if len(found) == 1 else None)


def zone_named(name: str | None) -> tzinfo | None:
    """Return a time zone; None without a name, or if this machine knows none of it."""
    return None if name is None or name not in available_timezones() else ZoneInfo(name)


def in_words(silence: SilenceV1, zones: Zones, now: int) -> str:
    """Return a silence as a sentence, said `now` (ns)."""
    end = local(silence.ends, clock(silence, zones))
    until = f"over since {end}" if silence.ends <= now else f"until {end}"
    return f"{silence.silence}: {about(silence)} {until}, by {silence.operator}"


def encoded(silences: list[SilenceV1]) -> str:
    """Return silences as JSON."""
    return msgspec.json.encode(silences).decode()


def table(silences: list[SilenceV1], zones: Zones) -> Table:
    """Return silences as a table, with times by the clock of their sites."""
    shown = Table("id", "about", "from", "until", "by", "why", title="silences" if silences else "no silence in force")
    now = time.time_ns()
    for one in silences:
        zone = clock(one, zones)
        end = local(one.ends, zone) + (" (over)" if one.ends <= now else "")
        # As Text and on one line, so that neither rich nor the terminal takes anything in it for markup.
        texts = (Text(one_line(words)) for words in (one.operator, one.why))
        shown.add_row(one.silence, about(one), local(one.starts, zone), end, *texts)
    return shown
