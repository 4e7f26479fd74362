"""What people call a site's places, fit for a header and a cell."""

import unicodedata
from collections.abc import Iterable

from proto.types import WHOLE_SITE
from services.notify.core.notification import Notice
from services.notify.core.words import Words
from services.sites.settings import SiteSettings

_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn", "Co"})
_LISTED = 3
"""More places than so many are counted, not listed."""


def one_line(name: str) -> str:
    """Return a name without line ends, control characters and doubled blanks: it stands in headers."""
    printable = "".join(" " if unicodedata.category(sign) in _CONTROL else sign for sign in name)
    return " ".join(printable.split())


def site_name(site: SiteSettings) -> str:
    """Return what people call the site; its id where it has no name."""
    return one_line(site.name or "") or site.id


def zone_name(site: SiteSettings, zone: str) -> str:
    """Return what people call the zone; its id where it has no name, also if the settings have it no longer."""
    return {known.id: one_line(known.name or "") for known in site.zones}.get(zone) or zone


def place(site: SiteSettings, zone: str) -> str:
    """Return where an alert is: the site, and the zone where it is not the whole site."""
    return site_name(site) if zone == WHOLE_SITE else f"{site_name(site)}, {zone_name(site, zone)}"


def is_about_delivery(notice: Notice) -> bool:
    """Whether notify itself raised it: of a channel or a recipient, not of what cameras see."""
    return notice.rule in {"channel-down", "undelivered"} and notice.audience == "operators"


def subject_of(notice: Notice, site: SiteSettings, words: Words) -> str:
    """Return what an alert is about, within its site: a zone, the whole site, a camera, a channel, a recipient."""
    if notice.audience == "operators":
        if notice.rule == "camera-down":
            return words.gettext("camera “{name}”", name=notice.zone)
        if notice.rule == "channel-down":
            return words.gettext("channel “{name}”", name=notice.zone)
        if notice.rule == "undelivered":
            return words.gettext("messages to “{name}”", name=notice.zone)
        name = site_name(site) if notice.zone == WHOLE_SITE else zone_name(site, notice.zone)
        return words.gettext("figures of “{name}”", name=name)
    if notice.zone == WHOLE_SITE:
        return words.gettext("whole site")
    return zone_name(site, notice.zone)


def listed(notices: Iterable[Notice], site: SiteSettings, words: Words) -> str:
    """Return what these alerts are about, each once; the number where a list would be long."""
    names = list(dict.fromkeys(subject_of(notice, site, words) for notice in notices))
    if len(names) <= _LISTED:
        return words.listed(names)
    return words.ngettext("{count} place", "{count} places", len(names))
