"""The names that people use for a site's places, fit for a mail header and a table cell."""

import unicodedata
from collections.abc import Iterable

from proto.types import WHOLE_SITE
from services.notify.notification import Notice
from services.notify.texts.words import Words
from services.sites.settings import SiteSettings
from services.sites.texts import Text, text_in

_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn", "Co"})
_LISTED = 3
"""More places than this are counted, not listed."""


def one_line(name: str) -> str:
    """Return a name without line ends, control characters and doubled blanks, since it stands in headers."""
    printable = "".join(" " if unicodedata.category(sign) in _CONTROL else sign for sign in name)
    return " ".join(printable.split())


def site_name(site: SiteSettings) -> str:
    """Return the site's name, or its id if it has none."""
    return one_line(site.name or "") or site.id


def zone_name(site: SiteSettings, zone: str) -> str:
    """Return the zone's name, or its id if it has no name or is no longer in the settings."""
    return {known.id: one_line(known.name or "") for known in site.zones}.get(zone) or zone


def place(site: SiteSettings, zone: str) -> str:
    """Return an alert's place: the site, and the zone unless it is the whole site."""
    return site_name(site) if zone == WHOLE_SITE else f"{site_name(site)}, {zone_name(site, zone)}"


def rule_name(site: SiteSettings, zone: str, rule: str, words: Words) -> str:
    """Return what people call a zone's rule, or its id if it has no name or is no longer in the settings."""
    known = site.rule(zone, rule)
    return (known and own_text(known.name, site, words)) or rule


def own_text(text: Text, site: SiteSettings, words: Words) -> str:
    """Return a text of the settings in the reader's language, or else in the site's, as one line; empty: none."""
    return one_line(text_in(text, words.language, site.language))


def action_of(notice: Notice, site: SiteSettings, words: Words) -> str:
    """Return what to do while this alert fires, as a sentence; empty if the settings say nothing, or it is over."""
    known = site.rule(notice.zone, notice.rule) if notice.audience == "field" and notice.firing else None
    text = own_text(known.action, site, words) if known else ""
    return f"{text}." if text[-1:].isalnum() else text


def sent_to(receiver: str, words: Words, contact: str) -> tuple[str, ...]:
    """Return for whom a mail is, and whom they ask if the settings say so."""
    sent = words.gettext("Sent automatically to “{receiver}”. Please do not reply to this message.", receiver=receiver)
    ask = words.gettext("Other hours, questions, or not for you? Ask {contact}.", contact=contact) if contact else ""
    return (sent, ask) if ask else (sent,)


def is_about_delivery(notice: Notice) -> bool:
    """Return whether notify itself raised it: about a channel or a recipient, not about what cameras see."""
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
    """Return what these alerts are about, each once; their number if the list would be long."""
    names = list(dict.fromkeys(subject_of(notice, site, words) for notice in notices))
    if len(names) <= _LISTED:
        return words.listed(names)
    return words.ngettext("{count} place", "{count} places", len(names))
