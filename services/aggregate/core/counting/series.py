"""The series of a site's windows, without holes: which windows are open, and which configuration each of them has."""

from proto.sightings import PassageV1
from services.aggregate.core.config import ConfigSchedule, SiteConfig
from services.aggregate.core.counting.windows import OpenWindow


class WindowSeries:
    """A site's windows from the earliest one that is still open; all windows before it are published and final."""

    def __init__(self, schedule: ConfigSchedule) -> None:
        self.schedule = schedule
        self._start: int | None = None
        self._open: dict[int, OpenWindow] = {}
        self._waiting: list[PassageV1] = []
        """Restored passages of windows that are not open yet."""

    def begin(self, start: int, waiting: list[PassageV1]) -> None:
        """Begin with the window that starts then (ns); `waiting` are passages that their windows will count."""
        self._start, self._waiting = start, waiting

    @property
    def has_begun(self) -> bool:
        """Whether the first window is known."""
        return self._start is not None

    @property
    def start(self) -> int:
        """Start of the earliest window that is still open, ns."""
        assert self._start is not None, "begin() comes first"
        return self._start

    @property
    def end(self) -> int:
        """The end of that window, ns."""
        return self.schedule.window_at(self.start)[1]

    @property
    def config(self) -> SiteConfig:
        """The configuration of that window."""
        return self.schedule.at(self.start)

    @property
    def last(self) -> int:
        """Start of the latest window of which something is known, ns; else `start`."""
        return max(self._open, default=self.start)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of any open window, but for passages that wait."""
        return not self._open

    def earliest(self, now: int) -> int:
        """Return the start of the earliest window of which something is known (ns); `now` if there is none."""
        starts = (self.schedule.window_at(passage.at)[0] for passage in self._waiting)
        return min([*self._open, *starts], default=now)

    def window(self, at: int) -> OpenWindow:
        """Return the window that an event time (ns) falls into, with the passages that waited for it."""
        start, end = self.schedule.window_at(at)
        if start not in self._open:
            self._open[start] = window = OpenWindow(start, end, self.schedule.at(at))
            # Not before the replay gets here: an open window delays a change of configuration (see `change`).
            for passage in self._waiting:
                if start <= passage.at < end:
                    window.count(passage)
            self._waiting = [p for p in self._waiting if not start <= p.at < end]
        return self._open[start]

    def close(self, window: OpenWindow) -> None:
        """Go on behind a window, which is the earliest one."""
        del self._open[window.start]
        self._start = window.end
        self.schedule.forget(window.end)

    def skip(self, start: int) -> None:
        """Go on with the window that starts then (ns): those before it are not published."""
        self._start = start

    def change(self, config: SiteConfig, now: int, since: int | None) -> None:
        """Put a configuration into force behind `now` (ns) and behind every open window."""
        self.schedule.change(config, max([now, *self._open]), since)
