"""Which configuration is in force when: a new one takes over at a border of windows, and never within one."""

from math import lcm

from services.aggregate.core.config import SiteConfig


class Schedule:
    """The configurations of a site by the event time from which they hold."""

    def __init__(self, first: SiteConfig) -> None:
        self._entries: list[tuple[int, SiteConfig]] = [(first.start_of(0), first)]

    def at(self, moment: int) -> SiteConfig:
        """Return the configuration in force at an event time."""
        return self._entry(moment)[1]

    @property
    def coming(self) -> SiteConfig:
        """The newest configuration, in force or to come."""
        return self._entries[-1][1]

    def window_at(self, moment: int) -> tuple[int, int]:
        """Return start and end of the window that an event time falls into.

        Where a configuration takes over between two of its own borders (its clock differs from the old one's by a part
        of a window), its first window goes on to its second border: none is shorter than a legal profile demands.
        """
        since, config = self._entry(moment)
        first = config.start_of(since)
        border = since if first == since else first + 2 * config.window
        if moment < border:
            return since, border
        start = config.start_of(moment)
        return start, start + config.window

    def change(self, config: SiteConfig, after: int) -> None:
        """Put a configuration into force at the next border after a moment; a change that was to come is replaced."""
        self._entries = [entry for entry in self._entries if entry[0] <= after]
        now = self._entries[-1][1]
        if config.sha256 != now.sha256:
            self._entries.append((self._border(now, config, after), config))

    def forget(self, before: int) -> None:
        """Drop what holds for closed windows only."""
        while len(self._entries) > 1 and self._entries[1][0] <= before:
            del self._entries[0]

    def _entry(self, moment: int) -> tuple[int, SiteConfig]:
        for entry in reversed(self._entries):  # a loop: this is asked several times a message
            if entry[0] <= moment:
                return entry
        return self._entries[0]

    def _border(self, old: SiteConfig, new: SiteConfig, after: int) -> int:
        """Return a border of the old windows and, by the same clock, of the new: both divide an hour, so it is near."""
        end = self.window_at(after)[1]
        if old.phase != new.phase:
            return end
        grid = lcm(old.window, new.window)
        return end + -(end + old.phase) % grid
