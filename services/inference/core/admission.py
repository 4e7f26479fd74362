"""Whether a frame may wait for a lane (ADR 14). Durations are integer nanoseconds."""

MOST_WAITING = 8
"""Sealed frames that wait, for each lane."""
_SPENT = 0.6
"""So much of its budget may a frame that waits be expected to have spent when it is done: under overload all that waits
takes longer than expected, and the way back to ingest is still to come."""


def may_wait(age_ns: int, budget_ns: int, *, ahead: int, lanes: int, typical_ns: int, slow_ns: int) -> bool:
    """Return whether a frame of this age, behind `ahead` waiting ones, would be done with room to spare.

    Those before it are expected to take `typical_ns` each (the median), itself `slow_ns` (the 95th percentile).
    """
    if ahead >= MOST_WAITING * lanes:
        return False
    turns = -(-(ahead + 1) // lanes)
    return age_ns + turns * typical_ns + slow_ns <= _SPENT * budget_ns
