"""The results of `bench.scale`: the runs, and the lines fitted to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.scale_load import Load
from bench.scale_system import Measured, Restart
from bench.verdicts import slope

PROGRAMS = ("nats-server", "aggregate", "notify")


@dataclass
class Found:
    """All measurements."""

    runs: list[Measured]
    restart: Restart

    def curve(self) -> list[Measured]:
        """Return the runs that differ in the number of cameras alone, the most cameras last."""
        found = [run for run in self.runs if run.layout.replicas == run.layout.load.sites == 1 and _is_usual(run)]
        return sorted(found, key=lambda run: run.layout.load.cameras)


def _is_usual(run: Measured) -> bool:
    return run.layout.load.scenario == Load(cameras=1).scenario


@dataclass(frozen=True)
class Fit:
    """A program's need in cores: a fixed part without any camera, and a part for each camera."""

    fixed: float
    each: float

    def at(self, cameras: float) -> float:
        """Return the cores for so many cameras."""
        return self.fixed + self.each * cameras

    @property
    def full(self) -> float:
        """The number of cameras that fill one core; infinite if they cost nothing."""
        return (1.0 - self.fixed) / self.each if self.each > 0 else float("inf")


def line(points: Sequence[tuple[float, float]]) -> Fit:
    """Return the least-squares line through (cameras, cores)."""
    each = slope(points)
    return Fit(fmean(y for _, y in points) - each * fmean(x for x, _ in points), each)


def lines(runs: Sequence[Measured], of: Callable[[Load], int] = lambda load: load.cameras) -> dict[str, Fit]:
    """Return each program's line over the cameras, or another number. It uses only runs that kept up, if any did."""
    fair = [run for run in runs if run.kept_up] or runs
    return {name: line([(float(of(run.layout.load)), run.cores(name)) for run in fair]) for name in PROGRAMS}


def site_runs(runs: Sequence[Measured]) -> list[Measured]:
    """Return the runs that differ in the number of sites alone, which share the same cameras."""
    usual = [run for run in runs if run.layout.replicas == 1 and _is_usual(run)]
    shared = max(usual, key=lambda run: run.layout.load.sites).layout.load.cameras
    return [run for run in usual if run.layout.load.cameras == shared]


def per_site(runs: Sequence[Measured]) -> dict[str, Fit]:
    """Return each program's line over the number of sites."""
    return lines(site_runs(runs), lambda load: load.sites)
