"""The file of `moretta calibrate`, and which windows belong to its lines."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from messages import MINUTE, SECOND
from msgspec import structs
from windows import decree, hidden, window

from operate.calibrating import Row, calibration, read_rows, windows_of
from proto.model_errors import ModelErrors
from services.kernel.settings import SettingsError
from services.sites.calibration import Kinds

TEN = round(datetime(2026, 11, 28, 10, tzinfo=UTC).timestamp()) * SECOND
LENGTH = 20 * MINUTE
USUAL = ModelErrors(
    sensitivity=0.97, sensitivity_limits=(0.96, 0.98), specificity=0.99, specificity_limits=(0.95, 0.997),
    recall_ratio=0.99, recall_ratio_limits=(0.69, 1.41), overdispersion=1.2, sources=6,
)  # fmt: skip
SHA = "ab" * 32
HEADING = "start,end,masked,others\n"


def measured(number, **changes):
    """Return the window so many after ten o'clock, of a model whose errors are known."""
    given = {"model_errors": USUAL, "model_sha256": SHA, "coverage": 1.0, **changes}
    return window(TEN + number * LENGTH, 60, (30, 5, 5), **given)


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
        Row(4, TEN, TEN + 3 * LENGTH, Kinds(5, 0)),
        Row(2, TEN + 6 * LENGTH, TEN + 7 * LENGTH, Kinds(3, 4)),
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


HOUR = [Row(2, TEN, TEN + 3 * LENGTH, Kinds(150, 90))]


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
        ([measured(n, model_errors=None) for n in range(3)], "10:00:00 has no errors of its model"),
        ([measured(0), measured(1), measured(2, model_sha256="cd" * 32)], "10:40:00 was analysed by another model"),
        (
            [measured(0), measured(1), measured(2, model_errors=structs.replace(USUAL, counted=9))],
            "10:40:00 is under another calibration than the first one",
        ),
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


def test_what_follows():
    """The sums of both, the site's new errors, and lines that the settings take."""
    found = calibration("market", HOUR, [measured(n) for n in range(3)], UTC)
    assert (found.counted, found.judged, found.unknown, found.windows) == (Kinds(150, 90), Kinds(180, 105), 15, 3)
    assert found.settings.day == date(2026, 11, 28)
    assert found.settings.counted == found.after.counted == 240
    assert found.settings.recall_ratio == found.after.recall_ratio != USUAL.recall_ratio
    low, high = found.after.recall_ratio_limits
    assert found.lines().splitlines() == [
        "calibration:",
        f'  model_sha256: "{SHA}"',
        '  day: "2026-11-28"',
        "  counted: 240",
        f"  recall_ratio: {found.after.recall_ratio}",
        f"  recall_ratio_limits: [{low}, {high}]",
    ]
