"""When to try again, and when to stop: pure, and the same on every run (ADR 8)."""

from hashlib import sha256

FIRST_S = 15.0
LONGEST_S = 5 * 60.0
SLOW_FIRST_S = 5 * 60.0
SLOW_LONGEST_S = 15 * 60.0
JITTER = 0.2


def delay_s(alert: str, attempt: int, *, slow: bool = False) -> float:
    """Return the seconds to wait after this attempt (from 1): doubling, capped, within ±20 % of that.

    The jitter is a hash of alert and attempt, so that alerts that failed together do not all come back together and a
    test can foretell it. `slow` is for a fault that only a person mends: knocking often would lock the account.
    """
    first, longest = (SLOW_FIRST_S, SLOW_LONGEST_S) if slow else (FIRST_S, LONGEST_S)
    doublings = min(max(attempt, 1) - 1, 32)
    return min(first * 2.0**doublings, longest) * (1 + JITTER * _spread(alert, attempt))


def given_up(stored: int, now: int, give_up_after_s: float) -> bool:
    """Return whether an alert stored at `stored` (ns) is too old at `now` (ns) to be worth another attempt."""
    return now - stored > give_up_after_s * 1e9


def _spread(alert: str, attempt: int) -> float:
    """Return a number in [-1, 1) that depends on nothing but its arguments."""
    digest = sha256(f"{alert}/{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1
