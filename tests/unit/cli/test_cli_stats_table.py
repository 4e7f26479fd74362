"""What `moretta stats` prints, and which times its dates are."""

import csv
import io
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from golden import BY_TYPE
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from rich.console import Console
from windows import HOUR, MINUTE, decree, hidden, market_day, window

from operate.stats.stats import between, parse
from operate.stats.stats_table import as_csv, bar, table
from proto.stats import StatsReplyV1
from services.kernel.settings import SettingsError
from services.statistics.calendar import TimeRange
from services.statistics.columns import COLUMNS
from services.statistics.roll_ups import RollUp

PARIS = ZoneInfo("Europe/Paris")
DAY = 1_795_474_800_000_000_000
"""2026-11-24T00:00+01:00."""
AUTUMN = 1_792_879_200_000_000_000
"""2026-10-25T00:00+02:00, a day of 25 hours."""


def reply(windows, step="hour", span=None, zone="_site"):
    """The answer that aggregate would give."""
    windows = list(windows)
    span = span or TimeRange(windows[0].start, windows[-1].end)
    found = RollUp(span, step, PARIS, 20 * MINUTE, span.end)
    for one in windows:
        found.add(one)
    empty = StatsReplyV1(site="cannes", zone=zone, step=step, timezone="Europe/Paris", since=span.start, until=span.end)
    return structs.replace(empty, periods=found.periods("cannes", zone))


def text(answer, width=140, now=DAY + 366 * 24 * HOUR):
    """What the terminal shows, a line each; by default all is over."""
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        console.print(table(answer, now))
    return [line.rstrip() for line in captured.get().splitlines()]


def row(lines, start):
    """The only line that begins so."""
    (found,) = [line.strip() for line in lines if line.strip().startswith(start)]
    return " ".join(found.split())


def test_a_day_as_people_read_it():
    """Each hour with its rate, interval, people and coverage; gaps and suppression in words; notes below."""
    lines = text(reply(market_day(DAY), span=TimeRange(DAY, DAY + 24 * HOUR)))
    assert lines[0] == "Masks at cannes, the whole site, Tue 2026-11-24 (times of Europe/Paris)"
    assert row(lines, "03:00") == "03:00 to 04:00 – – – 100% too few people to show"
    assert row(lines, "12:00") == "12:00 to 13:00 – – – 0% GAP: no window published, 3 missing"
    assert row(lines, "11:00").endswith("67% 1 of 3 windows missing")
    assert row(lines, "17:00").endswith("50% a camera was down")
    assert row(lines, "07:00") == "07:00 to 08:00 ████████▌· 85% 79% to 89% 216 100%"
    assert lines[-1] == "Windows that are not shown are in no figure here, in no sum and in no rate."
    assert max(map(len, lines)) <= 120


def test_an_hour_and_a_day_that_are_not_over_say_so():
    """They bear their whole span. A window that is published is final, also of a film whose clock is ahead."""
    now = DAY + 7 * HOUR + 42 * MINUTE
    windows = [one for one in market_day(DAY) if one.end <= now]
    hours, film = (text(reply(windows, step, TimeRange(DAY, DAY + 8 * HOUR)), now=now) for step in ("hour", "window"))
    assert "so far" in row(hours, "07:00 to 08:00")
    assert "so far" not in row(hours, "06:00 to 07:00")
    assert not any("so far" in line for line in film)
    whole = text(reply(windows, "day", TimeRange(DAY, DAY + 24 * HOUR)), now=now)
    assert "so far" in row(whole, "Tue 2026-11-24")


@pytest.mark.parametrize("step", ["window", "hour", "day", "total"])
def test_no_figure_is_cut_on_a_narrow_terminal(step):
    """With 80 columns every figure of several days is whole: rates, intervals, people, coverage, times."""
    windows = [*market_day(DAY), *market_day(DAY + 24 * HOUR)]
    answer = reply(windows, step, TimeRange(DAY, DAY + 48 * HOUR))
    lines = text(answer, width=80)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    for period in answer.periods:
        if period.interval is not None:
            low, high = period.interval
            wanted = f"{period.rate:.0%} {low:.0%} to {high:.0%} {period.persons} {period.coverage:.0%}"
            assert any(wanted in " ".join(line.split()) for line in lines), (wanted, lines)


def test_hours_of_several_days_stand_below_their_day():
    """Each day is named once, above its hours; days and a single line name theirs."""
    lines = [
        line.strip() for line in text(reply(market_day(DAY), span=TimeRange(DAY - HOUR, DAY + 24 * HOUR)), width=80)
    ]
    days = [line for line in lines if line.startswith(("Mon", "Tue"))]
    assert days == ["Mon 2026-11-23", "Tue 2026-11-24"]
    assert lines[lines.index("Mon 2026-11-23") + 1].startswith("23:00 to 00:00")


def test_gaps_that_follow_each_other_are_one_line():
    """A long outage by window is one line, and what was published around it stays a line each."""
    day = [one for one in market_day(DAY) if one.start < DAY + 9 * HOUR or one.start >= DAY + 11 * HOUR]
    lines = text(reply(day, step="window", span=TimeRange(DAY + 8 * HOUR, DAY + 12 * HOUR)))
    assert row(lines, "09:00") == "09:00 to 11:00 – – – 0% GAP: no window published, 6 missing"
    assert [line.split()[0] for line in lines if " to " in line][1:5] == ["08:00", "08:20", "08:40", "09:00"]


def test_an_interval_that_is_narrow_has_a_decimal():
    """Of a month: `68% to 68%` would say that nothing is uncertain."""
    wide, narrow = (text(reply([window(DAY, masked, (10, 0, 0))])) for masked in (40, 99_990))
    assert row(wide, "Tue 2026-11-24 00:00").split("100%")[0].strip().endswith("80% 67% to 89% 50")
    assert "100.0%" in row(narrow, "Tue 2026-11-24 00:00")


def test_how_few_people_are_not_shown():
    """As the profile of the windows says, or the site's settings."""
    lines = text(reply([hidden(DAY, profile="stats-only"), window(DAY + HOUR, profile="stats-only")]), width=240)
    few = "fewer than 10 people passed, or than `suppress_below` says (profile stats-only), or nothing was observed."
    nowhere = "Windows that are not shown are in no figure here, in no sum and in no rate"
    assert lines[-1] == f"{nowhere}: in each (20 min) {few}"


def test_what_a_profile_withholds_is_said():
    """Figures that are not published are dashes, explained, and a mean of rates is called an approximation."""
    answer = reply([decree(DAY, 30, 0.5), decree(DAY + 20 * MINUTE, 90, 0.9), decree(DAY + HOUR, 40, 0.7)])
    lines = text(answer)
    assert row(lines, "00:00") == "00:00 to 01:00 ████████·· 80% – 120 – 1 of 3 windows missing"
    assert "–: not published under this profile (fr-2021-269)." in lines
    assert "Rates over several windows are means weighted by people: an approximation." in lines


@pytest.mark.parametrize(
    ("windows", "told"),
    [
        ([window(DAY, 0, (0, 0, 5))], "nobody judged – 5 100%"),
        ([window(DAY, 0, (0, 0, 0))], "nobody – 0 100%"),
        ([window(DAY), hidden(DAY + 20 * MINUTE)], "80% 49% to 94% 11 100% 1 of 2 windows not shown"),
        ([hidden(DAY, "nothing-observed", coverage=0.0)], "– – – 0% nothing observed"),
        ([hidden(DAY, "not-under-this-profile", coverage=None)], "– – – – not published under this profile"),
        ([window(DAY, gaps=["bus-restarted", "paused"])], "counting was paused, the system was restarted"),
        ([window(DAY, gaps=["paused"], profile="lab")], "counting was paused, profile lab: a trial"),
    ],
)
def test_what_there_is_to_know(windows, told):
    """In words that need no manual."""
    assert row(text(reply(windows, "total")), "Tue").endswith(told)


def test_a_film_that_is_over_is_a_camera_that_is_down():
    """Said below the table where a camera was down, and nowhere else."""
    note = "a camera was down: no picture came from it. A recorded film that is over counts as down."
    assert note in text(reply([window(DAY, coverage=0.25, gaps=["started-late", "camera-down"])]))
    assert note not in text(reply([window(DAY, coverage=0.25, gaps=["started-late"])]))


@pytest.mark.parametrize(
    ("step", "span", "when"),
    [
        ("day", TimeRange(AUTUMN, AUTUMN + 25 * HOUR), ["Sun 2026-10-25"]),
        ("total", TimeRange(AUTUMN, AUTUMN + 49 * HOUR), ["Sun 2026-10-25 to Mon 2026-10-26"]),
        ("total", TimeRange(AUTUMN + HOUR, AUTUMN + 26 * HOUR), ["Sun 2026-10-25 01:00 to 2026-10-26 01:00 (+0200)"]),
        ("hour", TimeRange(AUTUMN + 23 * HOUR, AUTUMN + 25 * HOUR), ["22:00 to 23:00", "23:00 to 00:00"]),
        (
            "hour",
            TimeRange(AUTUMN + 20 * HOUR, AUTUMN + 26 * HOUR),
            ["23:00 to 00:00", "00:00 to 01:00"],
        ),
        (
            "hour",
            TimeRange(AUTUMN + 2 * HOUR, AUTUMN + 4 * HOUR),
            ["02:00 to 02:00 (+0200)", "02:00 to 03:00 (+0100)"],
        ),
    ],
)  # fmt: skip
def test_when_it_was(step, span, when):
    """Whole days by their date, else the time; where clocks change in between, the offset tells the hours apart."""
    windows = (window(at) for at in range(span.start, span.end, 20 * MINUTE))
    lines = [" ".join(line.split()) for line in text(reply(windows, step, span))]
    for one in when:
        assert [line for line in lines if line.startswith(f"{one} █")], (one, lines)


def test_csv_is_stable():
    """The header, ISO times with offset, shares, lists by spaces; what is not published is empty, not 0."""
    answer = reply([window(AUTUMN + 2 * HOUR, gaps=["paused", "frames-lost"]), hidden(AUTUMN + 3 * HOUR)])
    first, second = list(csv.DictReader(io.StringIO(as_csv(answer))))
    assert tuple(first) == COLUMNS
    assert as_csv(answer).splitlines()[0] == (
        "site,zone,start,end,persons,masked,unmasked,incorrect,unknown,rate,interval_low,interval_high,coverage,"
        "windows_expected,windows_published,windows_suppressed,suppressed,gaps,models,profiles,adjusted,"
        "sampling_interval_low,sampling_interval_high"
    )
    assert (first["start"], first["end"]) == ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00")
    assert (first["persons"], first["rate"], first["gaps"], first["adjusted"]) == (
        "11",
        "0.8",
        "paused frames-lost",
        "false",
    )
    assert float(first["interval_low"]) < 0.8 < float(first["interval_high"])
    assert [second[name] for name in ("persons", "rate", "interval_low", "suppressed")] == ["", "", "", "small-count"]


def test_csv_with_semicolons_has_decimal_commas():
    """With `;` a spreadsheet of a country with a decimal comma reads the same figures; no other cell is changed."""
    answer = reply([window(DAY, gaps=["paused", "frames-lost"]), hidden(DAY + HOUR)])
    expected = list(csv.DictReader(io.StringIO(as_csv(answer))))
    found = list(csv.DictReader(io.StringIO(as_csv(answer, ";")), delimiter=";"))
    decimals = {"rate", "interval_low", "interval_high", "coverage", "sampling_interval_low", "sampling_interval_high"}
    assert (found[0]["rate"], found[1]["rate"], found[0]["models"]) == ("0,8", "", expected[0]["models"])
    commas = [
        {name: cell.replace(".", ",") if name in decimals else cell for name, cell in row.items()} for row in expected
    ]
    assert found == commas


def test_every_figure_of_the_answer_is_in_the_csv():
    """A field that is added to the answer is added to the CSV."""
    fields = set(BY_TYPE[StatsReplyV1].periods[0].__struct_fields__)
    ends = {f"{name}_{end}" for name in ("interval", "sampling_interval") for end in ("low", "high")}
    assert fields - {"interval", "sampling_interval"} == set(COLUMNS) - ends
    assert ends < set(COLUMNS)


@given(share=st.none() | st.floats(0, 1))
def test_a_bar_is_as_long_as_the_rate(share):
    """Ten characters, to an eighth; nothing where there is no rate."""
    drawn = bar(share)
    assert len(drawn) == (0 if share is None else 10)
    eighths = sum(" ▏▎▍▌▋▊▉█".index(mark) for mark in drawn if mark != "·")
    assert share is None or eighths == round(share * 80)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2026-11-24", "2026-11-24T00:00+01:00", "2026-11-25T00:00+01:00"),
        ("2026-10-25", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("2026-11-24T08:30", "2026-11-24T08:30+01:00", "2026-11-24T08:30+01:00"),
        ("2026-10-25T02:30", "2026-10-25T02:30+02:00", "2026-10-25T02:30+01:00"),
        ("2026-03-29T02:30", "2026-03-29T01:30+01:00", "2026-03-29T03:30+02:00"),
        ("20261124", "2026-11-24T00:00+01:00", "2026-11-25T00:00+01:00"),
        ("2026-11-24T08:30Z", "2026-11-24T09:30+01:00", "2026-11-24T09:30+01:00"),
        ("2026-11-24T08:30:00-05:00", "2026-11-24T13:30Z", "2026-11-24T13:30Z"),
    ],
)
def test_dates_and_times(text, since, until):
    """By the clock of the site; a bare date is all of that day, a repeated or skipped time all of it."""
    for option, wanted in (("--from", since), ("--to", until)):
        assert parse(option, text, PARIS) == round(datetime.fromisoformat(wanted).timestamp()) * 10**9


@given(day=st.dates(date(1971, 1, 1), date(9998, 1, 1)))
def test_a_day_is_at_least_as_long_as_its_hours(day):
    """From a date to the same date is one day, wherever it is in the calendar."""
    length = parse("--to", day.isoformat(), PARIS) - parse("--from", day.isoformat(), PARIS)
    assert length in {hours * HOUR for hours in (23, 24, 25)}


@pytest.mark.parametrize(
    "text", ["24.11.2026", "2026-13-01", "2026-11-31T10:00", "today", "", "0001-01-01", "9999-12-31", "1e9", "2026-W48"]
)
def test_what_is_no_date(text):
    """One line with the option, what was given and what would be right."""
    with pytest.raises(SettingsError) as error:
        parse("--from", text, PARIS)
    assert str(error.value) == (
        f"moretta stats: --from: {text!r} is no date or time; write 2026-11-24 or 2026-11-24T08:00, "
        "by the clock of the site"
    )


@pytest.mark.parametrize(
    ("month", "dates"),
    [
        ("2026-11", ("2026-11-01", "2026-11-30")),
        ("2028-02", ("2028-02-01", "2028-02-29")),
        (None, ("2026-11-24", None)),
    ],
)
def test_a_month_is_its_first_and_last_day(month: str | None, dates: tuple[str, str | None]):
    """In leap years, too; without it the dates are what they are."""
    assert between(month, None if month else "2026-11-24", None) == dates


@pytest.mark.parametrize("month", ["2026-13", "november", "2026", "1969-12", "2026-11-01", ""])
def test_what_is_no_month(month: str):
    """It is named, with what is one; beside dates it says nothing that they don't."""
    with pytest.raises(SettingsError, match=f"--month: '{month}' is no month; write 2026-11"):
        between(month, None, None)
    with pytest.raises(SettingsError, match="--month: goes without --from and --to"):
        between("2026-11", None, "2026-11-03")
