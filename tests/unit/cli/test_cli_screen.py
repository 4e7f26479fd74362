"""The live table of `moretta up`: operate.box.screen."""

import json
from datetime import UTC, datetime

import pytest
from golden import BY_TYPE
from msgspec import convert
from rich.console import Console

from operate.box.screen import Screen
from operate.live_state import LiveState
from proto.public import CameraV1, WindowV1
from services.sites.settings import SiteSettings

SITE = {"id": "cannes", "cameras": [{"id": "gate-1", "url": "x"}]}


def shown(screen: Screen, height: int) -> list[str]:
    """What a terminal of 80 columns shows, a line each."""
    console = Console(width=80, height=height, force_terminal=False)
    with console.capture() as captured:
        console.print(screen)
    return captured.get().splitlines()


@pytest.fixture(name="screen")
def _screen() -> Screen:
    view = LiveState()
    screen = Screen(view, [convert(SITE, SiteSettings)])
    view.take(BY_TYPE[WindowV1])
    view.take(BY_TYPE[CameraV1])
    screen.notes = ["operators: -c /tmp/moretta-x/identities/operator.yaml", "camera page: https://192.0.2.7:8443/"]
    for number in range(9):
        screen.write("ingest", json.dumps({"event": f"event {number}", "level": "info"}))
    return screen


@pytest.mark.parametrize(("height", "said"), [(40, 6), (24, 3), (20, 0)])
def test_a_low_terminal_shows_less_of_what_was_said(screen: Screen, height: int, said: int):
    """A live table is cut at the terminal's height: tables and notes are whole, the last words fill the rest."""
    lines = shown(screen, height)
    assert len(lines) < height
    assert sum("ingest: event" in line for line in lines) == said
    assert any("event 8" in line for line in lines) == (said > 0)
    for note in screen.notes:
        assert any(line.strip() == note for line in lines)


@pytest.mark.parametrize("height", [40, 24])
def test_an_error_is_told_to_its_end(screen: Screen, height: int):
    """The remedy comes last. On a low terminal the beginning of what was said makes room for it."""
    known = ", ".join(f"key_{number}" for number in range(20))
    why = f"site.yaml: rules[0].fire_belw: unknown key; known here are {known}; did you mean fire_below?"
    screen.write("aggregate", json.dumps({"event": "settings not reloaded", "level": "error", "why": why}))
    lines = shown(screen, height)
    assert len(lines) < height
    said = " ".join(line.strip("│ ") for line in lines)
    assert "did you mean fire_below?" in said
    if height == 40:
        assert why in said


def test_a_note_that_is_too_wide_is_named_and_not_wrapped(screen: Screen):
    """A paste of two lines would run the first alone; the whole line was printed above the tables."""
    line = f"subscribers: export NATS_URL=nats://127.0.0.1:4222 NATS_NKEY=/tmp/{'x' * 30}/subscriber.nk"
    screen.notes = [line, "operators: -c operator.yaml"]
    lines = [one.strip() for one in shown(screen, 40)]
    assert "subscribers: see the line above the tables" in lines
    assert "operators: -c operator.yaml" in lines
    assert not any("export" in one for one in lines)


def waiting(*sites: dict, at: datetime) -> list[str]:
    """What is shown before there is a window."""
    screen = Screen(LiveState(), [convert(SITE | one, SiteSettings) for one in sites], now=lambda: ns(at))
    screen.page = "numbers in a browser: http://127.0.0.1:8088/"
    return shown(screen, 40)


def ns(at: datetime) -> int:
    return round(at.timestamp()) * 1_000_000_000


def test_the_page_comes_first_and_the_first_numbers_are_counted_down_to():
    """By the clock of the site, of the first of several, and not where recordings have clocks of their own."""
    at = datetime(2026, 11, 30, 10, 7, 14, tzinfo=UTC)
    paris, kathmandu = {"timezone": "Europe/Paris"}, {"id": "ktm", "timezone": "Asia/Kathmandu", "window_s": 3600.0}
    lines = waiting(paris, at=at)
    assert lines[0].strip() == "numbers in a browser: http://127.0.0.1:8088/"
    assert any("first numbers at 11:20:05 at the earliest, in 12 min 51 s" in line for line in lines)
    assert any("first numbers at 16:00:05" in line for line in waiting(paris, kathmandu, at=at))
    films = waiting({"close_on_end": True}, at=at)
    assert any("first numbers when the recordings' first window closes" in line for line in films)
    assert any(
        "no camera: nobody is counted; earlier numbers are there" in line for line in waiting({"cameras": []}, at=at)
    )


def test_other_settings_change_what_is_shown(screen: Screen):
    """A removed camera is no row any more."""
    assert any("gate-1" in line for line in shown(screen, 40))
    screen.show([convert({"id": "cannes"}, SiteSettings)])
    assert not any("gate-1" in line for line in shown(screen, 40))
    assert any("cameras up 0/0" in line for line in shown(screen, 40))
