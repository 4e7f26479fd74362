"""The rows of counting in the capacity table: bench.counting_rows."""

from msgspec import structs

from bench.counting_rows import scenario_rows
from bench.counts_table import Summary

FAIR = Summary(
    scenario="sparse", runs=20, persons=800, counted=810, persons_error=-0.02, persons_worst=0.1,
    rate_error=1.5, rate_worst=-4.0, windows=2_000, covered=0.94,
)  # fmt: skip


def verdicts(one: Summary) -> list[bool | None]:
    return [row.met for row in scenario_rows(one)]


def test_each_target_is_judged_by_itself():
    """People too few or too many, a rate that is off, intervals that hold too seldom or too often."""
    assert verdicts(FAIR) == [True, True, True]
    for change, wanted in [
        ({"persons_error": -0.04}, [False, True, True]),
        ({"rate_error": 2.1}, [True, False, True]),
        ({"covered": 0.92}, [True, True, False]),
        ({"covered": 0.98}, [True, True, False]),
    ]:
        assert verdicts(structs.replace(FAIR, **change)) == wanted


def test_what_cannot_be_judged_has_no_row():
    """Too few windows, and no run with enough people."""
    assert verdicts(structs.replace(FAIR, windows=60, rate_error=None)) == [True]
