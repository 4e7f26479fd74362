"""The rows of counting: people, rates and intervals against a simulated truth; the costs of sightings and replays."""

import asyncio
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from bench import counts_table, replay, scale
from bench.counts import count_all
from bench.rows import Bench
from bench.verdicts import Row, at_most
from testbed.simulation.simulate import load

SCENARIOS = ("sparse", "medium", "dense")
_WINDOW_S = 60.0


async def counts(bench: Bench) -> list[Row]:
    """Return the rows of each built-in scenario over its seeds. Intervals are judged only with enough windows."""
    told = bench.hears("counting simulated people")
    named = [(name, load(name, None)) for name in SCENARIOS]
    runs = await asyncio.to_thread(count_all, named, bench.plan.seeds, _WINDOW_S, told)
    return [row for one in counts_table.summaries(runs) for row in scenario_rows(one)]


async def intervals(bench: Bench) -> list[Row]:
    """Return the row on intervals, from enough windows. The seed is the commit, which nobody chose to please."""
    told, seed = bench.hears("windows for the intervals"), commit_seed()
    named = [("medium", load("medium", seed))]
    runs = await asyncio.to_thread(count_all, named, bench.plan.interval_seeds, _WINDOW_S, told)
    found = scenario_rows(counts_table.summary("medium", runs))
    return [replace(row, note=f"{row.note}, seed {seed}") for row in found if "intervals" in row.name] or [
        Row("95 % intervals that hold", "93% to 97%", "too few windows for a verdict", None)
    ]


def commit_seed() -> int | None:
    """Return the commit's number as a seed; None outside a checkout."""
    done = subprocess.run(["git", "rev-parse", "--short=7", "HEAD"], capture_output=True, text=True, check=False)
    return int(done.stdout, 16) if done.returncode == 0 else None


def scenario_rows(one: counts_table.Summary) -> list[Row]:
    """Return one scenario's rows: people always, rate and interval if they can be judged."""
    note, limit = f"{one.runs} runs, {one.persons} people", 100 * counts_table.PERSONS_LIMIT[one.scenario]
    found = [at_most(f"people off, {one.scenario}", limit, [100 * abs(one.persons_error)], " %", note)]
    if one.rate_error is not None:
        name = f"mask rate off, {one.scenario}, mean of the runs"
        found.append(at_most(name, counts_table.RATE_LIMIT, [one.rate_error], " points"))
    if one.covered is not None and (met := one.is_met["covered"]) is not None:
        low, high = counts_table.COVERED
        name, target = f"95 % intervals that hold, {one.scenario}", f"{low:.0%} to {high:.0%}"
        found.append(Row(name, target, f"{one.covered:.1%}", met, [100 * one.covered], f"{one.windows} windows"))
    return found


async def replayed(bench: Bench) -> list[Row]:
    """Return the rows of a replay. It has a process of its own, without the progress bar's processor time."""
    bench.told("reading a window again", 0.0)
    plan = bench.plan
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        task = pool.submit(replay.measured, plan.replay_minutes, 12, plan.replay_pictures, plan.rounds)
        return replay.rows(await asyncio.wrap_future(task))


async def scaled(bench: Bench) -> list[Row]:
    """Return the rows on more cameras than this machine can decode: their cost for the rest of the system."""
    return scale.rows(await scale.look(bench.plan.scale, bench.told))
