"""A mail about an alert, in English."""

from dataclasses import dataclass
from datetime import datetime

from proto.public import AlertV1
from proto.types import Severity
from services.notify.core.local_time import Span, instant, offset, time_of_day
from services.notify.core.view import AlertView, Bar, bar, place
from services.sites.settings import SiteSettings, local_zone

# Not strftime's %A and %B: those follow the process's locale.
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_PERCENT = "\N{NO-BREAK SPACE}%"
_SEVERITIES: dict[Severity, str] = {"info": "Information", "warning": "Warning", "critical": "Critical"}


def describe(alert: AlertV1, site: SiteSettings, receiver: str, link: str = "") -> AlertView:
    """Return what a mail about this alert says; UnpresentableError if its times are beyond the calendar."""
    words = _Words(alert, site)
    return AlertView(
        language="en",
        state=alert.state,
        severity=alert.severity,
        subject=words.subject(),
        badge="Resolved" if alert.state == "resolved" else _SEVERITIES[alert.severity],
        headline=words.headline(),
        place=words.place,
        banner=words.banner(),
        figure=words.rate,
        lead=words.lead(),
        rows=words.rows(),
        bar=words.bar(),
        notes=words.notes(receiver),
        link=link,
        link_text="Open Moretta" if link else "",
    )


def percent(share: float, decimals: int = 0) -> str:
    """Return `62 %`, with a space that no line breaks at."""
    return f"{100 * share:.{decimals}f}{_PERCENT}"


def exact(share: float) -> str:
    """Return a threshold as it was set, with up to two decimals: `70 %`, `72.5 %`."""
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + _PERCENT


def beside(share: float, threshold: float) -> str:
    """Return a rate with as few decimals as tell it from the threshold: 69.6 % is not "70 %, below 70 %"."""
    for decimals in (0, 1):
        if share == threshold or percent(share, decimals) != percent(threshold, decimals):
            return percent(share, decimals)
    return percent(share, 2)


def day(moment: datetime) -> str:
    """Return `Tuesday 24 November 2026`."""
    return f"{_DAYS[moment.weekday()]} {moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def window(span: Span) -> str:
    """Return a window as `Tuesday 24 November 2026, 10:00 to 10:20 (Europe/Paris, UTC+01:00)`."""
    start, end = time_of_day(span.start), time_of_day(span.end)
    if not span.same_day:
        end = f"{day(span.end)}, {end}"
    if span.same_offset:
        return f"{day(span.start)}, {start} to {end} ({_zone(span.zone, offset(span.end))})"
    # The clocks changed in between: each time needs its own distance to UTC, or it could be read as either.
    return f"{day(span.start)}, {start} {offset(span.start)} to {end} {offset(span.end)} ({span.zone})"


def _zone(name: str, distance: str) -> str:
    return name if name == "UTC" else f"{name}, {distance}"


@dataclass(frozen=True)
class _Words:
    alert: AlertV1
    site: SiteSettings

    @property
    def place(self) -> str:
        return place(self.site, self.alert.zone)

    @property
    def firing(self) -> bool:
        return self.alert.state == "firing"

    @property
    def rate(self) -> str:
        return beside(self.alert.rate, self.alert.fire_below if self.firing else self.alert.clear_above)

    def subject(self) -> str:
        """The same from firing to resolved, so that mail programs keep both in one thread."""
        sender = "Moretta test" if self.alert.profile == "lab" else "Moretta"
        bound = exact(self.alert.fire_below).replace(_PERCENT, " %")  # plain ASCII, readable in any mail program
        return f"[{sender}] {self.place}: mask rate below {bound}"

    def headline(self) -> str:
        if self.firing:
            return f"Mask rate below {exact(self.alert.fire_below)}"
        if self.alert.rate > self.alert.clear_above:
            return f"Mask rate back above {exact(self.alert.clear_above)}"
        return "This alert is over"

    def banner(self) -> str:
        if self.alert.profile != "lab":
            return ""
        return "This is a test. It comes from an installation in the profile “lab”: nothing needs to be done."

    def lead(self) -> str:
        count = self.alert.persons
        people = "1 person" if count == 1 else f"{count} people"
        return f"of the people counted wore a mask correctly. The figure rests on {people}."

    def rows(self) -> tuple[tuple[str, str], ...]:
        low, high = sorted(self.alert.interval)
        return (
            ("When", window(self._span(self.alert.start))),
            ("What changed", self.change()),
            ("How sure", f"The rate is between {percent(low)} and {percent(high)}, with 95{_PERCENT} confidence."),
            ("Observed", f"The cameras saw {percent(self.alert.coverage)} of this time."),
            ("Rule", self.rule()),
        )

    def change(self) -> str:
        since = self._span(self.alert.since)
        began = time_of_day(since.start) if since.same_day else f"{day(since.start)}, {time_of_day(since.start)}"
        if self.firing:
            return f"The rate has been below {exact(self.alert.fire_below)} since {began}."
        return f"The alert that began at {began} is over."

    def rule(self) -> str:
        low, high = exact(self.alert.fire_below), exact(self.alert.clear_above)
        return f"“{self.alert.rule}” warns when the rate is surely below {low} and ends when it is above {high}."

    def bar(self) -> Bar:
        word, bound = ("below", self.alert.fire_below) if self.firing else ("above", self.alert.clear_above)
        text = f"{'warns below' if self.firing else 'clear above'} {exact(bound)}"
        return bar(self.alert, text, f"Mask rate {self.rate}; the rule asks whether it is {word} {exact(bound)}")

    def notes(self, receiver: str) -> tuple[str, ...]:
        return (
            "Whoever passes twice is counted twice. Nobody is recognised and no picture is kept.",
            f"Sent automatically to the receiver “{receiver}”; nobody reads replies.",
            f"Alert {self.alert.alert}",
        )

    def _span(self, start: int) -> Span:
        zone = local_zone(self.site)
        return Span(instant(start, zone), instant(self.alert.end, zone), self.site.timezone)
