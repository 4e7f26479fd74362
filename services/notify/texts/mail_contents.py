"""The contents of a mail, without layout. The wording fills them in a reader's language; templates lay them out."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from proto.types import Severity

Tone = Literal["info", "warning", "critical", "resolved"]
"""The colour of a mail: the worst severity that fires, or `resolved` if nothing fires."""


@dataclass(frozen=True)
class Mark:
    """A place on a bar, in whole per cent, and what is written there."""

    at: int
    text: str


@dataclass(frozen=True)
class Bar:
    """A rate drawn as a bar: whole per cent, `sure` + `unsure` + `rest` = 100.

    `sure` reaches to the interval's lower bound, `unsure` from there to its upper bound.
    """

    sure: int
    unsure: int
    rest: int
    rate: Mark
    threshold: Mark
    alternative: str
    """What a screen reader says instead."""


class Cell(NamedTuple):
    """The text of a table's cell: large, and smaller below."""

    main: str
    beside: str = ""


@dataclass(frozen=True)
class AlertRow:
    """One alert of several."""

    state: str
    tone: Tone
    cells: tuple[Cell, ...]
    """As many as the table has columns."""


@dataclass(frozen=True)
class AlertTable:
    """Several alerts: the first column says where."""

    columns: tuple[str, ...]
    rows: tuple[AlertRow, ...]
    numeric: bool = True
    """Whether the columns after the first are figures; else they are sentences."""
    more: str = ""
    """How many are left out; empty: none."""


@dataclass(frozen=True)
class MailImage:
    """A picture that a mail carries."""

    content_id: str
    alternative: str


@dataclass(frozen=True)
class MailView:
    """Everything that a mail about alerts says."""

    language: str
    tone: Tone
    subject: str
    badge: str
    headline: str
    place: str
    banner: str
    """Says that this is a test; empty outside the profile `lab`."""
    lead: str
    colon: str
    """What stands between a label and its value: French has a space before it."""
    figure: str = ""
    """A single alert's rate, to be shown large."""
    bar: Bar | None = None
    table: AlertTable | None = None
    first: tuple[tuple[str, str], ...] = ()
    """Facts above the picture: what to do, and since when."""
    facts: tuple[tuple[str, str], ...] = ()
    image: MailImage | None = None
    notes: tuple[str, ...] = ()
    link: str = ""
    link_text: str = ""


class Bodies(NamedTuple):
    """Both forms of a mail, laid out."""

    text: str
    html: str


_WORST: tuple[Severity, ...] = ("critical", "warning", "info")


def tone_of(severities: set[Severity]) -> Tone:
    """Return the tone of alerts that fire with these severities; `resolved` if there are none."""
    return next((severity for severity in _WORST if severity in severities), "resolved")


def mark(share: float, text: str) -> Mark:
    """Return a share's place on a bar, with this text."""
    return Mark(round(100 * share), text)


def bar(interval: tuple[float, float], rate: Mark, threshold: Mark, alternative: str) -> Bar:
    """Return the bar of a rate with this interval beside a threshold, both of them marked."""
    low, high = sorted(round(100 * bound) for bound in interval)
    return Bar(low, high - low, 100 - high, rate, threshold, alternative)
