"""The rows of the capacity table: each runs its measurement three times and returns the result."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import bus_cost, decode, notify, sealing_cost
from bench.clip import FULL_HD, SECOND_SMALL, SMALL, Format, make_clips
from bench.kept import Report
from bench.scale import QUICK as SCALE_QUICK
from bench.scale import Plan as ScalePlan
from bench.soak import Soak, soak
from bench.system import NotMeasured, Restarted, Run, Scenario, run
from bench.verdicts import BUDGET_S, Row, at_most, overloading, require_overload, spread

_FLAT = (4, 12, 24, 40)
_HALF_LOAD = 6
_FAST = 25.0
_FLAT_MEMORY = "< 1 MB/h, descriptors and threads flat"


@dataclass(frozen=True)
class Plan:
    """How thoroughly the bench measures."""

    rounds: int = 3
    seconds: float = 24.0
    """Twice a clip: both the system and the yardstick count the same people."""
    warm_up_s: float = 10.0
    clip_s: float = 12.0
    most: int = 64
    """More cameras are not tried."""
    soak_minutes: float = 30.0
    seeds: int = 20
    """Runs of each simulated scenario, each with a seed of its own."""
    interval_seeds: int = 700
    """Runs of three windows each."""
    replay_minutes: float = 20.0
    replay_pictures: int = 3_000
    scale: ScalePlan = field(default_factory=ScalePlan)


QUICK = Plan(
    rounds=1,
    seconds=8.0,
    warm_up_s=4.0,
    clip_s=6.0,
    most=6,
    soak_minutes=2.0,
    seeds=1,
    interval_seeds=2,
    replay_minutes=0.2,
    replay_pictures=200,
    scale=SCALE_QUICK,
)


@dataclass
class Bench:
    """The clips, the plan and the results so far."""

    folder: Path
    plan: Plan
    told: Callable[[str, float], None]
    """Called with the current step, and the share of it that is done, 0 to 1."""
    clips: dict[str, list[Path]] = field(default_factory=dict)
    searched: dict[str, list[tuple[int, Run]]] = field(default_factory=dict)
    costs: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """Processor time per analysed picture in ms, by format and then by program, and of the yardstick."""
    others: list[float] = field(default_factory=list)
    """Cores that other work used during each run."""
    failed: list[str] = field(default_factory=list)
    """Names of the rows that failed."""
    earlier: Report | None = None
    """The report that is gone on with."""

    async def sources(self, form: Format) -> list[Path]:
        """Return the clips of a format, made when first asked for."""
        if form.name not in self.clips:
            told = self.hears(f"making clips, {form.name}")
            self.clips[form.name] = await asyncio.to_thread(make_clips, self.folder, form, self.plan.clip_s, told)
        return self.clips[form.name]

    async def run(self, what: str, form: Format, cameras: int, fps: float = 5.0, lanes: int | None = None) -> Run:
        """Run the system once; `lanes` None: as many as inference finds worth it.

        Restarted if a program ends meanwhile, NotMeasured if it did nothing.
        """
        sources, plan = await self.sources(form), self.plan
        scenario = Scenario(sources, cameras, plan.seconds, fps, plan.warm_up_s, lanes)
        self.told(what, 0.0)
        measured = await run(scenario, self.hears(what))
        self.others.append(measured.others)
        return measured

    def rounds(self, what: str) -> Iterator[str]:
        """Yield a description of each round."""
        for number in range(self.plan.rounds):
            yield f"{what}, round {number + 1} of {self.plan.rounds}"

    def hears(self, what: str) -> Callable[[float], None]:
        """Return a callback that takes the share of this step that is done, 0 to 1."""
        return lambda done: self.told(what, done)


async def decoding(bench: Bench) -> Row:
    """Return the row on PyAV against ffmpeg, run alternately."""
    name, program = "decoding / ffmpeg -threads 1 -f null, processor time", decode.ffmpeg()
    if program is None:
        return Row(name, "<= 1.05", "ffmpeg is not installed: apt-get install ffmpeg", None)
    found, (file, *_) = [], await bench.sources(FULL_HD)
    for what in bench.rounds("decoding"):
        bench.told(what, 0.0)
        own = await asyncio.to_thread(decode.own_s, file)
        found.append(own / await asyncio.to_thread(decode.ffmpeg_s, program, file))
    return at_most(name, 1.05, found)


async def bus(bench: Bench) -> Row:
    """Return the row on the bus: publisher, server and subscriber together."""
    found = []
    for what in bench.rounds("bus"):
        bench.told(what, 0.0)
        found.append(await bus_cost.cost_ms(round(bench.plan.seconds * 40)))
    return at_most("bus, processor time per 640x360 frame, sealed to answered", 2.0, found, " ms")


async def sealing(bench: Bench) -> list[Row]:
    """Return the rows on the two sides of a sealed frame, without the bus."""
    found = []
    for what in bench.rounds("sealing"):
        bench.told(what, 0.0)
        found.append(await asyncio.to_thread(sealing_cost.measure, round(bench.plan.seconds * 40)))
    return sealing_cost.rows(found)


async def telling(bench: Bench) -> Row:
    """Return the row on the delay from an alert to its mail, in bursts."""
    found = []
    for what in bench.rounds("notify"):
        bench.told(what, 0.0)
        found.append(await notify.told(max(2, round(bench.plan.seconds * 0.8))))
    return notify.row(found)


async def overload(bench: Bench) -> list[Row]:
    """Return the rows on overload: twice as many pictures as one lane can analyse."""
    late, lag, aged, share = [], [], [], []
    for what in bench.rounds("overload"):
        # One lane, or twice what it can do is none for two.
        once = await bench.run(f"{what}: how much is once", SMALL, 2, fps=_FAST, lanes=1)
        measured = await bench.run(f"{what}: twice", SMALL, overloading(once, _FAST), fps=_FAST, lanes=1)
        require_overload(measured)
        late.append(100 * measured.lifetime.share_above(BUDGET_S))
        lag.append(1e3 * measured.lag.quantile(0.99))
        aged.append(measured.dropped + measured.frame_age.count * measured.frame_age.share_above(BUDGET_S))
        share.append(measured.analysed_share)
    note = f"{median(share):.0%} of what was due was analysed"
    name = "inference overload x2: "
    return [
        at_most(f"{name}frames later than 100 ms", 1.0, late, " %", note),
        at_most(f"{name}frames queued beyond the budget", 0.0, aged),
        at_most(f"{name}capture-to-decode lag, p99", 200.0, lag, " ms"),
    ]


async def half_load(bench: Bench) -> list[Row]:
    """Return the rows on the lifetime of pixels when the machine is half busy."""
    runs = [await bench.run(what, FULL_HD, _HALF_LOAD) for what in bench.rounds("half load")]
    name = f"pixel lifetime at half load ({_HALF_LOAD} cameras at {FULL_HD.name}), "
    note = f"{median(r.cores for r in runs):.2f} cores"
    return [
        at_most(f"{name}p50", 25.0, [1e3 * r.lifetime.quantile(0.5) for r in runs], " ms", note),
        at_most(f"{name}p99", 60.0, [1e3 * r.lifetime.quantile(0.99) for r in runs], " ms"),
    ]


async def flat(bench: Bench) -> Row:
    """Return the row on the cost of a camera by their number; at 640x360, as forty at 720p may be too many."""
    found, numbers = [], [n for n in _FLAT if n <= bench.plan.most]
    numbers = numbers if len(numbers) > 1 else [1, *numbers]
    costs: dict[int, float] = {}
    for what in bench.rounds("cost per camera"):
        runs = {n: await bench.run(f"{what}: {n}", SECOND_SMALL, n) for n in numbers}
        costs = {n: measured.cpu_total_ms for n, measured in runs.items()}
        found.append(100 * spread(costs))
    shown = ", ".join(f"{n}: {ms:.1f}" for n, ms in costs.items())
    name = f"cost per camera from {numbers[0]} to {numbers[-1]}, dearest over cheapest, less 1"
    return at_most(name, 10.0, found, " %", f"{SECOND_SMALL.name}; ms per analysed picture in the last round: {shown}")


async def memory(bench: Bench) -> Row:
    """Return the row on memory: nothing may grow while cameras reconnect."""
    minutes = bench.plan.soak_minutes
    bench.told(f"memory, {minutes:g} minutes", 0.0)
    try:
        found = await soak(bench.folder, minutes, lambda done: bench.told(f"memory, {minutes:g} min", done))
    except Restarted as error:  # perhaps it grew until it ended
        return Row(_memory_name(minutes), _FLAT_MEMORY, str(error), met=False)
    return memory_row(found)


def memory_row(found: Soak) -> Row:
    """Return the row of a soak; NotMeasured if cameras hardly reconnected."""
    if found.reconnects < found.enough:
        raise NotMeasured(
            f"cameras came back {found.reconnects} times in {found.minutes:g} minutes and not {found.enough} times"
        )
    slopes = {name: by for name, by in found.slopes().items() if name != "nats-server"}
    worst, grown = max(slopes, key=lambda name: slopes[name]), found.grown()
    also = ", ".join(f"{name} +{by:g}" for name, by in grown.items()) or "nothing else grew"
    note = f"{found.connections} connections; {also}"
    if found.minutes < Plan.soak_minutes:
        note += f"; {found.minutes:g} minutes are too short for a verdict on a slope"
    met = slopes[worst] < 1.0 and not grown if found.minutes >= Plan.soak_minutes else None
    measured = f"{slopes[worst]:.2f} MB/h ({worst}); descriptors and threads {'grew' if grown else 'flat'}"
    return Row(_memory_name(found.minutes), _FLAT_MEMORY, measured, met, list(slopes.values()), note)


def _memory_name(minutes: float) -> str:
    return f"RSS over {minutes:g} minutes with a reconnect every 10 s, slope of the steepest service"


SYSTEM_ROWS: dict[str, Callable[[Bench], Awaitable[Row | list[Row]]]] = {
    "decode": decoding,
    "bus": bus,
    "sealing": sealing,
    "notify": telling,
    "overload": overload,
    "half-load": half_load,
    "flat": flat,
    "memory": memory,
}
