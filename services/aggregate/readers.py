"""Tells how many readers' accounts have all their streams (ADR 45)."""

from collections.abc import Mapping

from prometheus_client import Gauge

from services.bus.mirroring import State

READERS = Gauge(
    "moretta_readers",
    "Readers' accounts in NATS: `served` have all their streams, `failed` lack one, have one that is behind, or could"
    " not be looked at",
    ["state"],
)


def show(states: Mapping[State, int]) -> None:
    """Show the number of accounts in each state."""
    for state, count in states.items():
        READERS.labels(state).set(count)
