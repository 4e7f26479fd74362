"""A peer's frames on their way to the decoder: services.ingest.sources.peer and services.ingest.core.sdp."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.core.rate_limiter import MAX_ATTEMPTS, WITHIN_NS, RateLimiter
from services.ingest.core.sdp import is_key
from services.ingest.sources.address import SourceError
from services.ingest.sources.peer import MAX_BYTES, MAX_FRAMES, EncodedQueue, PeerSlot

KEY, DELTA = b"\x10", b"\x11"
"""First bytes of VP8 frames."""


@pytest.mark.parametrize(
    ("codec", "data", "key"),
    [
        ("vp8", KEY, True),
        ("vp8", DELTA, False),
        ("vp8", b"", False),
        ("h264", b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65idr", True),
        ("h264", b"\0\0\1\x06sei\0\0\1\x41slice\0\0\1\x65idr", False),
        ("h264", b"\0\0\0\1\x67sps\0\0\0\1", False),
        ("h264", b"\0\0\1", False),
        ("h264", b"", False),
    ],
)
def test_key_frames(codec, data, key):
    """The first slice says whether a decoder can start here."""
    assert is_key(codec, data) is key


class Line:
    """A queue with what it did."""

    def __init__(self):
        self.now, self.asked, self.dropped, self.closed = 0, 0, 0, 0
        self.queue = EncodedQueue("vp8", on_close=self.close, on_drop=self.drop, clock=lambda: self.now)
        self.queue.on_key_wanted(self.ask)

    def ask(self):
        self.asked += 1

    def drop(self, count):
        self.dropped += count

    def close(self):
        self.closed += 1


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(1, MAX_BYTES // 3)), max_size=60))
def test_the_queue_is_bounded_and_never_decodes_from_the_middle(steps):
    """Whatever comes and goes: it holds 16 frames and 4 MiB at most, and after what was dropped comes a key frame."""
    line, stamp, taken, offered, lost = Line(), 0, [], [], False
    for is_taken, key, size in steps:
        if is_taken and line.queue._frames:
            taken.append(line.queue.take())
            continue
        stamp += 1
        offered.append(stamp)
        line.queue.offer((KEY if key else DELTA) + bytes(size), stamp)
        assert len(line.queue._frames) <= MAX_FRAMES
        assert sum(len(data) for data, *_ in line.queue._frames) == line.queue._bytes <= MAX_BYTES
    taken += line.queue._frames
    assert len(taken) + line.dropped == len(offered)
    for before, (_, stamp, key) in zip([(b"", 0, False), *taken], taken, strict=False):
        lost = stamp != before[1] + 1
        assert key or (before[1] > 0 and not lost)


def test_an_empty_frame_is_nothing():
    """Packets without payload make one; a decoder would take it for the end of the stream."""
    line = Line()
    for data in (KEY, b"", DELTA):
        line.queue.offer(data, 1)
    assert [line.queue.take()[0] for _ in range(2)] == [KEY, DELTA]
    assert (line.queue.accepted, line.dropped, line.asked) == (2, 0, 0)


def test_a_key_frame_is_asked_for_twice_a_second_at_most():
    """At the start, after an overflow, and until one came."""
    line = Line()
    for step in range(100):
        line.now = step * 40_000_000
        line.queue.offer(DELTA, step)
    assert (line.asked, line.dropped) == (8, 100)


def test_the_first_reason_counts_and_what_waits_is_dropped():
    """Once it is closed nothing is kept, and whoever waits hears why."""
    line = Line()
    line.queue.offer(KEY, 1)
    line.queue.close("timeout", "silent")
    line.queue.close("end-of-stream", "late")
    line.queue.offer(KEY, 2)
    with pytest.raises(SourceError, match="timeout: silent"):
        line.queue.take()
    assert (len(line.queue._frames), line.closed) == (0, 1)


def test_one_peer_sits_at_a_time_and_only_when_waited_for():
    """A camera that is paused, or busy with another peer, takes none; leaving it wakes its thread."""
    seat, leaving, found = PeerSlot(), threading.Event(), []
    first, second = Line().queue, Line().queue
    assert not seat.take(first)

    def wait():
        try:
            found.append(seat.wait(leaving))
        except SourceError as error:
            found.append(error.reason)

    thread = threading.Thread(target=wait)
    thread.start()
    while not seat.take(first):
        pass
    thread.join()
    assert not seat.take(second)
    assert seat.is_taken
    with found[0]:
        pass
    assert (seat.is_taken, first.closed.reason) == (False, "end-of-stream")
    leaving.set()
    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert found[1] == "end-of-stream"


def test_guesses_are_counted_by_address_and_forgotten():
    """The eleventh wrong token in a minute has to wait; a thousand other addresses push the oldest out."""
    guesses = RateLimiter()
    for now in range(MAX_ATTEMPTS):
        assert guesses.wait_ns("a", now) == 0
        guesses.note("a", now)
    assert guesses.wait_ns("a", MAX_ATTEMPTS) == WITHIN_NS - MAX_ATTEMPTS
    assert guesses.wait_ns("b", MAX_ATTEMPTS) == 0
    assert guesses.wait_ns("a", WITHIN_NS) == 0
    for other in range(2_000):
        guesses.note(str(other), 0)
    assert len(guesses._times) <= 1024
