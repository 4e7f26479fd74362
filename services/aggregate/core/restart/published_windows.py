"""Which windows are published, before the start or since, and which zones are known to have held then."""

from collections.abc import Mapping

from proto.public import WindowV1
from proto.types import WHOLE_SITE
from services.aggregate.core.config import ConfigSchedule


class PublishedWindows:
    """The windows of a site that are published: none of them is published again."""

    def __init__(self, since: int | None) -> None:
        self._since = since
        """From when the first configuration holds, ns; None while nothing says it."""
        self._before: Mapping[str, WindowV1] = {}
        """Each zone's last window from before the start."""
        self._ends: dict[str, int] = {}
        """End of each zone's last window, ns."""

    def restore(self, windows: Mapping[str, WindowV1]) -> None:
        """Take over each zone's last window from before the start."""
        self._before, self._ends = windows, {zone: window.end for zone, window in windows.items()}

    def begin(self, schedule: ConfigSchedule) -> None:
        """Put the border between windows from before the start and later ones into the schedule."""
        if done := self._ends.get(WHOLE_SITE):
            schedule.go_on_from(done)
        else:
            self._since = self._since or 0

    def configured(self, now: int) -> None:
        """Record that a configuration was announced at `now`, ns."""
        if self._since is None:
            self._since = now

    def add(self, window: WindowV1) -> WindowV1 | None:
        """Record a window of the series; return its zone's last one from before the start if it was published then."""
        before = self._before.get(window.zone)
        if before is not None and window.start < before.end:
            return before
        self._ends[window.zone] = window.end
        return None

    def is_known(self, window: WindowV1) -> bool:
        """Return whether the window's zone is known to have held then.

        The first configuration stands for those before it, too, which the stream may no longer have. They had the zones
        of the last published window, in which the whole site comes last.
        """
        end, done = self._ends.get(window.zone, -1), self._ends.get(WHOLE_SITE, 0)
        if window.zone == WHOLE_SITE or end >= min(done, window.end):
            return True
        return self._since is not None and window.start >= max(self._since, done)
