"""Checks of the section `sites` across fields: each problem has its path, and says what would be right."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from math import ceil
from urllib.parse import quote
from zoneinfo import available_timezones

from proto.types import WHOLE_SITE
from services.kernel.settings import STAND_IN
from services.sites.settings import (
    CameraSettings,
    PrivacySettings,
    RestSettings,
    RuleSettings,
    SiteSettings,
)
from services.sites.texts import Text, lacking

_STREAM_S = 3_660.0
_KEPT_S = 3_600.0
_NOWHERE = {"localtime", "Factory"}
"""Names that some systems use for their local zone; they mean another zone on the next host."""
_PICTURES = 1.5
"""At least this many pictures must be due while a track may go unseen. With one, the least delay would end a track at
every picture."""
_AHEAD_OF_CLOCK = (
    "false reads a file faster than it plays, ahead of the clock by which this site's windows close; leave it out, or"
    " set close_on_end of the site to true"
)
_WITH_LOGIN = ("rtsp://", "rtsps://", "http://", "https://")
_USER = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*@")
MIN_TOKEN = 16
_LONGEST_LOGIN = 127
"""FFmpeg's RTSP client keeps a login in 128 bytes, the last of which is zero (rtsp.c, `ff_rtsp_connect`)."""
Problem = tuple[str, str]
"""A path such as `sites[0].rules[1].zone` and what is wrong with it, in one sentence that says what would be right."""


@cache
def time_zones() -> frozenset[str]:
    """Return the names of the IANA time zones that this machine has; cached: the search opens each one's file."""
    return frozenset(available_timezones() - _NOWHERE)


def problems(sites: list[SiteSettings]) -> list[Problem]:
    """Return problems across fields: duplicate ids, unknown zones and time zones, impossible thresholds."""
    found = [*_duplicates("sites", [s.id for s in sites])]
    for index, site in enumerate(sites):
        found += _site_problems(f"sites[{index}]", site)
    return found


def _site_problems(path: str, site: SiteSettings) -> Iterator[Problem]:
    for name, things in (("cameras", site.cameras), ("zones", site.zones), ("rules", site.rules)):
        yield from _duplicates(f"{path}.{name}", [thing.id for thing in things])
    if site.timezone not in time_zones():
        yield f"{path}.timezone", f"{site.timezone!r} is no IANA time zone, such as Europe/Paris"
    yield from _too_long(path, site)
    yield from _too_many(path, site)
    zones = {zone.id for zone in site.zones}
    for index, zone in enumerate(site.zones):
        if zone.id == WHOLE_SITE:
            yield f"{path}.zones[{index}].id", f"{WHOLE_SITE!r} is the whole site and is always there; take another id"
    for index, camera in enumerate(site.cameras):
        if camera.zone is not None and camera.zone not in zones:
            yield f"{path}.cameras[{index}].zone", _unknown_zone(camera.zone, zones)
        yield from _zone_areas(f"{path}.cameras[{index}]", camera, zones)
        yield from _too_few_pictures(f"{path}.cameras[{index}].fps", camera, site)
        if not camera.paced and not site.close_on_end:
            yield f"{path}.cameras[{index}].paced", _AHEAD_OF_CLOCK
    yield from _hours(f"{path}.rests", site.rests)
    for index, camera in enumerate(site.cameras):
        yield from _hours(f"{path}.cameras[{index}].rests", camera.rests)
        yield from _privacy(f"{path}.cameras[{index}].privacy.areas", camera.privacy)
        yield from _token(f"{path}.cameras[{index}].token", camera)
        yield from _login(f"{path}.cameras[{index}]", camera)
    for index, rule in enumerate(site.rules):
        yield from _rule_problems(f"{path}.rules[{index}]", rule, zones)
        yield from own_problems(f"{path}.rules[{index}].name", rule.name, site)
        yield from own_problems(f"{path}.rules[{index}].action", rule.action, site)


def own_problems(path: str, text: Text, site: SiteSettings) -> Iterator[Problem]:
    """Yield a problem if a text in several languages lacks that of the site, in which it is shown to all others."""
    if lacking(text, [site.language]):
        yield path, f"has no text in {site.language!r}, the language of the site {site.id!r}; add {site.language}: ..."


def _hours(path: str, hours: list[RestSettings]) -> Iterator[Problem]:
    for index, one in enumerate(hours):
        if one.start == one.end:
            why = f"{one.start} to {one.end} is no time, or all of it; take other hours, or pause with `moretta pause`"
            yield f"{path}[{index}].end", why


def _token(path: str, camera: CameraSettings) -> Iterator[Problem]:
    """Yield problems of the token, without its value.

    A service that may not read addresses and tokens has stand-ins instead, in which nothing is wrong.
    """
    if camera.token is None:
        if camera.is_peer:
            yield path, f"is missing; give token_file, {MIN_TOKEN} random characters or more, to who may publish"
    elif len(camera.token.reveal()) < MIN_TOKEN:
        yield path, f"is shorter than {MIN_TOKEN} characters; take 32 random ones"


def _login(path: str, camera: CameraSettings) -> Iterator[Problem]:
    """Yield problems of user and password, without their values."""
    if camera.user is None:
        if camera.password is not None:
            yield f"{path}.user", "is missing; say whose password it is"
    elif camera.url != STAND_IN and not camera.url.lower().startswith(_WITH_LOGIN):
        of = f"only a camera of {', '.join(_WITH_LOGIN)} has a login"
        if "://" in camera.url:
            yield f"{path}.user", f"is given, and {of}; remove it"
        else:
            yield f"{path}.url", f"does not begin with rtsp:// or another of these, though user is given: {of}"
    elif names_user(camera.url):
        yield f"{path}.user", "is given, and url names a user, too; take that out of url"
    elif (length := _login_length(camera)) > _LONGEST_LOGIN:
        why = f"and password are {length} characters, those beside letters and digits counted as they are sent"
        yield f"{path}.user", f"{why} (%40 for @); FFmpeg takes {_LONGEST_LOGIN} at most, and cuts the rest off"


def _login_length(camera: CameraSettings) -> int:
    """Return the length of `USER:PASSWORD`, percent-encoded; 0 for a camera of HTTP, which has room."""
    if camera.url.lower().startswith("http"):
        return 0
    password = camera.password.reveal() if camera.password is not None else ""
    return len(quote(camera.user or "", safe="")) + 1 + len(quote(password, safe=""))


def names_user(url: str) -> bool:
    """Return whether a URL holds a login, even one whose password is not percent-encoded."""
    return _USER.match(url) is not None


def _privacy(path: str, privacy: PrivacySettings | None) -> Iterator[Problem]:
    for index, area in enumerate(privacy.areas if privacy is not None else []):
        if _is_flat(area):
            yield f"{path}[{index}]", "the points are on one line, which hides nothing; draw round an area"


def _zone_areas(path: str, camera: CameraSettings, zones: set[str]) -> Iterator[Problem]:
    for index, part in enumerate(camera.zone_areas):
        if part.zone not in zones:
            yield f"{path}.zone_areas[{index}].zone", _unknown_zone(part.zone, zones)
        if _is_flat(part.area):
            why = "the points are on one line, in which nobody is; draw round an area"
            yield f"{path}.zone_areas[{index}].area", why
    for index, area in enumerate(camera.ignore):
        if _is_flat(area):
            yield f"{path}.ignore[{index}]", "the points are on one line, in which nobody is; draw round an area"
    if camera.line is not None and camera.line.start == camera.line.end:
        yield f"{path}.line.end", "start and end are one point, which nobody crosses; give two"


def _too_few_pictures(path: str, camera: CameraSettings, site: SiteSettings) -> Iterator[Problem]:
    """Yield a problem if the sampling rate is too low.

    Each sighting would be a track of its own, and a window would say that nobody came.
    """
    gap = min(site.tracking.max_gap_s, site.lateness_s)
    if camera.fps * gap < _PICTURES:
        least, limits = ceil(10 * _PICTURES / gap) / 10, "tracking.max_gap_s and lateness_s"
        why = f"{camera.fps:g} a second is too few to count anybody: who is unseen for {gap:g} s is gone ({limits})"
        yield path, f"{why}; at least {least:g}, or make these longer"


def _is_flat(area: list[tuple[float, float]]) -> bool:
    return all(_turn(area[0], b, c) == 0 for b, c in pairwise(area[1:]))


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Return twice the area of the triangle, rounded so that points on one line give 0."""
    return round((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]), 9)


def _too_long(path: str, site: SiteSettings) -> Iterator[Problem]:
    """Yield a problem if a window is too long for the stream of sightings, which drops all older than 70 minutes."""
    if site.close_on_end or site.window_s + site.lateness_s <= _STREAM_S:
        return
    name, value, most = "window_s", site.window_s, _STREAM_S - site.lateness_s
    if site.window_s < _STREAM_S:
        name, value, most = "lateness_s", site.lateness_s, _STREAM_S - site.window_s
    why = f"{value:g} s is more than the stream of sightings can serve; at most {max(0.0, most):g} s here"
    yield f"{path}.{name}", why


def _too_many(path: str, site: SiteSettings) -> Iterator[Problem]:
    """Yield a problem if a row is too long.

    A restart judges the row's windows again, from a stream that drops messages older than 70 minutes.
    """
    wanted, most = site.operations.camera_down_windows, max(1, int((_KEPT_S - site.lateness_s) // site.window_s))
    if wanted > most and not site.close_on_end:
        why = f"{wanted} windows of {site.window_s:g} s are more than the stream of sightings keeps; at most {most}"
        yield f"{path}.operations.camera_down_windows", why


def _rule_problems(path: str, rule: RuleSettings, zones: set[str]) -> Iterator[Problem]:
    if rule.zone not in {*zones, WHOLE_SITE}:
        yield f"{path}.zone", _unknown_zone(rule.zone, {*zones, WHOLE_SITE})
    if rule.clear_above < rule.fire_below:
        yield (
            f"{path}.clear_above",
            f"{rule.clear_above:g} is below fire_below {rule.fire_below:g}; it may not be lower",
        )


def _unknown_zone(zone: str, known: set[str]) -> str:
    return f"unknown zone {zone!r}; known here: {', '.join(sorted(known)) or 'none'}"


def _duplicates(path: str, ids: list[str]) -> Iterator[Problem]:
    for name, count in Counter(ids).items():
        if count > 1:
            yield (
                f"{path}[{len(ids) - 1 - ids[::-1].index(name)}].id",
                f"{name!r} is used {count} times; ids are unique",
            )
