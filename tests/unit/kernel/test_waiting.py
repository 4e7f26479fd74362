"""Which streams take nothing, and since when."""

import pytest
from prometheus_client import REGISTRY

from services.bus.streams import storing
from services.bus.streams.storing import Waiting


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(storing.time, "monotonic", lambda: now[0])
    return now


def seconds(stream: str) -> float | None:
    return REGISTRY.get_sample_value("moretta_bus_unstored_seconds", {"stream": stream})


def test_what_passes_is_not_told_and_what_stays_is(clock: list[float]):
    """A leader's election is no trouble; a full disk is, and it is over when a message is taken."""
    one = Waiting()
    one.done("WINDOWS")
    one.failed("WINDOWS")
    one.failed("PASSAGES")
    clock[0] += 9
    one.failed("WINDOWS")
    assert (one.in_words, seconds("WINDOWS")) == ("", 9)
    one.done("PASSAGES")
    clock[0] += 3
    one.failed("WINDOWS")
    assert one.in_words == "NATS takes no message for WINDOWS for 12 s; is its disk full? See docs/operations.md"
    one.done("WINDOWS")
    assert (one.in_words, one.long, seconds("WINDOWS")) == ("", {}, 0)


def test_with_three_servers_a_majority_is_missing(clock: list[float]):
    """A full disk is one reason for that, and a server that is away another."""
    one = Waiting(3)
    one.failed("CAMERAS")
    clock[0] += 12
    why = "no majority of 3 copies: start every server that is away; are their disks full?"
    assert one.in_words == f"NATS takes no message for CAMERAS for 12 s; {why} See docs/operations.md"
    one.done("CAMERAS")
