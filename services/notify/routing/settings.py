"""Routes and times in the section `notify`: who is notified of what, when, and how often."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from proto.types import WHOLE_SITE, ReceiverId, RuleId, Severity, SiteId, ZoneId
from services.notify.notification import Audience
from services.notify.routing.plan import CAMERA_DOWN, NO_DATA, GroupBy
from services.sites.problems import Problem, time_zones
from services.sites.settings import DAYS, Day, SiteSettings, WallTime

TimeId = Annotated[
    str, Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z", description="1-32 of a-z, 0-9 and inner hyphens")
]


class DatesSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A range of days, with the first and the last one included."""

    first: date
    last: date | None = None
    """None: only the first day."""


class TimeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Office hours, a night or holidays, by local clock time. An end not after the start is on the next day."""

    id: TimeId
    days: Annotated[tuple[Day, ...], Meta(min_length=1)] = DAYS
    """The days on which it starts."""
    start: WallTime | None = None
    """None: midnight."""
    end: WallTime | None = None
    """None: midnight at the end of the day."""
    dates: list[DatesSettings] = []
    """Only on these dates; if empty, on all."""
    timezone: str | None = None
    """An IANA zone; None: the one of the alert's site."""


class RouteSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"goes_on": "continue"}):
    """Leads alerts to a receiver. An omitted field matches everything. The first route that matches applies."""

    receiver: ReceiverId
    sites: list[SiteId] = []
    zones: list[ZoneId] = []
    rules: list[RuleId] = []
    """Ids of rules, or `camera-down` and `no-data`."""
    severities: list[Severity] = []
    audience: Audience | None = None
    """`field`: alerts about rates. `operators`: alerts about the system itself. None: the receiver's audience."""
    goes_on: bool = False
    """`continue`: whether the routes after it are tried too."""
    group_by: Annotated[tuple[GroupBy, ...], Meta(min_length=1)] = ("site",)
    """Alerts that agree in these fields go into one notification. The site is always one of them."""
    group_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 10.0
    group_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    repeat_interval_s: Annotated[float, Meta(ge=1, le=30 * 86_400)] = 14_400.0
    active_times: list[TimeId] = []
    """The route notifies only within one of these times; if empty, always."""
    mute_times: list[TimeId] = []
    """The route never notifies within one of these times."""
    send_resolved: bool = True


class Reader(Struct, frozen=True):
    """The part of a receiver that checks of routes need."""

    id: ReceiverId
    audience: Audience
    sites: list[SiteId]


def routing_problems(
    routes: Sequence[RouteSettings],
    times: Sequence[TimeSettings],
    readers: Sequence[Reader],
    sites: Sequence[SiteSettings],
) -> Iterator[Problem]:
    """Yield problems across the fields of routes and times, each with its path."""
    for name, count in Counter(one.id for one in times).items():
        if count > 1:
            last = max(index for index, one in enumerate(times) if one.id == name)
            yield f"notify.times[{last}].id", f"{name!r} is used {count} times; ids are unique"
    for index, one in enumerate(times):
        yield from _time_problems(f"notify.times[{index}]", one)
    known, named = {reader.id: reader for reader in readers}, {one.id for one in times}
    for index, route in enumerate(routes):
        yield from _route_problems(f"notify.routes[{index}]", route, known, named, sites)
    yield from _out_of_reach(routes, known)
    for index, reader in enumerate(readers if routes else ()):
        if all(route.receiver != reader.id for route in routes):
            yield f"notify.receivers[{index}].id", f"no route leads to {reader.id!r}; add one to notify.routes"


def _time_problems(path: str, one: TimeSettings) -> Iterator[Problem]:
    if one.timezone is not None and one.timezone not in time_zones():
        yield f"{path}.timezone", f"{one.timezone!r} is no IANA time zone, such as Europe/Paris"
    if one.start is not None and one.start == one.end:
        yield f"{path}.end", f"{one.start} to {one.end} is no time, or all of it; leave out both for whole days"
    for index, days in enumerate(one.dates):
        if days.last is not None and days.last < days.first:
            yield f"{path}.dates[{index}].last", f"{days.last} is before {days.first}; the first day comes first"
        elif not any(DAYS[day.weekday()] in one.days for day in _first_week(days)):
            yield f"{path}.dates[{index}]", f"none of these days is one of days ({', '.join(one.days)}); it never comes"


def _first_week(days: DatesSettings) -> list[date]:
    count = min(7, ((days.last or days.first) - days.first).days + 1)
    return [days.first + timedelta(days=place) for place in range(count)]


def _route_problems(
    path: str,
    route: RouteSettings,
    readers: Mapping[ReceiverId, Reader],
    times: Collection[TimeId],
    sites: Sequence[SiteSettings],
) -> Iterator[Problem]:
    reader = readers.get(route.receiver)
    if reader is None:
        yield f"{path}.receiver", _unknown("receiver", route.receiver, readers)
    yield from _place_problems(path, route, reader, sites)
    for field in ("active_times", "mute_times"):
        for place, name in enumerate(getattr(route, field)):
            if name not in times:
                yield f"{path}.{field}[{place}]", _unknown("time", name, times)
    if route.repeat_interval_s < route.group_interval_s:
        least = f"{route.repeat_interval_s:g} s is less than group_interval_s {route.group_interval_s:g} s"
        yield f"{path}.repeat_interval_s", f"{least}; it may not be less"


def _place_problems(
    path: str, route: RouteSettings, reader: Reader | None, sites: Sequence[SiteSettings]
) -> Iterator[Problem]:
    for place, name in enumerate(route.sites):
        if all(site.id != name for site in sites):
            yield f"{path}.sites[{place}]", _unknown("site", name, [site.id for site in sites])
        elif reader and reader.sites and name not in reader.sites:
            why = f"the receiver {reader.id!r} is for other sites: {', '.join(reader.sites)}; add {name!r} there"
            yield f"{path}.sites[{place}]", why
    asked = route.sites or (reader.sites if reader else [])
    meant = [site for site in sites if not asked or site.id in asked]
    zones = {WHOLE_SITE, *(zone.id for site in meant for zone in site.zones)}
    for place, name in enumerate(route.zones):
        if name not in zones:
            yield f"{path}.zones[{place}]", _unknown("zone", name, zones)
    yield from _rule_problems(path, route, reader, {rule.id for site in meant for rule in site.rules})


def _rule_problems(
    path: str, route: RouteSettings, reader: Reader | None, rules: Collection[RuleId]
) -> Iterator[Problem]:
    kinds = (CAMERA_DOWN, NO_DATA)
    audience = route.audience or (reader.audience if reader else None)
    for place, name in enumerate(route.rules):
        if name not in rules and name not in kinds:
            yield f"{path}.rules[{place}]", _unknown("rule", name, {*rules, *kinds})
        elif audience == "field" and name not in rules:
            why = f"{name!r} is about the system itself, which is not for field staff; say audience: operators"
            yield f"{path}.rules[{place}]", why
        elif audience == "operators" and name not in kinds:
            why = f"{name!r} is about rates, which is not for operators; say audience: field"
            yield f"{path}.rules[{place}]", why


def _out_of_reach(routes: Sequence[RouteSettings], readers: Mapping[ReceiverId, Reader]) -> Iterator[Problem]:
    """Yield routes that an earlier route hides. A receiver's first match applies, with `continue` or without."""
    for index, route in enumerate(routes):
        for earlier, other in enumerate(routes[:index]):
            same = other.receiver == route.receiver
            if (same or not other.goes_on) and _takes_all(other, route, readers):
                cure = _reached(index, earlier, same=same, both=_takes_all(route, other, readers))
                yield f"notify.routes[{index}]", f"routes[{earlier}] ({other.receiver!r}) hides it: {cure}"
                break


def _reached(index: int, earlier: int, *, same: bool, both: bool) -> str:
    """Return how the later of two routes is reached. Where each matches all that the other does, no order helps."""
    order = f"move routes[{index}] up, before routes[{earlier}]"
    go_on = f"say continue: true in routes[{earlier}]"
    if both:
        return f"both match the same; {'leave one of them out' if same else go_on}"
    return f"it matches all that routes[{index}] does, and comes first; {order}{'' if same else f', or {go_on}'}"


def _takes_all(first: RouteSettings, then: RouteSettings, readers: Mapping[ReceiverId, Reader]) -> bool:
    one, other = readers.get(first.receiver), readers.get(then.receiver)
    if one is None or other is None or (first.audience or one.audience) != (then.audience or other.audience):
        return False
    pairs: list[tuple[Sequence[str], Sequence[str]]] = [
        (first.sites or one.sites, then.sites or other.sites),
        (first.zones, then.zones),
        (first.rules, then.rules),
        (first.severities, then.severities),
    ]
    return all(not wide or (narrow and set(narrow) <= set(wide)) for wide, narrow in pairs)


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    return f"unknown {what} {name!r}; known here: {', '.join(sorted(known)) or 'none'}"
