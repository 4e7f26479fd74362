"""The rows of counting in the capacity table: bench.counting_rows."""

from pathlib import Path

from msgspec import structs

from bench import counting_rows
from bench.counting_rows import commit_seed, counts, intervals, scenario_rows
from bench.counts import Counted
from bench.counts_table import Summary
from bench.rows import Bench, Plan

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


def run_of(scenario: str, seed: int) -> Counted:
    return Counted(
        scenario=scenario, seed=seed, persons=100, masked=60, counted=101, counted_masked=60, judged=100,
        windows=3, covered=3 - (seed % 7 == 0),
    )  # fmt: skip


def bench_with(monkeypatch, **plan) -> tuple[Bench, list]:
    """A bench whose simulations are made up; and what was asked of them."""
    asked = []

    def count_all(scenarios, seeds, window_s, told):
        asked.append(([(name, scenario.seed) for name, scenario in scenarios], seeds, window_s))
        told(1.0)
        return [run_of(name, number) for name, _ in scenarios for number in range(seeds)]

    monkeypatch.setattr(counting_rows, "count_all", count_all)
    return Bench(Path(), Plan(**plan), lambda what, done: None), asked


async def test_every_scenario_is_counted_with_its_seeds(monkeypatch):
    """Three scenarios, each with a row of people and one of rates; too few windows for one of intervals."""
    bench, asked = bench_with(monkeypatch, seeds=20)
    rows = await counts(bench)
    assert [(name, seeds) for names, seeds, _ in asked for name, _ in names] == [
        ("sparse", 20), ("medium", 20), ("dense", 20),
    ]  # fmt: skip
    assert len(rows) == 6
    assert all(row.met for row in rows)


async def test_intervals_are_judged_with_the_commit_as_the_seed(monkeypatch):
    """Nobody chose it to please; with too few windows there is no verdict."""
    monkeypatch.setattr(counting_rows, "commit_seed", lambda: 12_345)
    bench, asked = bench_with(monkeypatch, interval_seeds=700)
    [row] = await intervals(bench)
    assert asked == [([("medium", 12_345)], 700, 60.0)]
    assert (row.met, row.note) == (True, "2100 windows, seed 12345")
    assert row.measured == "95.2%"
    bench, _ = bench_with(monkeypatch, interval_seeds=2)
    [row] = await intervals(bench)
    assert row.met is None


def test_a_commit_is_a_seed(monkeypatch, tmp_path):
    """Seven hexadecimal digits of it; outside a checkout the scenario's own seed is taken."""
    found = commit_seed()
    assert found is None or 0 <= found < 16**7
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_seed() is None
