"""The parts of a daily report, free of any layout: the wording fills them and the templates lay them out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A label and what is to be said there, a paragraph each."""

    label: str
    texts: tuple[str, ...]
    line: str
    """All of it in one line, punctuated as the language does."""


@dataclass(frozen=True)
class HourRow:
    """A line of the table of hours; `note` stands in place of figures that there are not."""

    when: str
    cells: tuple[str, ...] = ()
    note: str = ""
    text: str = ""
    """All of it in one line, for where there is no table."""


@dataclass(frozen=True)
class Picture:
    """A chart: its heading, and what a screen reader says instead."""

    name: str
    heading: str
    alternative: str


@dataclass(frozen=True)
class ReportView:
    """Everything that a report says."""

    language: str
    subject: str
    badge: str
    headline: str
    title: str
    """Badge and headline in one line."""
    place: str
    banner: str
    """Says that this is a test; empty outside the profile `lab`."""
    figure: str
    """The rate alone, to be shown large; empty without one."""
    lead: str
    hours: Picture
    rows: tuple[Row, ...]
    zones: Picture | None
    """None where no zone has figures of its own."""
    zone_rows: tuple[Row, ...]
    columns: tuple[str, ...]
    """The headings of the table of hours."""
    table: str
    """And its title."""
    lines: tuple[HourRow, ...]
    notes: tuple[str, ...]
    link: str
    link_text: str
    link_line: str
