"""What `bench.scaling` runs: so many cameras and processes, and what happens to the processes when. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Act = Literal["add", "remove", "kill"]
Scaled = Literal["ingest", "inference"]
ACTS: tuple[Act, ...] = ("add", "remove", "kill")
SCALED: tuple[Scaled, ...] = ("ingest", "inference")
SITE = "bench"
REPORT_S = 10.0
"""How often ingest publishes a camera's figures, 2 s unless set: a cost of each camera that says nothing here."""
ZONE_CAMERAS = 5
"""Cameras that share a zone."""


@dataclass(frozen=True)
class Step:
    """What is done to one process of a service, and when (seconds after the start of the clock)."""

    at_s: float
    act: Act
    service: Scaled


@dataclass(frozen=True)
class Plan:
    """Cameras, processes at the start, and the length of the run."""

    cameras: int = 300
    ingest: int = 6
    inference: int = 8
    aggregate: int = 2
    minutes: float = 30.0
    every_s: float = 20.0
    """From one step to the next: at 20 one process is added, one removed and one killed in each minute."""
    period_s: float = 4.0
    """From one analysed picture of a camera to its next."""
    window_s: float = 60.0
    lateness_s: float = 10.0
    seed: int = 1

    @property
    def start(self) -> dict[Scaled, int]:
        """Processes at the start, by service."""
        return {"ingest": self.ingest, "inference": self.inference}

    @property
    def least(self) -> dict[Scaled, int]:
        """The fewest processes, by service: one below the start, and never none."""
        return {service: max(1, count - 1) for service, count in self.start.items()}

    @property
    def steps(self) -> list[Step]:
        """All steps: acts and services take turns, so that each act comes to each service."""
        count = max(0, int(60 * self.minutes / self.every_s) - 1)
        return [
            Step((number + 1) * self.every_s, ACTS[number % len(ACTS)], SCALED[number % len(SCALED)])
            for number in range(count)
        ]

    @property
    def due(self) -> float:
        """Pictures due for analysis in a second."""
        return self.cameras / self.period_s

    def settings(self, films: Sequence[Path]) -> dict[str, Any]:
        """Return the settings file's content: one site of the profile `lab`, whose cameras loop the films in turn."""
        zones = [f"z{number:03}" for number in range(-(-self.cameras // ZONE_CAMERAS))]
        site = {
            "id": SITE,
            "profile": "lab",
            "window_s": self.window_s,
            "lateness_s": self.lateness_s,
            "tracking": {"max_gap_s": min(10.0, 2 * self.period_s)},
            "zones": [{"id": zone} for zone in zones],
            "cameras": [self._camera(number, films, zones) for number in range(self.cameras)],
        }
        return {"sites": [site], "ingest": {"report_s": REPORT_S}, "log": {"level": "info", "format": "json"}}

    def _camera(self, number: int, films: Sequence[Path], zones: Sequence[str]) -> dict[str, Any]:
        film = str(films[number % len(films)].resolve())
        how = {"fps": 1 / self.period_s, "long_side": 320, "loop": True}
        return {"id": f"c{number:04}", "url": film, "zone": zones[number // ZONE_CAMERAS], **how}


def possible(step: Step, running: Mapping[Scaled, int], least: Mapping[Scaled, int]) -> Act:
    """Return what is done at a step: nothing is removed below the minimum; a process is added instead.

    A killed process is replaced at once, as a Deployment does, so killing needs no minimum.
    """
    return "add" if step.act == "remove" and running[step.service] <= least[step.service] else step.act
