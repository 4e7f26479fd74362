"""The demo's record: its measured figures beside the truth. Pure: public messages in, figures out.

The truth is the plan's: not all who come, but those who count as seen (`operate.simulation.scenario.Counting`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from operate.simulation.plan import Passage
from operate.simulation.sightings import SECOND
from proto.public import AlertV1, CameraV1, Lifetime, WindowV1
from proto.types import WHOLE_SITE, AlertState

PERSONS_WITHIN, RATE_WITHIN = 0.10, 0.10
"""Passages may be off by a tenth of the true number, the rate by ten points."""
JUDGED = 100
"""With fewer pictures there is no verdict about 99 of 100."""


@dataclass
class Counts:
    """Numbers of people: all, those with a mask, and those who could be judged."""

    persons: int = 0
    masked: int = 0
    judged: int = 0

    @property
    def rate(self) -> float | None:
        """The masked share of those who could be judged; None if nobody could."""
        return self.masked / self.judged if self.judged else None

    def add(self, window: WindowV1) -> None:
        """Add a window's figures."""
        masked, unmasked, incorrect = window.masked or 0, window.unmasked or 0, window.incorrect or 0
        self.persons += window.persons or 0
        self.masked += masked
        self.judged += masked + unmasked + incorrect


def _true(passages: Iterable[Passage]) -> Counts:
    """Return the counts of those who count as seen."""
    masked = [passage.verdict == "masked" for passage in passages]
    return Counts(len(masked), sum(masked), len(masked))


@dataclass(frozen=True)
class Check:
    """One promise of the demo, its result, and whether it was kept."""

    name: str
    true: str
    measured: str
    difference: str
    ok: bool


class PixelLife(NamedTuple):
    """Pixel lifetimes of the run, from every whole window of every camera."""

    pictures: int
    late: int
    """At most so many lived longer than 100 ms, unconfirmed ones included."""

    @property
    def kept(self) -> bool | None:
        """Whether 99 of 100 pictures lived 100 ms at most; None for fewer than 100 pictures: too few to tell."""
        return None if self.pictures < JUDGED else self.late * 100 <= self.pictures


@dataclass
class Record:
    """The record of a run.

    `passages` are those who count as seen, by simulated camera; empty if the truth is unknown.
    """

    passages: dict[str, list[Passage]] = field(default_factory=dict)
    windows: dict[int, WindowV1] = field(default_factory=dict)
    alerts: list[AlertV1] = field(default_factory=list)
    cameras: dict[str, CameraV1] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    """When each camera's film began, ns UTC."""
    lifetimes: dict[tuple[str, int], Lifetime] = field(default_factory=dict)
    """By camera and the start of the window."""
    mails: int = 0

    def take(self, message: Any) -> None:
        """Record a public message."""
        if isinstance(message, WindowV1) and message.zone == WHOLE_SITE:
            self.windows[message.start] = message
        elif isinstance(message, AlertV1):
            self.alerts.append(message)
        elif isinstance(message, CameraV1):
            self._camera(message)

    def _camera(self, message: CameraV1) -> None:
        self.cameras[message.camera] = message
        if message.state == "live":
            self.started.setdefault(message.camera, message.since)
        if message.lifetime is not None and message.lifetime.pictures:
            self.lifetimes[message.camera, message.lifetime.start] = message.lifetime

    def total(self) -> Counts:
        """Return the sum over all windows."""
        total = Counts()
        for window in self.windows.values():
            total.add(window)
        return total

    def truth(self) -> Counts:
        """Return the counts of all who count as seen, for the whole run."""
        return _true(p for passages in self.passages.values() for p in passages)

    def truth_of(self, window: WindowV1) -> Counts:
        """Return the counts of those who count as seen and showed their face last in this window."""
        began = [(self.started[name], passages) for name, passages in self.passages.items() if name in self.started]
        return _true(p for at, passages in began for p in passages if window.start <= at + p.at * SECOND < window.end)

    def alert(self, state: AlertState) -> AlertV1 | None:
        """Return the first alert in this state."""
        return next((alert for alert in self.alerts if alert.state == state), None)

    def is_complete(self) -> bool:
        """Whether every film has ended and the window of the last one who counts as seen is closed."""
        ended = [name in self.started and self.cameras[name].state == "ended" for name in self.passages]
        if not ended or not all(ended):
            return False
        return any(window.end >= self._last_seen() for window in self.windows.values())

    def _last_seen(self) -> int:
        return max(
            self.started[name] + round(max((p.at for p in passages), default=0.0) * SECOND)
            for name, passages in self.passages.items()
        )

    def is_told(self) -> bool:
        """Whether the alert has fired and resolved, and both mails have come."""
        return self.alert("firing") is not None and self.alert("resolved") is not None and self.mails > 1

    def pixel_life(self) -> PixelLife | None:
        """Return the sums over all windows; None before the first."""
        if not self.lifetimes:
            return None
        told = self.lifetimes.values()
        return PixelLife(sum(one.pictures for one in told), sum(one.late for one in told))

    def checks(self) -> list[Check]:
        """Return the promises of the simulated demo, with their results."""
        return [*_numbers(self.total(), self.truth()), *self._told()]

    def _told(self) -> list[Check]:
        fired, resolved = self.alert("firing") is not None, self.alert("resolved") is not None
        return [
            Check("alert fired", "yes", "yes" if fired else "no", "", fired),
            Check("mail arrived", "yes", str(self.mails), "", self.mails > 0),
            Check("alert cleared", "yes", "yes" if resolved else "no", "", resolved),
        ]


def _numbers(measured: Counts, true: Counts) -> list[Check]:
    off = measured.persons - true.persons
    share = f"{off:+d} ({off / true.persons:+.1%})" if true.persons else f"{off:+d}"
    persons = Check(
        "people", str(true.persons), str(measured.persons), share, abs(off) <= PERSONS_WITHIN * true.persons
    )
    if measured.rate is None or true.rate is None:
        return [persons, Check("with a mask", "–", "–", "", ok=measured.rate is true.rate)]
    points = measured.rate - true.rate
    rate = Check(
        "with a mask",
        f"{true.rate:.1%}",
        f"{measured.rate:.1%}",
        f"{100 * points:+.1f} points",
        abs(points) <= RATE_WITHIN,
    )
    return [persons, rate]
