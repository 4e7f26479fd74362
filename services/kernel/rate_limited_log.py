"""How often the same is logged: what others send may come as fast as they like, and a log must not fill by it."""

AGAIN_NS = 60_000_000_000
"""How long the same is not logged again. A counter beside the log has the rest."""
_MAX_EVENTS = 1_024


class RateLimitedLog:
    """Says whether something may be logged: once in AGAIN_NS for each key, for the last 1024 keys."""

    def __init__(self) -> None:
        self._logged: dict[tuple[str, ...], int] = {}

    def may(self, now: int, *key: str) -> bool:
        """Return whether this key was not logged lately; then it counts as logged. `now` is `boottime_ns`."""
        last = self._logged.get(key)
        if last is not None and now - last < AGAIN_NS:
            return False
        self._logged.pop(key, None)
        self._logged[key] = now
        while len(self._logged) > _MAX_EVENTS:
            del self._logged[next(iter(self._logged))]
        return True
