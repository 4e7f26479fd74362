"""Which configuration is in force when: a new one takes over at a border of windows, and never within one."""

from math import lcm

from services.aggregate.core.config import SiteConfig


class Schedule:
    """The configurations of a site by the event time from which they hold."""

    def __init__(self, first: SiteConfig) -> None:
        self._entries: list[tuple[int, SiteConfig]] = [(0, first)]

    def at(self, moment: int) -> SiteConfig:
        """Return the configuration in force at an event time."""
        for since, config in reversed(self._entries):
            if since <= moment:
                return config
        return self._entries[0][1]

    def change(self, config: SiteConfig, after: int) -> None:
        """Put a configuration into force at the next border after a moment.

        The border is one of the old windows' and of the new ones': both lengths divide an hour, so there is one at
        the latest at the next full hour. A change that was still to come is replaced.
        """
        self._entries = [entry for entry in self._entries if entry[0] <= after]
        now = self._entries[-1][1]
        if config.sha256 != now.sha256:
            grid = lcm(now.window, config.window)
            self._entries.append(((after // grid + 1) * grid, config))

    def forget(self, before: int) -> None:
        """Drop what holds for closed windows only."""
        while len(self._entries) > 1 and self._entries[1][0] <= before:
            del self._entries[0]
