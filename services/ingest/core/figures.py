"""A camera's published figures: those of the last whole window, in steps (docs/privacy.md). Pure.

Within a window nothing changes, and from window to window nothing by less than a step: a figure that followed each
picture would tell whether somebody is in front of the camera.
"""

import math
from dataclasses import dataclass

from services.privacy.steps import at_most, published_loss, share_of, two_digits, two_digits_up

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of a camera's pictures since its start. `late` includes the unconfirmed ones."""

    sampled: int = 0
    shed: int = 0
    unconfirmed: int = 0
    late: int = 0

    def since(self, earlier: "Totals") -> "Totals":
        """Return what was counted after `earlier`."""
        return Totals(
            max(0, self.sampled - earlier.sampled),
            max(0, self.shed - earlier.shed),
            max(0, self.unconfirmed - earlier.unconfirmed),
            max(0, self.late - earlier.late),
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told of one window, or of one period of the metrics; rates are a second's."""

    start: int
    end: int
    fps: float | None
    analysed_fps: float
    shed_share: float | None
    """At most so many of the sampled pictures were dropped unread; None: none was sampled."""
    pictures: int
    late: int
    """At most so many of `pictures` lived longer than promised."""


class Spans:
    """Turns counts into the figures of whole windows, or of other spans of one length.

    Borders are those of the site's windows (services.aggregate.core.config): at multiples of the length, by a clock
    that is `phase_ns` ahead of UTC. A span that was not seen from its border on gives no figures.
    """

    def __init__(self, length_ns: int, phase_ns: int = 0) -> None:
        self._length, self._phase = length_ns, phase_ns
        self._number: int | None = None
        self._is_whole = False
        self._began, self._before = 0, Totals()
        self.latest: Figures | None = None
        """The figures of the last whole span; None before the first has ended."""

    def step(self, now: int, totals: Totals, fps: float) -> bool:
        """Take the counts at `now` (ns UTC); return whether a border was passed since the last call."""
        number = (now + self._phase) // self._length
        if number == self._number:
            return False
        if self._is_whole and self._number is not None and number == self._number + 1:
            self.latest = self._figures(now, totals, fps)
        # The first span began before we did; after a step of the clock, or a long sleep, we did not see the border.
        is_passed = self._number is not None
        self._is_whole = self._number is not None and number == self._number + 1
        self._number, self._began, self._before = number, now, totals
        return is_passed

    def _figures(self, now: int, totals: Totals, fps: float) -> Figures:
        assert self._number is not None
        start, found = self._number * self._length - self._phase, totals.since(self._before)
        # We are asked every few seconds, so what was counted spans a little more or less than the window.
        scale = self._length / max(1, now - self._began)
        sampled = math.floor(found.sampled * scale + 0.5)
        lived = sampled - published_loss(found.shed, found.sampled) * sampled // max(1, found.sampled)
        analysed = lived - published_loss(found.unconfirmed, found.sampled) * sampled // max(1, found.sampled)
        pictures = two_digits_up(max(0, lived))
        share = at_most(found.late, found.sampled - found.shed)
        return Figures(
            start=start,
            end=start + self._length,
            fps=two_digits(fps) if fps else None,
            analysed_fps=two_digits(max(0, analysed) * SECOND / self._length),
            shed_share=at_most(found.shed, found.sampled) if found.sampled else None,
            pictures=pictures,
            late=share_of(share, pictures),
        )
