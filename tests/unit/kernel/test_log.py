"""Logging: one JSON line an event, readable on a terminal, and no secret whatever way it tries to come out."""

import contextlib
import errno
import io
import json
import logging
import math
import sys
from types import MappingProxyType
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.log import LOST, LogSettings, configure, get_logger, note, redact, redact_value

SECRET = "hunter2"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


class Written:
    """What was written to standard error so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys, self._text = capsys, ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture(name="stderr")
def _stderr(capsys: pytest.CaptureFixture[str]) -> Written:
    """Standard error as the loggers see it."""
    return Written(capsys)


@pytest.fixture(autouse=True)
def _root_logger_is_reset():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(stream: "Written") -> list[dict[str, Any]]:
    return [
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        for line in stream.getvalue().splitlines()
    ]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("rtsp://user:hunter2@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
        ("rtsp://user:hun@hunter2@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
        ("rtsp://user:hunt/hunter2@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
        ("rtsp://user:hunt?hunter2#@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
        ("rtsp://user:hunt'hunter2\"@10.0.0.5/s", "rtsp://***@10.0.0.5/s"),
        ("rtsp://hunter2@10.0.0.5", "rtsp://***@10.0.0.5"),
        ("rtsp://:hunter2@10.0.0.5", "rtsp://***@10.0.0.5"),
        ("RTSP://user:hunter2@h", "RTSP://***@h"),
        ("rtsp:/user:hunter2@h", "rtsp:/***@h"),
        ("nats://a:4222,nats://u:hunter2@b", "nats://a:4222,nats://***@b"),
        ("cannot open 'rtsp://u:hunter2@h/s': timed out", "cannot open 'rtsp://***@h/s': timed out"),
        ("[rtsp @ 0x55] rtsp://u:hunter2@h failed", "[rtsp @ 0x55] rtsp://***@h failed"),
        ("http://h/x?user=a&token=hunter2&y=1", "http://h/x?user=a&token=***&y=1"),
        ("http://h/x?access_token=hunter2", "http://h/x?access_token=***"),
        ("http://h/x?api-key=hunter2", "http://h/x?api-key=***"),
        ("http://h/x?key=hunter2 (404)", "http://h/x?key=*** (404)"),
        ("http://h/x?Passwd=hunter2", "http://h/x?Passwd=***"),
        ("http://h/#auth=hunter2", "http://h/#auth=***"),
        ("login with password=hunter2 failed", "login with password=*** failed"),
        ("{'url': 'rtsp://u:hunter2@h'}", "{'url': 'rtsp://***@h'}"),
        ("no header: b'Authorization: Bearer hunter2\\r'", "no header: b'Authorization: ***"),
        ("{'authorization': 'Basic hunter2=='}", "{'authorization': ***"),
        ("Authorization: Digest a=1, response=hunter2\nHost: x", "Authorization: ***\nHost: x"),
        ("sent Bearer hunter2 to h", "sent Bearer *** to h"),
    ],
)
def test_a_text_is_redacted(text: str, clean: str):
    """User names, passwords and secret query values in URLs, also with @ or / in odd places; tokens in headers."""
    assert redact(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words",
        "rtsp://10.0.0.5:554/stream?channel=1",
        "mail to ana@example.org",
        "see http://h/x and mail a@b.org",
        "monkey=1",
        "http://h/?x=1&keyframes=2",
        "nats.password: is missing; must be a text in quotes",
        "moretta.v1.windows.cannes._site",
    ],
)
def test_what_is_no_secret_stays(text: str):
    """Redaction leaves the rest of a line readable."""
    assert redact(text) == text


@given(
    user=st.text("abcXYZ09_%", max_size=5),
    password=st.text(
        st.characters(blacklist_categories=("Z", "C"), blacklist_characters="@"), min_size=1, max_size=6
    ).map(lambda text: f"{SECRET}{text}{SECRET}"),
    around=st.sampled_from([("", ""), ("'", "'"), ("open ", ": failed"), ("(", ")")]),
)
def test_any_password_in_a_url_is_redacted(user: str, password: str, around: tuple[str, str]):
    """Whatever a password is made of, as long as no space is in it."""
    text = redact(f"{around[0]}rtsp://{user}:{password}@camera.example/live{around[1]}")
    assert SECRET not in text
    assert "camera.example/live" in text


@pytest.mark.parametrize(
    "key",
    ["password", "SMTP_PASSWORD", "passwd", "pwd", "token", "client_secret", "seed", "salt", "api_key", "apiKey",
     "signing_key", "credentials", "authorization", "frames_password"],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [dict, MappingProxyType], ids=["dict", "proxy"])
def test_secret_keys_are_masked_however_deep(key: str, wrap):
    """A value under a secret's key is masked, in any mapping, list or tuple."""
    assert redact_value(wrap({key: SECRET})) == {key: "***"}
    assert SECRET not in str(redact_value([{"a": (wrap({key: {"x": SECRET}}),)}]))


@pytest.mark.parametrize(
    "value",
    ["rtsp://u:hunter2@h", b"rtsp://u:hunter2@h", ["rtsp://u:hunter2@h"], {"rtsp://u:hunter2@h"}, {"a": {"b": "rtsp://u:hunter2@h"}},
     {"rtsp://u:hunter2@h": 1}, ("x", ["rtsp://u:hunter2@h"]), ValueError("rtsp://u:hunter2@h")],
)  # fmt: skip
def test_nested_values_are_redacted(value: object):
    """Texts, bytes, exceptions, sets, keys: nothing is deep enough to hide in."""
    assert SECRET not in json.dumps(redact_value(value))


@examples(50)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.tuples(st.text()), inner),
        max_leaves=8,
    )
)
def test_any_value_becomes_json(value: object):
    """Whatever is logged is a valid JSON value."""
    json.dumps(redact_value(value), allow_nan=False)


def test_json_lines(stderr: Written):
    """One event, one line, with time, level, service and its own keys."""
    configure("ingest")
    get_logger().info("camera\nlive", camera="gate", fps=25.0, share=math.nan, place={("a", 1): b"\xff"})
    assert len(stderr.getvalue().splitlines()) == 1
    event = lines(stderr)[0]
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "camera\nlive",
        "level": "info",
        "service": "ingest",
        "camera": "gate",
        "fps": 25.0,
        "share": "nan",
        "place": {"('a', 1)": "b'\\xff'"},
    }


def test_an_events_secrets_are_redacted(stderr: Written):
    """In the event's words, in its keys' values, and under secret keys."""
    configure("ingest")
    get_logger().warning("open rtsp://u:hunter2@h", url="rtsp://u:hunter2@h", password=SECRET, nested={"token": SECRET})
    assert SECRET not in stderr.getvalue()
    assert lines(stderr)[0]["url"] == "rtsp://***@h"


def fail() -> None:
    raise ValueError("cannot open rtsp://u:hunter2@h/x?token=hunter2")


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exceptions_text_is_redacted(stderr: Written, form):
    """A library's error quotes the URL that it could not open: the traceback is kept, the password is not."""
    configure("ingest", LogSettings(format=form))
    try:
        fail()
    except ValueError:
        get_logger().exception("failed")
        logging.getLogger("library").exception("failed")
    text = stderr.getvalue()
    assert text.count("Traceback") == text.count("ValueError: cannot open rtsp://***@h/x?token=***") == 2
    assert SECRET not in text


def test_a_cause_is_redacted(stderr: Written):
    """Also the error behind the error."""
    configure("ingest")
    try:
        with contextlib.suppress(KeyError):
            raise KeyError
        try:
            fail()
        except ValueError as cause:
            raise RuntimeError("no picture from rtsp://u:hunter2@h") from cause
    except RuntimeError as error:
        get_logger().error("failed", exc_info=error)
    assert "direct cause" in lines(stderr)[0]["exception"]
    assert SECRET not in stderr.getvalue()


def test_the_standard_librarys_loggers(stderr: Written):
    """Libraries log through the same chain: JSON, the service's name, redacted; below warning nothing."""
    configure("notify")
    logging.getLogger("aiohttp.access").info("nobody asked")
    logging.getLogger("nats").warning("lost %s", "nats://u:hunter2@h")
    assert [(e["event"], e["level"], e["service"]) for e in lines(stderr)] == [
        ("lost nats://***@h", "warning", "notify")
    ]


def test_the_level(stderr: Written):
    """What is below the level is not written."""
    configure("ingest", LogSettings(level="warning"))
    get_logger().info("quiet")
    get_logger().warning("loud")
    assert [event["event"] for event in lines(stderr)] == ["loud"]


@pytest.mark.parametrize(
    ("form", "terminal", "is_json"),
    [("auto", True, False), ("auto", False, True), ("json", True, True), ("console", False, False)],
)
def test_the_form(monkeypatch: pytest.MonkeyPatch, form, terminal: bool, is_json: bool):
    """JSON for machines, readable on a terminal; the settings may say otherwise."""
    stream = Tty() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure("ingest", LogSettings(format=form))
    get_logger().info("camera live", camera="gate")
    logging.getLogger("library").warning("hm")
    assert stream.getvalue().startswith("{") == is_json
    assert "camera live" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 2


def test_configuring_twice_does_not_double(stderr: Written):
    """A service configures before and after its settings are read."""
    configure("ingest")
    configure("ingest", LogSettings())
    get_logger().info("once")
    logging.getLogger("library").warning("once")
    assert len(lines(stderr)) == 2


class Unwritable(io.StringIO):
    """Standard error that can't be written to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, _text: str) -> int:
        raise self._error


class Unspeakable:
    """A value without a text."""

    def __str__(self) -> str:
        raise RuntimeError("hunter2")


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(), OSError(errno.ENOSPC, "No space left on device"), ValueError("closed file")], ids=repr
)
def test_a_line_that_cannot_be_written_is_dropped(monkeypatch: pytest.MonkeyPatch, error: Exception, form):
    """Logging raises nothing, whoever logs: what a service does next, such as ending, does not depend on its log."""
    monkeypatch.setattr(sys, "stderr", Unwritable(error))
    configure("ingest", LogSettings(format=form))
    before = LOST._value.get()
    get_logger().info("lost")
    get_logger().bind(camera="gate").warning("lost")
    get_logger().exception("lost", exc_info=ValueError("hm"))
    logging.getLogger("library").error("lost")
    assert LOST._value.get() - before == 4


def bare(event: str) -> dict[str, str]:
    return {"event": event, "level": "error", "service": "ingest", "log_error": "RuntimeError"}


def test_a_line_that_cannot_be_made_is_its_event_alone(stderr: Written):
    """A value whose text can't be had costs what else the line has, and does not bring the arguments into the log."""
    configure("ingest")
    before = LOST._value.get()
    get_logger().error("open rtsp://u:hunter2@h", camera="gate", value=Unspeakable())
    get_logger().bind(value=Unspeakable()).exception("ended", exc_info=ValueError("hm"))
    logging.getLogger("library").error("at %s", Unspeakable())
    found = lines(stderr)
    assert all(event.pop("timestamp").endswith("Z") for event in found)
    assert found == [bare("open rtsp://***@h"), bare("ended"), bare("at %s")]
    assert LOST._value.get() == before


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_note_that_fails_costs_no_line(stderr: Written, form):
    """Every line would have it; a library's, too. Its error is named, and the next lines are whole again."""
    configure("ingest", LogSettings(format=form))
    before = LOST._value.get()
    note("broken", Unspeakable().__str__)
    get_logger().error("a task ended")
    logging.getLogger("library").error("a library's task ended")
    note("broken", None)
    get_logger().error("whole", camera="gate")
    first, second, third = stderr.getvalue().splitlines()
    assert "a task ended" in first
    assert "a library's task ended" in second
    assert "RuntimeError" in first
    assert "RuntimeError" in second
    assert "gate" in third
    assert SECRET not in first + second
    assert LOST._value.get() == before


def test_an_event_without_a_text_is_dropped(stderr: Written):
    """Then nothing is left to write; the next line is written."""
    configure("ingest")
    before = LOST._value.get()
    get_logger().error(Unspeakable())
    logging.getLogger("library").error(Unspeakable())
    get_logger().error("kept")
    assert [event["event"] for event in lines(stderr)] == ["kept"]
    assert LOST._value.get() - before == 2
