"""What a mail about an alert says, free of any layout; a language module fills it and the templates lay it out."""

import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from proto.public import AlertV1
from proto.types import WHOLE_SITE, AlertState, Severity
from services.sites.settings import SiteSettings

_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp", "Cn", "Co"})


@dataclass(frozen=True)
class Bar:
    """A rate drawn as a bar: whole per cent, `sure` + `unsure` + `rest` = 100.

    `sure` reaches to the interval's lower bound, `unsure` on to its upper bound.
    """

    sure: int
    unsure: int
    rest: int
    threshold: int
    threshold_text: str
    alternative: str
    """What a screen reader says instead."""


@dataclass(frozen=True)
class AlertView:
    """Everything that a mail about one alert says."""

    language: str
    state: AlertState
    severity: Severity
    subject: str
    badge: str
    headline: str
    place: str
    banner: str
    """Says that this is a test; empty outside the profile `lab`."""
    figure: str
    """The rate alone, to be shown large."""
    lead: str
    rows: tuple[tuple[str, str], ...]
    bar: Bar
    notes: tuple[str, ...]
    link: str
    link_text: str


class Bodies(NamedTuple):
    """Both forms of a mail, laid out."""

    text: str
    html: str


def one_line(name: str) -> str:
    """Return a name without line ends, control characters and doubled blanks: it stands in headers."""
    printable = "".join(" " if unicodedata.category(sign) in _CONTROL else sign for sign in name)
    return " ".join(printable.split())


def place(site: SiteSettings, zone: str) -> str:
    """Return where an alert is, as people call it: the site, and the zone where it is not the whole site."""
    name = one_line(site.name or "") or site.id
    if zone == WHOLE_SITE:
        return name
    zones = {known.id: one_line(known.name or "") for known in site.zones}
    return f"{name}, {zones.get(zone) or zone}"


def bar(alert: AlertV1, threshold_text: str, alternative: str) -> Bar:
    """Return the bar of an alert's rate. The thresholds' text and the alternative are the language module's."""
    low, high = sorted(round(100 * bound) for bound in alert.interval)
    threshold = round(100 * (alert.fire_below if alert.state == "firing" else alert.clear_above))
    return Bar(low, high - low, 100 - high, threshold, threshold_text, alternative)
