"""`moretta calibrate`: an hour of counting by hand beside what was published meanwhile. It only compares (ADR 41)."""

import csv
from collections.abc import AsyncIterable, Sequence
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from operate.orders import counted_sites, operator_bus
from proto.public import WindowV1
from proto.stats import PeriodV1
from proto.subjects import WINDOWS
from services.kernel.settings import SettingsError
from services.statistics.calendar import TimeRange
from services.statistics.figures import rounded
from services.statistics.proportions import Interval
from services.statistics.roll_ups import Tally

COMMAND = "moretta calibrate"
HEADING = ["start", "end", "masked", "others"]
OBSERVED = 0.95
"""A window must have been observed for this share of its time: the people of the rest were counted by hand alone."""


class Kinds(NamedTuple):
    """People with a mask, and the others: without one, or with one worn badly."""

    masked: int
    others: int


class CountRow(NamedTuple):
    """A line of the file: who passed between two moments, ns UTC."""

    line: int
    start: int
    end: int
    people: Kinds


class CountFigures(Struct, frozen=True, kw_only=True):
    """One side of the comparison. `rate` is None if nobody was judged; by hand there is no `unknown` or `interval`."""

    persons: int
    masked: int
    others: int
    unknown: int | None = None
    rate: float | None
    interval: Interval | None = None


class CountDifference(Struct, frozen=True, kw_only=True):
    """Published less by hand: of people as a share of those by hand, of rates as it is; None where one is missing."""

    persons: float | None
    rate: float | None


class Calibration(Struct, frozen=True, kw_only=True):
    """What was counted by hand beside the sum of the windows published meanwhile."""

    site: str
    zone: str
    windows: int
    by_hand: CountFigures
    published: CountFigures
    difference: CountDifference
    inside: bool | None
    """Whether the published interval holds the rate by hand; None where one of them is missing."""


def read_rows(file: Path, clock: tzinfo) -> list[CountRow]:
    """Return the lines of a file, in order of time; SettingsError names the line and what would be right.

    Times without an offset are by this clock.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.reader(opened)
            lines = [(reader.line_num, line) for line in reader if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _wrong(
            file, f"can't be read: {getattr(error, 'strerror', None) or 'it is no CSV file in UTF-8'}"
        ) from None
    if not lines or [name.strip() for name in lines[0][1]] != HEADING:
        got = ",".join(lines[0][1]) if lines else "nothing"
        raise _wrong(file, f"line 1 must be {','.join(HEADING)}, got {got!r}")
    rows = sorted((_row(file, at, line, clock) for at, line in lines[1:]), key=lambda row: row.start)
    if not rows:
        raise _wrong(file, "has no line of counts; write 2026-11-29T10:00,2026-11-29T11:00,212,97")
    for one, other in pairwise(rows):
        if other.start < one.end:
            raise _wrong(file, f"line {other.line} begins before line {one.line} ends")
    return rows


def _row(file: Path, line: int, fields: Sequence[str], clock: tzinfo) -> CountRow:
    if len(fields) != len(HEADING):
        raise _wrong(file, f"line {line} has {len(fields)} fields; there are {len(HEADING)}: {','.join(HEADING)}")
    start, end = (_moment(file, line, text.strip(), clock) for text in fields[:2])
    if start >= end:
        raise _wrong(file, f"line {line}: start {fields[0].strip()} is not before end {fields[1].strip()}")
    people = [_number(file, line, name, text.strip()) for name, text in zip(HEADING[2:], fields[2:], strict=True)]
    return CountRow(line, start, end, Kinds(*people))


def _moment(file: Path, line: int, text: str, clock: tzinfo) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(file, f"line {line}: {text!r} is no time; write 2026-11-29T10:00") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=clock)).timestamp()) * 1_000_000_000


def _number(file: Path, line: int, name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise _wrong(file, f"line {line}: {name} must be a number of people, got {text!r}")
    return int(text)


def windows_of(file: Path, rows: Sequence[CountRow], stored: Sequence[WindowV1], clock: tzinfo) -> list[WindowV1]:
    """Return the windows in which people were counted by hand, each whole; SettingsError if a line is no whole windows,
    or a window cannot be used.
    """
    found = []
    for row in rows:
        here = {one.start: one for one in stored if row.start < one.end and one.start < row.end}  # the last of each
        windows = [here[start] for start in sorted(here)]
        _check_tiles(file, row, windows, clock)
        found += windows
    for window in found:
        if (why := _unusable(window)) is not None:
            raise _wrong(file, f"the window from {_shown(window.start, clock)} {why}")
    return found


def _check_tiles(file: Path, row: CountRow, windows: Sequence[WindowV1], clock: tzinfo) -> None:
    asked = f"line {row.line}: from {_shown(row.start, clock)} to {_shown(row.end, clock)}"
    if not windows:
        raise _wrong(file, f"{asked} no window was published")
    borders = [windows[0].start, *(one.end for one in windows)]
    if (borders[0], borders[-1]) != (row.start, row.end):
        why = "people are counted from one border of windows to another; borders there are"
        raise _wrong(file, f"{asked}: {why} {', '.join(_shown(one, clock) for one in borders)}")
    for one, other in pairwise(windows):
        if one.end != other.start:
            raise _wrong(file, f"{asked}: no window was published from {_shown(one.end, clock)} on")


def _unusable(window: WindowV1) -> str | None:
    if window.persons is None or window.masked is None:
        return "has no figures of who wore a mask (too few people, or the site's profile)"
    if window.coverage is None or window.coverage < OBSERVED:
        return f"was observed for {window.coverage or 0:.0%} of its time; count while all cameras work"
    return None


def comparison(rows: Sequence[CountRow], windows: Sequence[WindowV1]) -> Calibration:
    """Return the counts of these lines beside what their windows add up to."""
    by_hand, published = _counted(rows), _published(_sum(windows))
    rate, interval, people = by_hand.rate, published.interval, by_hand.persons
    return Calibration(
        site=windows[0].site, zone=windows[0].zone, windows=len(windows), by_hand=by_hand, published=published,
        difference=CountDifference(
            persons=rounded(published.persons / people - 1) if people else None,
            rate=None if rate is None or published.rate is None else rounded(published.rate - rate),
        ),
        inside=None if rate is None or interval is None else interval[0] <= rate <= interval[1],
    )  # fmt: skip


def _counted(rows: Sequence[CountRow]) -> CountFigures:
    masked, others = (sum(row.people[kind] for row in rows) for kind in range(2))
    people = masked + others
    return CountFigures(persons=people, masked=masked, others=others, rate=rounded(masked / people) if people else None)


def _sum(windows: Sequence[WindowV1]) -> PeriodV1:
    """Return what the windows add up to, as `moretta stats` does."""
    tally = Tally(TimeRange(windows[0].start, windows[-1].end))
    for window in windows:
        tally.add(window)
    return tally.period(windows[0].site, windows[0].zone)


def _published(period: PeriodV1) -> CountFigures:
    return CountFigures(
        persons=period.persons or 0, masked=period.masked or 0, others=(period.unmasked or 0) + (period.incorrect or 0),
        unknown=period.unknown, rate=period.rate, interval=period.interval,
    )  # fmt: skip


async def compare(config: Path, site: str, file: Path, zone: str) -> Calibration:
    """Read the file and the windows published meanwhile; SettingsError if the user can mend what is wrong."""
    bus = await operator_bus(config)
    try:
        clock = _clock(site, zone, await counted_sites(bus))
        rows = read_rows(file, clock)
        stored = await _windows(bus.read(WINDOWS, since=rows[0].start, site=site, zone=zone))
    finally:
        await bus.close()
    return comparison(rows, windows_of(file, rows, stored, clock))


def _clock(site: str, zone: str, sites: dict[str, dict[str, str]]) -> ZoneInfo:
    """Return the clock of a site that aggregates answer for."""
    if not sites:
        raise SettingsError(COMMAND, [("", "nobody answers: no aggregate is connected to this NATS")])
    if site not in sites:
        why = f"no such site {site!r}; aggregate counts here for {', '.join(sorted(sites))}"
        raise SettingsError(COMMAND, [("SITE", why)])
    zones = sites[site]["zones"].split()
    if zone not in zones:
        raise SettingsError(COMMAND, [("--zone", f"no such zone {zone!r} at {site}; known are {', '.join(zones)}")])
    return ZoneInfo(sites[site]["timezone"])


async def _windows(stored: AsyncIterable[object]) -> list[WindowV1]:
    messages = [getattr(one, "message", None) async for one in stored]
    return [message for message in messages if isinstance(message, WindowV1)]


def _shown(at: int, clock: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at // 1_000_000_000, UTC).astimezone(clock):%Y-%m-%dT%H:%M:%S}"


def _wrong(file: Path, why: str) -> SettingsError:
    return SettingsError(file, [("", why)])
