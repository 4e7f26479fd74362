"""Tells how many readers' accounts have all their streams (ADR 45)."""

from collections.abc import Mapping

from prometheus_client import Counter, Gauge

from services.aggregate.mirrors.keeper import State

READERS = Gauge(
    "moretta_readers",
    "Readers' accounts in NATS: `served` have all their streams, `failed` lack one, have one that is behind, or could"
    " not be looked at",
    ["state"],
)
REMOVED = Counter(
    "moretta_reader_consumers_removed_total",
    "Consumers of a reader that were removed because they went beyond a reader's limits; the log has the reason",
    ["account"],
)


def show(states: Mapping[State, int]) -> None:
    """Show the number of accounts in each state."""
    for state, count in states.items():
        READERS.labels(state).set(count)


def count_removed(account: str) -> None:
    """Count a consumer that was removed from a reader's account."""
    REMOVED.labels(account).inc()
