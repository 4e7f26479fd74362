"""FFmpeg's log lines: services.ingest.sources.ffmpeg."""

import logging

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from services.ingest.sources.ffmpeg import QUIET_NS, LavHandler, forward_log, scrub

SECRET = "hunter2s3cret"


class Clock:
    """Time that the test moves."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


@pytest.fixture(name="handler")
def _handler():
    """An installed handler with a clock; what was there before is put back."""
    root = logging.getLogger("libav")
    before = (list(root.handlers), root.propagate, root.level)
    handler = forward_log(LavHandler(clock=Clock()))
    yield handler
    root.handlers[:], root.propagate = before[0], before[1]
    root.setLevel(before[2])
    av.logging.set_level(None)


def say(text, level=av.logging.ERROR, name="rtsp"):
    """Let FFmpeg's own logger say something."""
    av.logging.log(level, name, text)


def test_lines_of_ffmpeg_come_to_structlog(handler):
    """A warning of FFmpeg's C code is an event with the part that said it; what is less than a warning is not."""
    with capture_logs() as logs:
        say("method DESCRIBE failed", name="rtsp")
        say("stream #0 opened", level=av.logging.INFO)
    assert logs == [
        {"event": "ffmpeg", "part": "rtsp", "text": "method DESCRIBE failed", "log_level": "warning"},
    ]


def test_a_line_is_said_once_a_minute_and_then_counted(handler):
    """The same line of every packet comes once; after a minute it comes again with how often it was kept back."""
    with capture_logs() as logs:
        for i in range(100):
            say(f"error while decoding MB {i} 17, bytestream {i * 3}", name="h264")
        handler._clock.now += QUIET_NS
        say("error while decoding MB 5 5, bytestream 5", name="h264")
    assert [entry.get("repeated") for entry in logs] == [None, 99]


def test_different_lines_in_turn_are_each_said_once(handler):
    """Two lines that alternate do not reset each other."""
    with capture_logs() as logs:
        for _ in range(20):
            say("one thing")
            say("another thing")
    assert [entry["text"] for entry in logs] == ["one thing", "another thing"]


def test_credentials_are_removed(handler):
    """No user name, password and path of a URL comes through, even an unescaped one with an @."""
    with capture_logs() as logs:
        say(f"Could not open rtsp://admin:{SECRET}@10.0.0.1:554/cam")
        say(f"also http://admin:pa@{SECRET}@10.0.0.1/x and rtsp://h/x?token={SECRET}&y=1, rtsps://h:7441/{SECRET}")
    assert len(logs) == 2
    assert SECRET not in str(logs)
    assert "10.0.0.1:554/" in logs[0]["text"]


@given(
    st.text(st.characters(whitelist_categories=["L", "N"], whitelist_characters=":@!$.-_~%"), min_size=1, max_size=20),
    st.sampled_from(["rtsp", "rtsps", "http", "https"]),
)
def test_no_password_survives_scrubbing(password, scheme):
    """For any password without a slash, space or quote userinfo and path are gone and the host stays."""
    cleaned = scrub(f"cannot open {scheme}://user:{password}@cam.example/1: 401")
    assert cleaned == f"cannot open {scheme}://***@cam.example/*** 401"


def test_memory_is_bounded(handler):
    """Ever new lines do not fill the memory."""
    with capture_logs() as logs:
        for i in range(1000):
            say("line " + "x" * i)
    assert len(logs) == 1000
    assert len(handler._logged) <= 256


def test_installing_twice_says_it_once(handler):
    """A second install replaces the first."""
    forward_log(LavHandler(clock=Clock()))
    with capture_logs() as logs:
        say("only once")
    assert len(logs) == 1
