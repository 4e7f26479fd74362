"""When a peer is let go: services.ingest.core.reconnect."""

import pytest

from services.ingest.core.reconnect import CONNECT_LIMIT_S, SILENT_S, UNDECODABLE_S, Presence

STEP_S = 0.25


def gone(heard, frames, until=60.0):
    """Judge every quarter of a second: when and why it is let go, (None, None) if it may stay."""
    presence = Presence(100.0)
    for step in range(1, round(until / STEP_S)):
        now = step * STEP_S
        found = presence.judge(100.0 + now, heard=heard(now), frames=frames(now))
        if found is not None:
            return now, found[0]
    return None, None


@pytest.mark.parametrize(
    ("heard", "frames", "when", "why"),
    [
        (lambda now: True, lambda now: int(now * 25), None, None),
        (lambda now: False, lambda now: 0, CONNECT_LIMIT_S, "timeout"),
        (lambda now: now < 2, lambda now: int(now * 25), 1.75 + SILENT_S, "timeout"),
        (lambda now: now % SILENT_S < 1, int, None, None),  # a poor network
        (lambda now: True, lambda now: 0, UNDECODABLE_S, "undecodable"),
        (lambda now: now > 4, lambda now: 0, 4 + UNDECODABLE_S, "undecodable"),  # counted from its first packet
        (lambda now: True, lambda now: min(int(now), 20), 20 + UNDECODABLE_S, "undecodable"),
        (lambda now: True, lambda now: int(now / (UNDECODABLE_S - 1)), None, None),
    ],
)
def test_a_peer_that_is_of_no_use_is_let_go(heard, frames, when, why):
    """Nothing at all, nothing any more, nothing that can be decoded: each has its own limit."""
    found, reason = gone(heard, frames)
    assert reason == why
    assert when is None or when < found <= when + 2 * STEP_S


def test_a_frame_before_the_first_look_counts():
    """From then on the decoder is waited for, not from the offer on."""
    presence = Presence(0.0)
    assert [presence.judge(now, heard=True, frames=1) for now in (4.0, 7.0, 10.5, 14.0)] == [None] * 4
    assert (presence.judge(14.5, heard=True, frames=1) or ("",))[0] == "undecodable"
