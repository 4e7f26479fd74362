"""The rows of the capacity table: each runs what it measures, three times, and says what came of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import bus_cost, decode, notify, sealing_cost
from bench.clip import FULL_HD, HD, SMALL, Format, make_clips
from bench.ratio import yardstick_ms
from bench.scale import QUICK as SCALE_QUICK
from bench.scale import Plan as ScalePlan
from bench.soak import Soak, soak
from bench.system import NotMeasured, Restarted, Run, Scenario, run
from bench.verdicts import BUDGET_S, Row, Search, at_least, at_most, faults, overloading, require_overload, spread

RATIO_CAMERAS = 4
_FLAT = (1, 4, 8, 12)
_HALF_LOAD = 6
_FAST = 25.0
_FLAT_MEMORY = "< 1 MB/h, descriptors and threads flat"


@dataclass(frozen=True)
class Plan:
    """How thoroughly to measure."""

    rounds: int = 3
    seconds: float = 25.0
    warm_up_s: float = 10.0
    clip_s: float = 12.0
    starts: tuple[int, int] = (6, 10)
    """Where the search begins at 1080p and at 720p."""
    most: int = 24
    soak_minutes: float = 30.0
    seeds: int = 20
    """Runs of each simulated scenario, each with a seed of its own."""
    interval_seeds: int = 700
    """Of three windows each."""
    replay_minutes: float = 20.0
    replay_pictures: int = 3_000
    scale: ScalePlan = field(default_factory=ScalePlan)


QUICK = Plan(
    rounds=1,
    seconds=8.0,
    warm_up_s=4.0,
    clip_s=6.0,
    starts=(4, 6),
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
    """The clips, the plan and what was run so far."""

    folder: Path
    plan: Plan
    told: Callable[[str, float], None]
    """Hears what is being done and how much of it, 0 to 1."""
    clips: dict[str, list[Path]] = field(default_factory=dict)
    searched: dict[str, list[tuple[int, Run]]] = field(default_factory=dict)
    costs: dict[str, list[float]] = field(default_factory=dict)
    """Processor time per analysed picture in ms, by program, and of the yardstick."""
    others: list[float] = field(default_factory=list)
    """Cores that other work had during each run."""
    failed: list[str] = field(default_factory=list)
    """Rows that broke off, by their names."""

    async def sources(self, form: Format) -> list[Path]:
        """Return the clips of a format, made when first asked for."""
        if form.name not in self.clips:
            told = self.hears(f"making clips, {form.name}")
            self.clips[form.name] = await asyncio.to_thread(make_clips, self.folder, form, self.plan.clip_s, told)
        return self.clips[form.name]

    async def run(self, what: str, form: Format, cameras: int, fps: float = 5.0) -> Run:
        """Run the system once; Restarted if a program ends meanwhile, NotMeasured if it did nothing."""
        sources, plan = await self.sources(form), self.plan
        scenario = Scenario(sources, cameras, plan.seconds, fps, plan.warm_up_s)
        self.told(what, 0.0)
        measured = await run(scenario, self.hears(what))
        self.others.append(measured.others)
        return measured

    def rounds(self, what: str) -> Iterator[str]:
        """Yield a description of each round."""
        for number in range(self.plan.rounds):
            yield f"{what}, round {number + 1} of {self.plan.rounds}"

    def hears(self, what: str) -> Callable[[float], None]:
        """Return what hears how much of this is done, 0 to 1."""
        return lambda done: self.told(what, done)


async def cameras(bench: Bench, form: Format, goal: int, start: int) -> Row:
    """The most cameras of this format; each round searches anew, near where the one before ended."""
    found: list[int] = []
    why = ""
    for what in bench.rounds(f"cameras at {form.name}"):
        search = Search(max(1, found[-1] - 1) if found else start, most=bench.plan.most)
        while (number := search.next()) is not None:
            wrong = await _faults(bench, f"{what}: {number}", form, number)
            search.tell(number, passed=not wrong)
            why = f"at {number}: {'; '.join(wrong)}" if wrong else why
        found.append(search.result)
    return at_least(
        f"cameras at {form.name} H.264, {form.megabits:g} Mb/s, 5 analysed pictures/s each", goal, found, why
    )


async def _faults(bench: Bench, what: str, form: Format, number: int) -> list[str]:
    """Return what keeps so many cameras from counting, in words; a program that ends under them does."""
    try:
        measured = await bench.run(what, form, number)
    except NotMeasured as error:
        return [str(error)]
    bench.searched.setdefault(form.name, []).append((number, measured))
    return faults(measured)


async def cameras_full_hd(bench: Bench) -> Row:
    """Twelve cameras at 1080p25."""
    return await cameras(bench, FULL_HD, 12, bench.plan.starts[0])


async def cameras_hd(bench: Bench) -> Row:
    """Sixteen cameras at 720p25."""
    return await cameras(bench, HD, 16, bench.plan.starts[1])


async def ratio(bench: Bench) -> Row:
    """The whole system against the same work in one process, alternately."""
    found, sources = [], await bench.sources(FULL_HD)
    for what in bench.rounds("ratio"):
        bench.told(f"{what}: in one process", 0.0)
        alone = await yardstick_ms(Scenario(sources, RATIO_CAMERAS, bench.plan.seconds))
        measured = await bench.run(f"{what}: the system", FULL_HD, RATIO_CAMERAS)
        found.append(measured.cpu_total_ms / alone)
        for name, ms in {**measured.cpu_ms, "in one process": alone}.items():
            bench.costs.setdefault(name, []).append(ms)
    note = f"{RATIO_CAMERAS} cameras at {FULL_HD.name}"
    return at_most("processor time per analysed picture / same work in one process", 1.08, found, note=note)


async def decoding(bench: Bench) -> Row:
    """PyAV against ffmpeg, alternately."""
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
    """Publisher, server and subscriber."""
    found = []
    for what in bench.rounds("bus"):
        bench.told(what, 0.0)
        found.append(await bus_cost.cost_ms(round(bench.plan.seconds * 40)))
    return at_most("bus, processor time per 640x360 frame, sealed to answered", 2.0, found, " ms")


async def sealing(bench: Bench) -> list[Row]:
    """The two sides of a sealed frame, without the bus."""
    found = []
    for what in bench.rounds("sealing"):
        bench.told(what, 0.0)
        found.append(await asyncio.to_thread(sealing_cost.measure, round(bench.plan.seconds * 40)))
    return sealing_cost.rows(found)


async def telling(bench: Bench) -> Row:
    """From an alert to its mail, in bursts."""
    found = []
    for what in bench.rounds("notify"):
        bench.told(what, 0.0)
        found.append(await notify.told(max(2, round(bench.plan.seconds * 0.8))))
    return notify.row(found)


async def overload(bench: Bench) -> list[Row]:
    """Twice as many pictures as one lane can analyse."""
    late, lag, aged, share = [], [], [], []
    for what in bench.rounds("overload"):
        once = await bench.run(f"{what}: how much is once", SMALL, 2, fps=_FAST)
        measured = await bench.run(f"{what}: twice", SMALL, overloading(once, _FAST), fps=_FAST)
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
    """How long pixels live when the machine is half busy."""
    runs = [await bench.run(what, FULL_HD, _HALF_LOAD) for what in bench.rounds("half load")]
    name = f"pixel lifetime at half load ({_HALF_LOAD} cameras at {FULL_HD.name}), "
    note = f"{median(r.cores for r in runs):.2f} cores"
    return [
        at_most(f"{name}p50", 25.0, [1e3 * r.lifetime.quantile(0.5) for r in runs], " ms", note),
        at_most(f"{name}p99", 60.0, [1e3 * r.lifetime.quantile(0.99) for r in runs], " ms"),
    ]


async def flat(bench: Bench) -> Row:
    """The cost of a camera, however many there are; at 720p, since twelve at 1080p may be more than there is."""
    found, numbers = [], [n for n in _FLAT if n <= bench.plan.most]
    costs: dict[int, float] = {}
    for what in bench.rounds("cost per camera"):
        runs = {n: await bench.run(f"{what}: {n}", HD, n) for n in numbers}
        costs = {n: measured.cpu_total_ms for n, measured in runs.items()}
        found.append(100 * spread(costs))
    shown = ", ".join(f"{n}: {ms:.1f}" for n, ms in costs.items())
    name = f"cost per camera from 1 to {numbers[-1]}, dearest over cheapest, less 1"
    return at_most(name, 10.0, found, " %", f"{HD.name}; ms per analysed picture in the last round: {shown}")


async def memory(bench: Bench) -> Row:
    """Nothing grows while cameras reconnect."""
    minutes = bench.plan.soak_minutes
    bench.told(f"memory, {minutes:g} minutes", 0.0)
    try:
        found = await soak(bench.folder, minutes, lambda done: bench.told(f"memory, {minutes:g} min", done))
    except Restarted as error:  # it grew, perhaps, until it ended
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
    "1080p": cameras_full_hd,
    "720p": cameras_hd,
    "ratio": ratio,
    "decode": decoding,
    "bus": bus,
    "sealing": sealing,
    "notify": telling,
    "overload": overload,
    "half-load": half_load,
    "flat": flat,
    "memory": memory,
}
