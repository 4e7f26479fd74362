"""The rows by stream: the most cameras, and what a picture costs beside the same work in one process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.clip import FULL_HD, HD, SECOND_HD, SECOND_SMALL, STOCK, Format
from bench.ratio import Yardstick, yardstick
from bench.rows import Bench
from bench.system import NotMeasured, Run, Scenario
from bench.verdicts import Row, Search, at_least, at_most, faults, steady


@dataclass(frozen=True)
class Stream:
    """A stream and its targets for two cores. `target` is a number of cameras, `start` where their search begins."""

    form: Format
    target: int
    start: int
    ratio: float | None = None
    """The target of the processor time / that of one process; None: not measured."""
    ratio_cameras: int = 4


STREAMS = {
    "1080p": Stream(FULL_HD, 16, 8, 1.12),
    "stock": Stream(STOCK, 14, 8),
    "720p": Stream(HD, 16, 12),
    "720p8": Stream(SECOND_HD, 30, 16, 1.2, ratio_cameras=12),
    "360p8": Stream(SECOND_SMALL, 40, 18, 1.35, ratio_cameras=16),
}
_STEP = 4


async def cameras(bench: Bench, stream: Stream) -> Row:
    """Return the row on the most cameras of a stream. Each round searches anew, near the result of the last one."""
    found: list[int] = []
    passed: list[Run] = []
    why = ""
    for what in bench.rounds(f"cameras at {stream.form.name}"):
        search = Search(max(1, found[-1] - 1) if found else stream.start, _STEP, most=bench.plan.most)
        while (number := search.next()) is not None:
            measured, wrong = await _tried(bench, f"{what}: {number}", stream, number)
            search.tell(number, passed=not wrong)
            why = f"; at {number}: {'; '.join(wrong)}" if wrong else why
            passed += [measured] if measured is not None and not wrong else []
        found.append(search.result)
    name = f"cameras at {stream.form.name} H.264, {stream.form.megabits:g} Mb/s, 5 analysed pictures/s each"
    return at_least(name, stream.target, found, f"{_told(passed)}{why}")


async def _tried(bench: Bench, what: str, stream: Stream, number: int) -> tuple[Run | None, list[str]]:
    """Return a run, and in words why so many cameras do not pass. The end of a program is a reason, too."""
    try:
        measured = await bench.run(what, stream.form, number)
    except NotMeasured as error:
        return None, [str(error)]
    bench.searched.setdefault(stream.form.name, []).append((number, measured))
    return measured, faults(measured)


def _told(passed: list[Run]) -> str:
    """Return what the runs with the most cameras that passed did."""
    if not passed:
        return "none passed"
    most = max(run.due for run in passed)
    best = [run for run in passed if run.due == most]
    shares = f"{5 * median(run.analysed_share for run in best):.2f} pictures/s and camera"
    p99 = f"p99 {1e3 * median(run.lifetime.quantile(0.99) for run in best):.0f} ms"
    cost = f"{median(run.cpu_total_ms for run in best):.1f} ms a picture, {median(run.cores for run in best):.2f} cores"
    return f"at {most / 5:.0f}: {shares}, {median(run.faces for run in best):.2f} faces in each, {p99}, {cost}"


async def ratio(bench: Bench, stream: Stream) -> Row:
    """Return the row on the whole system against the same work in one process, run alternately.

    A round counts where the yardstick is within 10 % of its median: else the machine was another one in it.
    """
    assert stream.ratio is not None
    name = f"{stream.form.name}, processor time per analysed picture / same work in one process"
    sources = await bench.sources(stream.form)
    rounds: list[tuple[Yardstick, Run]] = []
    for what in bench.rounds(f"ratio at {stream.form.name}"):
        bench.told(f"{what}: in one process", 0.0)
        scenario = Scenario(sources, stream.ratio_cameras, bench.plan.seconds)
        alone = await yardstick(scenario)
        system = f"{what}: the system"
        rounds.append((alone, await bench.run(system, stream.form, stream.ratio_cameras)))
    kept = [rounds[index] for index in steady([alone.cpu_ms for alone, _ in rounds])]
    for alone, measured in kept:
        for program, ms in {**measured.cpu_ms, "in one process": alone.cpu_ms}.items():
            bench.costs.setdefault(stream.form.name, {}).setdefault(program, []).append(ms)
    found = [measured.cpu_total_ms / alone.cpu_ms for alone, measured in kept]
    return at_most(name, stream.ratio, found, note=_costs(stream, kept, len(rounds)))


def _costs(stream: Stream, kept: list[tuple[Yardstick, Run]], rounds: int) -> str:
    parts = (f"{name} {median(run.cpu_ms[name] for _, run in kept):.1f}" for name in kept[0][1].cpu_ms)
    alone = median(one.cpu_ms for one, _ in kept)
    faces = median(run.faces for _, run in kept), median(one.faces for one, _ in kept)
    left = f"; {rounds - len(kept)} of {rounds} rounds left out" if len(kept) < rounds else ""
    found = f"{faces[0]:.2f} faces in each, {faces[1]:.2f} in one process"
    return f"{stream.ratio_cameras} cameras; ms: {', '.join(parts)}; in one process {alone:.1f}; {found}{left}"


STREAM_ROWS: dict[str, Callable[[Bench], Awaitable[Row]]] = {
    **{name: partial(cameras, stream=stream) for name, stream in STREAMS.items()},
    **{f"ratio-{name}": partial(ratio, stream=stream) for name, stream in STREAMS.items() if stream.ratio is not None},
}
