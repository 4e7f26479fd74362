"""What the demo has seen so far, beside what is true. Pure: public messages in, figures out."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

from operate.simulation.demo.scene import Truth, Walker, truth
from proto.public import AlertV1, CameraV1, Lifetime, WindowV1
from proto.types import WHOLE_SITE, AlertState

PERSONS_WITHIN, RATE_WITHIN = 0.10, 0.10
"""Passages may be off by a tenth of the true number, the rate by ten points."""
JUDGED = 100
"""Of fewer pictures than these nothing is said about 99 of 100."""
_SECOND = 1e-9


@dataclass
class Measured:
    """Sums over windows."""

    persons: int = 0
    masked: int = 0
    judged: int = 0

    @property
    def rate(self) -> float | None:
        """The masked share of those that could be judged."""
        return self.masked / self.judged if self.judged else None

    def add(self, window: WindowV1) -> None:
        """Take a window in."""
        masked, unmasked, incorrect = window.masked or 0, window.unmasked or 0, window.incorrect or 0
        self.persons += window.persons or 0
        self.masked += masked
        self.judged += masked + unmasked + incorrect


@dataclass(frozen=True)
class Check:
    """One promise of the demo, what came of it, and whether it was kept."""

    name: str
    true: str
    measured: str
    difference: str
    ok: bool


class PixelLife(NamedTuple):
    """Pixel lifetimes of the whole run, from every report of every camera."""

    p50: float
    """In ms, of the median report."""
    pictures: int
    late: int
    """Those that lived longer than 100 ms, unconfirmed ones included."""

    @property
    def kept(self) -> bool | None:
        """Whether 99 of 100 pictures lived 100 ms at most; None of fewer than 100 pictures, which can't say."""
        return None if self.pictures < JUDGED else self.late * 100 <= self.pictures


@dataclass
class Record:
    """The run. `walkers` are those of each simulated camera; empty where nothing is known of the truth."""

    walkers: dict[str, list[Walker]] = field(default_factory=dict)
    windows: dict[int, WindowV1] = field(default_factory=dict)
    alerts: list[AlertV1] = field(default_factory=list)
    cameras: dict[str, CameraV1] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    """When each camera's film began, ns UTC."""
    lifetimes: list[Lifetime] = field(default_factory=list)
    mails: int = 0

    def take(self, message: Any) -> None:
        """Take a public message in."""
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
        if message.lifetime is not None and message.lifetime.frames:
            self.lifetimes.append(message.lifetime)

    def total(self) -> Measured:
        """Return the sum over all windows."""
        total = Measured()
        for window in self.windows.values():
            total.add(window)
        return total

    def truth(self) -> Truth:
        """Return what a perfect observer would have counted in the whole run."""
        return sum((truth(walkers) for walkers in self.walkers.values()), Truth(0, 0))

    def truth_of(self, window: WindowV1) -> Truth:
        """Return what a perfect observer would have counted in one window."""
        parts = (
            truth(walkers, (window.start - self.started[name]) * _SECOND, (window.end - self.started[name]) * _SECOND)
            for name, walkers in self.walkers.items()
            if name in self.started
        )
        return sum(parts, Truth(0, 0))

    def alert(self, state: AlertState) -> AlertV1 | None:
        """Return the first alert in this state."""
        return next((alert for alert in self.alerts if alert.state == state), None)

    def is_complete(self) -> bool:
        """Whether every film has ended and the window of the last passer-by is closed."""
        if not self.walkers or any(name not in self.started for name in self.walkers):
            return False
        if any(self.cameras[name].state != "ended" for name in self.walkers):
            return False
        return any(window.end >= self._last_seen() for window in self.windows.values())

    def _last_seen(self) -> int:
        last = [
            self.started[name] + max((w.seen_until_s for w in walkers), default=0.0) / _SECOND
            for name, walkers in self.walkers.items()
        ]
        return int(max(last))

    def is_told(self) -> bool:
        """Whether the alert has fired and resolved, and both mails have come."""
        return self.alert("firing") is not None and self.alert("resolved") is not None and self.mails > 1

    def pixel_life(self) -> PixelLife | None:
        """Return the median report's p50, and all pictures: a report has too few of them for a p99."""
        if not self.lifetimes:
            return None
        p50 = median(report.p50_ms for report in self.lifetimes)
        pictures = sum(report.pictures or 0 for report in self.lifetimes)
        return PixelLife(p50, pictures, sum(report.late or 0 for report in self.lifetimes))

    def checks(self) -> list[Check]:
        """Return what the simulated demo promises, and what came of it."""
        return [*_numbers(self.total(), self.truth()), *self._told()]

    def _told(self) -> list[Check]:
        fired, resolved = self.alert("firing") is not None, self.alert("resolved") is not None
        return [
            Check("alert fired", "yes", "yes" if fired else "no", "", fired),
            Check("mail arrived", "yes", str(self.mails), "", self.mails > 0),
            Check("alert cleared", "yes", "yes" if resolved else "no", "", resolved),
        ]


def _numbers(measured: Measured, true: Truth) -> list[Check]:
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
