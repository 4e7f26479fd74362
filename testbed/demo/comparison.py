"""A run's figures beside the truth. Pure: public messages in, lines of text out.

The truth is the plan's: not all who come, but those who count as seen (`testbed.simulation.scenario.Counting`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from operate.live_state import rate_text, share_text
from proto.public import AlertV1, CameraV1, Lifetime, WindowV1
from proto.types import WHOLE_SITE
from testbed.simulation.crowd_plan import Passage
from testbed.simulation.scenario import Counting
from testbed.simulation.sightings import SECOND

PERSONS_WITHIN, RATE_WITHIN = 0.10, 0.10
"""Passages may be off by a tenth of the true number, the rate by ten points."""
_COUNTING = Counting()
"""The market's scenario has no other."""


class Counts(NamedTuple):
    """Numbers of people: all, those with a mask, and those who could be judged."""

    persons: int
    masked: int
    judged: int

    @property
    def rate(self) -> float | None:
        """The masked share of those who could be judged; None if nobody could."""
        return self.masked / self.judged if self.judged else None


@dataclass
class Comparison:
    """What a run published.

    `passages` are those who count as seen, by simulated camera; empty if the truth is unknown.
    """

    passages: dict[str, list[Passage]] = field(default_factory=dict)
    windows: dict[int, WindowV1] = field(default_factory=dict)
    alerts: set[str] = field(default_factory=set)
    """The states that the alert has had."""
    cameras: dict[str, CameraV1] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    """When each camera's film began, ns UTC."""
    lifetimes: dict[tuple[str, int], Lifetime] = field(default_factory=dict)
    """By camera and the start of the window."""
    mails: int = 0

    def take(self, message: Any) -> str | None:
        """Record a public message; return the line that tells of it, None if it has no news."""
        if isinstance(message, WindowV1) and message.zone == WHOLE_SITE:
            self.windows[message.start] = message
            return self._window_line(message)
        if isinstance(message, AlertV1):
            self.alerts.add(message.state)
            return _alert_line(message)
        return self._camera(message) if isinstance(message, CameraV1) else None

    def _camera(self, message: CameraV1) -> str | None:
        before, self.cameras[message.camera] = self.cameras.get(message.camera), message
        if message.state == "live":
            self.started.setdefault(message.camera, message.since)
        if message.lifetime is not None and message.lifetime.pictures:
            self.lifetimes[message.camera, message.lifetime.start] = message.lifetime
        if before is not None and (before.state, before.reason) == (message.state, message.reason):
            return None
        return f"camera   {message.camera}: {message.state}{f' ({message.reason})' if message.reason else ''}"

    def _window_line(self, window: WindowV1) -> str:
        true = self.truth_of(window)
        persons, rate = (f"  true {true.persons}", f"  true {share_text(true.rate)}") if self.passages else ("", "")
        return (
            f"window   {_clock(window.start)} – {_clock(window.end)} UTC  people {window.persons or 0}{persons}"
            f"  with a mask (95 %) {rate_text(window)}{rate}  observed {share_text(window.coverage)}"
        )

    def truth_of(self, window: WindowV1) -> Counts:
        """Return the counts of those who count as seen and showed their face last in this window."""
        began = [(self.started[name], passages) for name, passages in self.passages.items() if name in self.started]
        return _true(p for at, passages in began for p in passages if window.start <= at + p.at * SECOND < window.end)

    def is_complete(self) -> bool:
        """Whether every film has ended and the window of the last one who counts as seen is closed."""
        ended = [name in self.started and self.cameras[name].state == "ended" for name in self.passages]
        if not ended or not all(ended):
            return False
        last = max(
            self.started[name] + max((p.at for p in passages), default=0.0) * SECOND
            for name, passages in self.passages.items()
        )
        return any(window.end >= last for window in self.windows.values())

    def is_mailed(self) -> bool:
        """Whether the alert has fired and resolved, and both mails have come."""
        return self.alerts >= {"firing", "resolved"} and self.mails > 1

    def result(self) -> Iterator[str]:
        """Yield the lines of the result: the figures of all windows beside the truth, and how long pictures lived."""
        if self.passages:
            measured, true = self._totals()
            yield f"people       {true.persons} true, {measured.persons} measured"
            yield f"with a mask  {_percent(true.rate)} true, {_percent(measured.rate)} measured"
            yield f"true: half the face free, {_COUNTING.smallest_px:g} px or larger, for {_COUNTING.visible_s:g} s"
        if lived := self.lifetimes.values():
            late, pictures = sum(one.late for one in lived), sum(one.pictures for one in lived)
            yield f"pixels       at most {late} of {pictures} pictures lived longer than 100 ms, or were not confirmed"

    def _totals(self) -> tuple[Counts, Counts]:
        """Return what was measured in all windows, and what is true of the whole run."""
        return _measured(self.windows.values()), _true(p for passages in self.passages.values() for p in passages)

    def missed(self) -> list[str]:
        """Return the promises that were not kept; none if the truth is unknown."""
        if not self.passages:
            return []
        measured, true = self._totals()
        kept = {
            "people": abs(measured.persons - true.persons) <= PERSONS_WITHIN * true.persons,
            "with a mask": _is_near(measured.rate, true.rate),
            "alert fired": "firing" in self.alerts,
            "mail arrived": self.mails > 0,
            "alert cleared": "resolved" in self.alerts,
        }
        return [name for name, is_kept in kept.items() if not is_kept]


def _measured(windows: Iterable[WindowV1]) -> Counts:
    found = [(one.persons or 0, one.masked or 0, (one.unmasked or 0) + (one.incorrect or 0)) for one in windows]
    masked = sum(masked for _, masked, _ in found)
    return Counts(sum(persons for persons, _, _ in found), masked, masked + sum(bare for _, _, bare in found))


def _true(passages: Iterable[Passage]) -> Counts:
    """Return the counts of those who count as seen."""
    masked = [passage.verdict == "masked" for passage in passages]
    return Counts(len(masked), sum(masked), len(masked))


def _is_near(measured: float | None, true: float | None) -> bool:
    if measured is None or true is None:
        return measured is true
    return abs(measured - true) <= RATE_WITHIN


def _percent(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.1%}"


def _clock(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1e9, UTC):%H:%M:%S}"


def _alert_line(alert: AlertV1) -> str:
    rate = f"{alert.rate:.0%} of {alert.persons} with a mask"
    if alert.state == "firing":
        return f"alert    FIRING at {_clock(alert.end)}: {rate}, fewer than {alert.fire_below:.0%}"
    return f"alert    cleared at {_clock(alert.end)}: {rate}, more than {alert.clear_above:.0%}"
