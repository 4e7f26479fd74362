"""`moretta stats`: asks for the published figures of a site over time."""

import sys
import time
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from msgspec import structs
from rich.console import Console

from operate.orders import ANSWER_S, checked, counted_sites, operator_bus, site_of
from operate.stats.stats_table import as_csv, table
from proto.codec import as_json
from proto.stats import StatsReplyV1, StatsRequestV1, Step
from proto.subjects import STATS
from services.bus import Bus, Failed, NoWorkers
from services.kernel.settings import SettingsError
from services.statistics.calendar import day_start, instant
from services.statistics.columns import Separator
from services.statistics.roll_ups import MAX_PERIODS

_COMMAND = "moretta stats"
_FIRST, _LAST = date(1970, 1, 2), date(9998, 12, 31)
_OPTIONS = {"zone": "--zone", "since": "--from", "until": "--to", "step": "--step"}

Form = Literal["table", "csv", "json"]
"""What is printed."""


class NoStatsError(Exception):
    """There is no answer, and the user made no mistake; the text is one line that says why."""


def parse(option: str, text: str, zone: tzinfo) -> int:
    """Return the instant, ns UTC, of a date or a time by the clock of the zone; SettingsError if the text is neither.

    A bare date is the whole day: its first instant for `--from`, its end for `--to`. If the clock repeats a time, it is
    the first one for `--from` and the second for `--to`. If the clock skips a time, it is read by the clock before the
    change and the clock after it, so that no range is turned round.
    """
    end = option == "--to"
    try:
        if (day := _day(text)) is not None:
            found = day_start(_known(day) + timedelta(days=end), zone)
        else:
            moment = datetime.fromisoformat(text)
            _known(moment.date())
            both = [instant(moment if moment.tzinfo else moment.replace(tzinfo=zone, fold=fold)) for fold in (0, 1)]
            found = max(both) if end else min(both)
    except ValueError:
        why = f"{text!r} is no date or time; write 2026-11-24 or 2026-11-24T08:00, by the clock of the site"
        raise SettingsError(_COMMAND, [(option, why)]) from None
    return found


def _day(text: str) -> date | None:
    """Return a bare date, None if the text is something else; ValueError for ISO 8601's weeks, which are no days."""
    if "W" in text.upper():
        raise ValueError(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def between(month: str | None, since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """Return what `--from` and `--to` say, or the first and the last day of a month in their place."""
    if month is None:
        return since, until
    if since is not None or until is not None:
        raise SettingsError(_COMMAND, [("--month", "goes without --from and --to, for which it is short")])
    try:
        first = _known(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date())
    except ValueError:
        raise SettingsError(_COMMAND, [("--month", f"{month!r} is no month; write 2026-11")]) from None
    return f"{first}", f"{first.replace(day=monthrange(first.year, first.month)[1])}"


def _known(day: date) -> date:
    if not _FIRST <= day <= _LAST:
        raise ValueError(day)
    return day


async def ask(
    file: Path, site: str | None, zone: str, step: Step, since: str | None, until: str | None
) -> StatsReplyV1:
    """Return the answer; SettingsError if the user can mend the problem, else NoStatsError.

    Without a site the answer is about the only one, and without dates about today. Dates are by the clock of the site,
    which only an answer tells. So with dates, a first question asks for the clock.
    """
    for option, text in (("--from", since), ("--to", until)):
        if text is not None:
            parse(option, text, UTC)  # a mistake is told before anything is asked
    question = checked(_COMMAND, StatsRequestV1(site=site or "site", zone=zone, step=step))
    bus = await operator_bus(file)
    try:
        question = structs.replace(question, site=await site_of(bus, _COMMAND, site))
        if since is not None or until is not None:
            today = await _answer(bus, StatsRequestV1(site=question.site, step="total"))
            question = _between(question, today, since, until)
        return _published(await _answer(bus, question))
    finally:
        await bus.close()


def _between(question: StatsRequestV1, today: StatsReplyV1, since: str | None, until: str | None) -> StatsRequestV1:
    clock = ZoneInfo(today.timezone)
    start = today.since if since is None else parse("--from", since, clock)
    end = today.until if until is None else parse("--to", until, clock)
    if start >= end:
        why = f"{since or 'today'} is not before --to {until or 'today'}, which is the last day or the time of the end"
        raise SettingsError(_COMMAND, [("--from", why)])
    return structs.replace(question, since=start, until=end)


async def _answer(bus: Bus, question: StatsRequestV1) -> StatsReplyV1:
    try:
        reply: Any = await bus.request(STATS, question, timeout=ANSWER_S)
    except NoWorkers:
        raise await _nobody(bus, question.site) from None
    except TimeoutError:
        who = "is aggregate well, and are user and password an operator's, a subscriber's or notify's?"
        raise NoStatsError(f"{_COMMAND}: no answer in {ANSWER_S:g} s; {who}") from None
    except Failed as error:
        raise NoStatsError(f"{_COMMAND}: aggregate could not answer: {error.why}") from None
    assert isinstance(reply, StatsReplyV1)
    if reply.error is not None:
        raise _refused(reply, await counted_sites(bus) if reply.error == "unknown-zone" else {})
    return reply


async def _nobody(bus: Bus, site: str) -> Exception:
    """Return the error if no aggregate answers for a site: aggregates say for which other sites they answer."""
    sites = sorted(await counted_sites(bus))
    if not sites:
        return NoStatsError(f"{_COMMAND}: nobody answers: no aggregate is connected to this NATS")
    why = f"no such site {site!r}; aggregate counts here for {', '.join(sites)}"
    return SettingsError(_COMMAND, [("SITE", why)])


def _refused(reply: StatsReplyV1, sites: dict[str, dict[str, str]]) -> Exception:
    option = _OPTIONS.get(reply.path or "", "")
    zones = sites.get(reply.site, {}).get("zones", "").split()
    known = f"; known are {', '.join(zones)}" if zones else ""
    why = {
        "unknown-zone": f"no such zone {reply.zone!r} at {reply.site}, and nothing of it was published{known}",
        "not-under-this-profile": f"{reply.zone!r} is not published under this profile, the whole site is",
        "empty-range": "ends before it begins",
        "too-many-periods": f"more than {MAX_PERIODS} periods by {reply.step}; ask for less time or a coarser step",
        "too-slow": "more windows than can be read in time; ask for less time",
    }.get(reply.error or "")
    if why is None:
        return NoStatsError(f"{_COMMAND}: aggregate cannot read what was published at the moment: {reply.error}")
    return SettingsError(_COMMAND, [(option, why)])


def _published(reply: StatsReplyV1) -> StatsReplyV1:
    """Return the answer; NoStatsError if nothing was published in it."""
    if not any(period.windows_published for period in reply.periods):
        raise NoStatsError(f"{_COMMAND}: nothing was published of {reply.site}, zone {reply.zone}, in that time")
    return reply


def charter(path: Path | None) -> Callable[[StatsReplyV1], None]:
    """Return a function that draws an answer into a file, or does nothing without one; SettingsError if it can't."""
    if path is None:
        return lambda _reply: None
    if path.suffix.lower() != ".png" or not path.parent.is_dir():
        raise SettingsError(_COMMAND, [("--chart", f"{str(path)!r} must be a .png file in a folder that is there")])
    try:
        from operate.stats.stats_chart import chart
    except ModuleNotFoundError as error:
        why = f"needs {error.name}; install it with: pip install 'moretta[eval]'"
        raise SettingsError(_COMMAND, [("--chart", why)]) from error
    return lambda reply: chart(reply, path)


def check_separator(command: str, sep: Separator, *, is_csv: bool, option: str) -> None:
    """Raise SettingsError if a separator is given for what has none; `option` is what asks `command` for CSV."""
    if sep != "," and not is_csv:
        raise SettingsError(command, [("--sep", f"{sep!r} is for CSV alone; give {option}, too")])


def shown(reply: StatsReplyV1, form: Form, sep: Separator = ",") -> None:
    """Print an answer; the separator is of CSV alone."""
    if form == "json":
        print(as_json(reply).decode())
    elif form == "csv":
        sys.stdout.write(as_csv(reply, sep))
    else:
        Console().print(table(reply, time.time_ns()))
