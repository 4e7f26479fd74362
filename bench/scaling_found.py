"""The results of `bench.scaling`: figures and the rows of its table, worst first. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Any

from bench.scaling_autoscalers import SHED_SHARE, TARGET_CPU, Wish, calmed, cores, wishes
from bench.scaling_frames import InHand, Windows, in_hand, increase, windows
from bench.scaling_off import EVEN, LIMIT_S, SHED, Off, Settled, Takeover, caused, offs, settled, takeovers
from bench.scaling_plan import ACTS, ZONE_CAMERAS
from bench.scaling_run import Ran
from bench.verdicts import Row, at_most
from proto.types import WHOLE_SITE

_MIB = 1 << 20


@dataclass
class Found:
    """A run with all that is computed from it."""

    ran: Ran

    @cached_property
    def off(self) -> list[Off]:
        """When which camera was off."""
        ran = self.ran
        names = [f"c{number:04}" for number in range(ran.plan.cameras)]
        spans = offs(ran.seen.sightings, names, ran.plan.period_s, ran.began, ran.ended)
        return caused(spans, ran.seen.leases, ran.events, ran.plan.period_s)

    @cached_property
    def killed(self) -> list[Takeover]:
        """How long killed replicas' cameras took, from the kill on."""
        return self._taken("kill")

    @cached_property
    def removed(self) -> list[Takeover]:
        """How long removed replicas' cameras took, from SIGTERM on; the old one goes on meanwhile."""
        return self._taken("remove")

    def _taken(self, act: str) -> list[Takeover]:
        return takeovers(self.ran.seen.sightings, self.ran.seen.leases, self.ran.events, act)

    @cached_property
    def settled(self) -> list[Settled]:
        """How long each event of ingest took to be shared evenly again."""
        return settled(self.ran.seen.shares, self.ran.events, self.ran.ended)

    @cached_property
    def in_hand(self) -> list[InHand]:
        """What each event of inference did to pictures in hand."""
        return in_hand(self.ran.seen.sightings, self.ran.scrapes, self.ran.events)

    @cached_property
    def windows(self) -> Windows:
        """What was published."""
        plan = self.ran.plan
        zones = [WHOLE_SITE, *(f"z{number:03}" for number in range(-(-plan.cameras // ZONE_CAMERAS)))]
        return windows(self.ran.published, zones, plan.window_s, self.ran.began, self.ran.ended)

    @cached_property
    def wishes(self) -> list[Wish]:
        """What an autoscaler would have wanted."""
        return wishes(self.ran.scrapes)

    @property
    def rates(self) -> list[tuple[float, dict[str, float]]]:
        """Pictures a second by outcome, between each scrape and the next, by its time."""
        scrapes = self.ran.scrapes
        return [
            (after.at, {name: count / (after.at - before.at) for name, count in increase(before, after).items()})
            for before, after in pairwise(scrapes)
        ]

    @property
    def busy(self) -> list[tuple[float, float, float]]:
        """The time of each scrape after the first, and the cores that the run and other work used since the last.

        A process that came or went in between is in neither figure of its own, but in that of other work.
        """
        found = []
        for before, after in pairwise(self.ran.scrapes):
            own, passed = sum(cores(before, after).values()), after.at - before.at
            found.append((after.at, own, max(0.0, (after.machine_s - before.machine_s) / passed - own)))
        return found

    @property
    def analysed(self) -> float:
        """Sightings a second over the run."""
        ran = self.ran
        count = sum(ran.began <= one.at <= ran.ended for log in ran.seen.sightings.values() for one in log)
        return count / (ran.ended - ran.began)


def rows(found: Found) -> list[Row]:
    """Return the rows of the table."""
    gone = [one for one in found.in_hand if found.ran.events[one.event].act == "remove"]
    spread = sum(1 for one in found.settled if one.seconds is None)
    times = [one.seconds for one in found.settled if one.seconds is not None]
    even = f"median {median(times):.0f} s, at most {max(times):.0f} s" if times else "never"
    missing = len(found.windows.missing) + len(found.windows.doubled)
    least, mean = found.windows.coverage_least, found.windows.coverage_mean
    covered = f"of {found.windows.expected}; coverage at least {least:.2f}, on average {mean:.3f}"
    stopped = f"{len(gone)} processes of inference ended by SIGTERM"
    return [
        *_off_rows(found),
        at_most("windows that are missing or doubled", 0, [missing], "", covered),
        at_most(f"events after which replicas differ by more than {EVEN}", 0, [spread], "", f"settled: {even}"),
        at_most("pictures in hand that were lost when scaling in", 0, [sum(one.lost for one in gone)], "", stopped),
        at_most("cores in use, median", 1.7, [median(own for _, own, _ in found.busy)], "", _rate(found)),
    ]


def _off_rows(found: Found) -> list[Row]:
    """Return how long cameras were off after a kill, while they moved in order, and because they were shed."""
    after_kill = [one.seconds for one in found.killed]
    moved = [one.seconds for one in found.off if one.cause != SHED and not one.cause.startswith("kill")]
    shed = [one.seconds for one in found.off if one.cause == SHED]
    return [
        _longest("longest time off after a kill", after_kill, f"of {len(after_kill)} cameras"),
        _longest("longest time off of a camera that moved", moved, f"of {len(found.removed)} of removed replicas"),
        _longest("longest time in which a camera was shed", shed, f"of {len(shed)} times"),
    ]


def _longest(name: str, seconds: Sequence[float], of: str) -> Row:
    late = sum(one > LIMIT_S for one in seconds)
    return at_most(name, LIMIT_S, [max(seconds, default=0.0)], " s", f"{late} over it {of}")


def _rate(found: Found) -> str:
    others = median(others for _, _, others in found.busy)
    rate = f"{found.analysed:.1f} pictures a second analysed of {found.ran.plan.due:.1f} due"
    return f"{rate}; other work had {others:.2f} cores"


def figures(found: Found) -> dict[str, Any]:
    """Return all results as JSON data; times are seconds since the start of the clock."""
    ran = found.ran
    totals = increase(ran.scrapes[0], ran.scrapes[-1])
    return {
        "plan": asdict(ran.plan),
        "rows": [asdict(row) for row in rows(found)],
        "ready_s": ran.ready_s,
        "began": ran.began,
        "analysed_per_s": found.analysed,
        "outcomes": totals,
        "off": [_since(one._asdict(), ran.began, "start", "end") for one in found.off],
        "off_counts": dict(Counter(one.cause.split()[0] for one in found.off)),
        "killed": _quantiles([one.seconds for one in found.killed]) | {"events": _by_event(found.killed)},
        "removed": _quantiles([one.seconds for one in found.removed]) | {"events": _by_event(found.removed)},
        "took": {act: _quantiles([one.took_s or 0.0 for one in ran.events if one.act == act]) for act in ACTS},
        "settled": [asdict(one) for one in found.settled],
        "in_hand": [asdict(one) for one in found.in_hand],
        "windows": asdict(found.windows),
        "events": [_since(asdict(one), ran.began, "at") for one in ran.events],
        "shares": [_since(one._asdict() | {"spread": one.spread}, ran.began, "at") for one in ran.seen.shares],
        "not_live": [(round(at - ran.began, 2), camera, state) for at, camera, state in ran.seen.not_live],
        "rates": [(round(at - ran.began, 1), of) for at, of in found.rates],
        "cores": [(round(at - ran.began, 1), own, others) for at, own, others in found.busy],
        "memory_mib": {name: size / _MIB for name, size in ran.scrapes[-1].rss.items()},
        "cpu": _spent(ran),
        "autoscalers": _autoscalers(found.wishes, ran.began),
    }


def _since(values: dict[str, Any], began: float, *names: str) -> dict[str, Any]:
    return values | {name: round(values[name] - began, 2) for name in names}


def _by_event(found: Sequence[Takeover]) -> dict[int, dict[str, Any]]:
    """Return the quantiles of each event, by its number."""
    numbers = dict.fromkeys(one.event for one in found)
    return {number: _quantiles([one.seconds for one in found if one.event == number]) for number in numbers}


def _quantiles(values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    at = {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 90, 99)}
    return {"count": len(ordered), **at, "max": ordered[-1]}


def _spent(ran: Ran) -> dict[str, float]:
    """Return the cores of all processes of a service together, on average over the run."""
    total: Counter[str] = Counter()
    for before, after in pairwise(ran.scrapes):
        for name, spent in after.cpu_s.items():
            service = name.split("-")[0]
            total[service] += spent - before.cpu_s.get(name, 0.0)  # type: ignore[assignment]
    return {name: spent / (ran.scrapes[-1].at - ran.scrapes[0].at) for name, spent in total.items()}


def _autoscalers(found: Sequence[Wish], began: float) -> dict[str, Any]:
    """Return what both would have done: how often they wanted more, or fewer, pods than there were."""
    hpa = calmed([(one.at, one.by_cpu) for one in found])
    keda = calmed([(one.at, one.keda) for one in found])
    pods = [one.pods for one in found]
    return {
        "target_cpu": TARGET_CPU,
        "shed_share": SHED_SHARE,
        "hpa": _wanted([one.by_cpu for one in found], hpa, pods),
        "keda": _wanted([one.keda for one in found], keda, pods),
        "series": [_since(asdict(one), began, "at") for one in found],
    }


def _wanted(raw: Sequence[int], calm: Sequence[int], pods: Sequence[int]) -> dict[str, int]:
    """Return at how many scrapes more, fewer, or as many pods were wanted; fewer counts after ten calm minutes."""
    more = sum(wish > there for wish, there in zip(raw, pods, strict=True))
    fewer = sum(wish < there for wish, there in zip(calm, pods, strict=True))
    return {"more": more, "fewer": fewer, "same": len(pods) - more - fewer, "most": max(raw, default=0)}
