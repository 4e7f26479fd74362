"""A counted film as `moretta count --csv` prints it: operate.box.count."""

import csv
import io

import pytest
from golden import BY_TYPE
from msgspec import structs
from windows import SECOND, window

from operate.box.count import FilmCount
from operate.stats.stats_table import as_csv
from proto.sightings import SightingsV1
from services.statistics.columns import COLUMNS

T = 1_795_953_600 * SECOND
"""2026-11-29 12:00 UTC."""
FIFTH = SECOND // 5


def counted(seconds: list[int]) -> FilmCount:
    """A film that was analysed in these of its seconds, and one window of three people, most of which had no film."""
    tally = FilmCount()
    for second in seconds:
        for at in range(T + second * SECOND, T + (second + 1) * SECOND, FIFTH):
            tally.sightings(structs.replace(BY_TYPE[SightingsV1], at=at, period=FIFTH))
    around = {
        "coverage": 0.01,
        "gaps": ["frames-lost"] * (seconds != list(range(10))) + ["camera-down", "started-late"],
    }
    tally.window(structs.replace(window(T - SECOND, 2, (1, 0, 0)), **around))
    return tally


@pytest.mark.parametrize(
    ("seconds", "coverage", "gaps"), [(range(10), "1.0", ""), ([0, 1, 2, 8, 9], "0.54", "frames-lost")]
)
def test_a_film_is_one_line_in_the_columns_of_stats(seconds, coverage: str, gaps: str):
    """Its people, and the share of the film that was observed: not of the hour in which it was counted."""
    answer = as_csv(counted(list(seconds)).reply())
    (row,) = csv.DictReader(io.StringIO(answer))
    assert tuple(row) == COLUMNS
    assert (row["persons"], row["masked"], row["unmasked"], row["rate"]) == ("3", "2", "1", "0.667")
    assert (row["start"], row["end"]) == ("2026-11-29T12:00:00+00:00", "2026-11-29T12:00:10+00:00")
    assert (row["coverage"], row["gaps"]) == (coverage, gaps)


def test_a_film_without_a_picture_is_a_header():
    """No line of zeros for what was not seen."""
    assert as_csv(FilmCount().reply()).splitlines() == [",".join(COLUMNS)]
