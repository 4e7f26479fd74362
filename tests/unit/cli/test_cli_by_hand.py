"""The file of `moretta calibrate`, which windows belong to its lines, and how both compare."""

from datetime import UTC, datetime
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from messages import MINUTE, SECOND
from msgspec import structs
from rich.console import Console
from windows import decree, hidden, window

from operate.stats.calibrate import CountDifference, CountFigures, CountRow, Kinds, comparison, read_rows, windows_of
from operate.stats.calibrate_table import table
from proto.model_errors import ModelErrors
from services.kernel.settings import SettingsError
from services.statistics.figures import rates
from services.statistics.rate_interval import Judged

TEN = round(datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp()) * SECOND
LENGTH = 20 * MINUTE
USUAL = ModelErrors(
    sensitivity=0.97, sensitivity_limits=(0.96, 0.98), specificity=0.99, specificity_limits=(0.95, 0.997),
    recall_ratio=0.99, recall_ratio_limits=(0.69, 1.41), overdispersion=1.2, sources=6,
)  # fmt: skip
HEADING = "start,end,masked,others\n"


def measured(number, **changes):
    """Return the window so many after ten o'clock, of a model whose errors are known."""
    return window(TEN + number * LENGTH, 60, (30, 5, 5), **{"model_errors": USUAL, **changes})


def refused(file, text, clock=UTC):
    """Return why a file of counts is refused."""
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        read_rows(file, clock)
    return str(error.value)


def test_lines_are_read_by_the_sites_clock(tmp_path):
    """With an offset they are what they say; blank lines are nothing; the earliest comes first."""
    file = tmp_path / "count.csv"
    file.write_text(
        f"\ufeff{HEADING}2026-11-28T12:00:00Z,2026-11-28T12:20:00Z, 3 ,4\n\n2026-11-28T11:00,2026-11-28T12:00,5,0\n"
    )
    assert read_rows(file, ZoneInfo("Europe/Paris")) == [
        CountRow(4, TEN, TEN + 3 * LENGTH, Kinds(5, 0)),
        CountRow(2, TEN + 6 * LENGTH, TEN + 7 * LENGTH, Kinds(3, 4)),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1 must be start,end,masked,others, got 'nothing'"),
        ("start;end;masked;others\n", "line 1 must be start,end,masked,others, got 'start;end;masked;others'"),
        (HEADING, "has no line of counts; write 2026-11-29T10:00,2026-11-29T11:00,212,97"),
        (HEADING + "2026-11-28T10:00,2026-11-28T11:00,5\n", "line 2 has 3 fields; there are 4"),
        (HEADING + "ten,2026-11-28T11:00,5,5\n", "line 2: 'ten' is no time; write 2026-11-29T10:00"),
        (HEADING + "2026-11-28T11:00,2026-11-28T10:00,5,5\n", "line 2: start 2026-11-28T11:00 is not before end"),
        (HEADING + "2026-11-28T10:00,2026-11-28T11:00,-5,5\n", "line 2: masked must be a number of people, got '-5'"),
        (
            HEADING + "2026-11-28T10:00,2026-11-28T11:00,5,many\n",
            "line 2: others must be a number of people, got 'many'",
        ),
        (
            HEADING + "2026-11-28T10:00,2026-11-28T11:00,5,5\n2026-11-28T10:40,2026-11-28T11:20,5,5\n",
            "line 3 begins before line 2 ends",
        ),
    ],
)
def test_each_mistake_names_its_line(tmp_path, text, why):
    """And what would be right."""
    assert f"count.csv: {why}" in refused(tmp_path / "count.csv", text)


def test_a_file_that_cannot_be_read(tmp_path):
    """It is not there, or no text."""
    with pytest.raises(SettingsError, match="can't be read: No such file"):
        read_rows(tmp_path / "none.csv", UTC)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"can't be read: it is no CSV file in UTF-8"):
        read_rows(tmp_path / "b.csv", UTC)


HOUR = [CountRow(2, TEN, TEN + 3 * LENGTH, Kinds(150, 90))]


def test_the_windows_of_a_line(tmp_path):
    """Whole windows alone; of one that was published twice the last; others are left."""
    twice = measured(1, persons=7)
    stored = [measured(-1), measured(0), twice, measured(1), measured(2), measured(3)]
    assert windows_of(tmp_path, HOUR, stored, UTC) == [measured(0), measured(1), measured(2)]


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        ([], "from 2026-11-28T10:00:00 to 2026-11-28T11:00:00 no window was published"),
        ([measured(n) for n in (0, 2)], "no window was published from 2026-11-28T10:20:00 on"),
        (
            [measured(n) for n in (0, 1)],
            "borders there are 2026-11-28T10:00:00, 2026-11-28T10:20:00, 2026-11-28T10:40:00",
        ),
        ([measured(0), hidden(TEN + LENGTH), measured(2)], "10:20:00 has no figures of who wore a mask"),
        ([measured(0), measured(1, coverage=0.62), measured(2)], "10:20:00 was observed for 62% of its time"),
    ],
)
def test_windows_that_cannot_be_used(tmp_path, stored, why):
    """Each says which, and why."""
    with pytest.raises(SettingsError) as error:
        windows_of(tmp_path / "count.csv", HOUR, stored, UTC)
    assert why in str(error.value)


def test_a_window_of_the_decree_has_no_figures(tmp_path):
    """Its profile publishes no verdicts."""
    stored = [decree(TEN + n * LENGTH, 120, 0.7) for n in range(3)]
    with pytest.raises(SettingsError, match="has no figures of who wore a mask"):
        windows_of(tmp_path / "count.csv", HOUR, stored, UTC)


def text_of(found):
    """Return the table as a terminal of 80 letters shows it."""
    console = Console(width=80, file=StringIO())
    console.print(table(found))
    return console.file.getvalue()


def test_both_sides_are_sums():
    """Of the lines, and of their windows as `moretta stats` adds them; the difference is published less by hand."""
    found = comparison(HOUR, [measured(n) for n in range(3)])
    assert (found.site, found.zone, found.windows) == ("cannes", "_site", 3)
    assert found.by_hand == CountFigures(persons=240, masked=150, others=90, rate=0.625)
    told = rates(180, [Judged(285, USUAL)])
    assert found.published == CountFigures(
        persons=300, masked=180, others=105, unknown=15, rate=0.632, interval=told.interval
    )
    assert found.difference == CountDifference(persons=0.25, rate=0.007)
    assert found.inside is True


def test_windows_of_several_models_are_summed():
    """Each model's people with its own errors, or with none where nobody measured it."""
    windows = [measured(0), measured(1, model_errors=None), measured(2, model_errors=structs.replace(USUAL, sources=9))]
    groups = [Judged(95, one.model_errors) for one in windows]
    assert comparison(HOUR, windows).published.interval == rates(180, groups).interval


@pytest.mark.parametrize(("masked", "inside"), [(0, False), (129, False), (130, True), (178, True), (179, False)])
def test_whether_the_interval_holds_the_rate_by_hand(masked, inside):
    """The published interval, against the counted rate; the table says it in words."""
    rows = [CountRow(2, TEN, TEN + 3 * LENGTH, Kinds(masked, 240 - masked))]
    found = comparison(rows, [measured(n) for n in range(3)])
    assert found.inside is inside
    assert f"rate by hand is {'inside' if inside else 'outside'}" in text_of(found)


def test_the_table():
    """Each figure by hand beside the published one."""
    shown = text_of(comparison(HOUR, [measured(n) for n in range(3)]))
    lines = [line.split("│")[1:-1] for line in shown.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line] for line in lines]
    assert cells[:5] == [
        ["people (passages)", "240", "300", "+25.0%"],
        ["with a mask", "150", "180", ""],
        ["others", "90", "105", ""],
        ["not judged", "–", "15", ""],
        ["rate", "62.5%", "63.2%", "+0.7 points"],
    ]
    assert shown.lstrip().startswith("cannes, the whole site: 3 windows counted by hand")
    fish = structs.replace(measured(0), zone="fish")
    assert "cannes, zone fish: 1 window counted by hand" in text_of(comparison(HOUR, [fish]))


def test_nobody_counted_or_judged():
    """There is no rate to compare, and no share of nobody."""
    nobody = [CountRow(2, TEN, TEN + LENGTH, Kinds(0, 0))]
    found = comparison(nobody, [measured(0)])
    assert (found.by_hand.rate, found.difference, found.inside) == (
        None,
        CountDifference(persons=None, rate=None),
        None,
    )
    unjudged = window(TEN, 0, (0, 0, 7))
    found = comparison([CountRow(2, TEN, TEN + LENGTH, Kinds(4, 3))], [unjudged])
    assert (found.published.rate, found.published.interval, found.inside) == (None, None, None)
    assert found.difference == CountDifference(persons=0.0, rate=None)
    assert "rate by hand" not in text_of(found)
