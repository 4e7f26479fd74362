"""What a HorizontalPodAutoscaler and KEDA would have made of a run, by the chart's settings. Pure.

The formula is Kubernetes' own: desired = ceil(current x value / target), and nothing while the ratio is within a tenth
of one (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details). The limits, the
target and the query's meaning are those of k8s/moretta (values.yaml, templates/scaling.yaml).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from bench.scaling_scrapes import Scrape

TOLERANCE = 0.1
REQUEST_CORES = 0.5
TARGET_CPU = 0.70
SHED_SHARE = 0.01
LEAST, MOST = 2, 8
RATE_S = 120.0
"""The span of the query's `rate`."""
CALM_S = 600.0
"""The stabilization window of scaling in: the highest wish within it counts."""


@dataclass(frozen=True)
class Wish:
    """What an autoscaler reads at a moment (unix s), and how many pods it wants for it."""

    at: float
    pods: int
    cpu: float
    """Processor time of the pods, as a share of what they ask for."""
    shed: float
    """Share of pictures shed in the last two minutes."""
    by_cpu: int
    by_shed: int

    @property
    def keda(self) -> int:
        """With both triggers the higher number counts."""
        return max(self.by_cpu, self.by_shed)


def desired(pods: int, value: float, target: float) -> int:
    """Return the number of pods for a value, within the chart's limits."""
    ratio = value / target
    wanted = pods if abs(ratio - 1.0) <= TOLERANCE else ceil(pods * ratio)
    return min(MOST, max(LEAST, wanted))


def calmed(wishes: Sequence[tuple[float, int]]) -> list[int]:
    """Return each wish as scaling in has it: the highest of the last ten minutes."""
    return [max(wish for at, wish in wishes if now - CALM_S <= at <= now) for now, _ in wishes]


def cores(before: Scrape, after: Scrape, service: str = "") -> dict[str, float]:
    """Return the cores that each process used, of those that ran from one scrape to the other; of one service only."""
    passed = max(1e-9, after.at - before.at)
    return {
        name: (spent - before.cpu_s[name]) / passed
        for name, spent in after.cpu_s.items()
        if name.startswith(service) and name in before.cpu_s
    }


def shed_share(scrapes: Sequence[Scrape]) -> float:
    """Return the query's value at the last of these scrapes.

    As Prometheus' rate() has it, a series counts from its first value in the span on: what a process did before its
    first scrape is seen by nobody.
    """
    span = [one for one in scrapes if one.at >= scrapes[-1].at - RATE_S]
    shed = total = 0.0
    for name in {name for one in span for name in one.frames}:
        pages = [one.frames[name] for one in span if name in one.frames]
        for key, last in pages[-1].items():
            first = next(page[key] for page in pages if key in page)
            total += last - first
            shed += last - first if key[1] == "shed" else 0.0
    return shed / RATE_S / max(1.0, total / RATE_S)


def wishes(scrapes: Sequence[Scrape]) -> list[Wish]:
    """Return what would have been read and wanted at each scrape after the first."""
    found = []
    for number in range(1, len(scrapes)):
        before, now = scrapes[number - 1], scrapes[number]
        used = cores(before, now, "inference")
        pods = len(used)
        if not pods:
            continue
        cpu, shed = sum(used.values()) / (pods * REQUEST_CORES), shed_share(scrapes[: number + 1])
        by_cpu, by_shed = desired(pods, cpu, TARGET_CPU), desired(pods, shed, SHED_SHARE)
        found.append(Wish(now.at, pods, cpu, shed, by_cpu, by_shed))
    return found
