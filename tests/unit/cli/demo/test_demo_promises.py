"""What the demo promises must not depend on the second at which it is started, nor on the kind of console."""

import asyncio
import os
import signal
from email.message import EmailMessage
from io import StringIO
from pathlib import Path

import messages
import numpy as np
import pytest
from patience import patient
from rich.console import Console

from operate.simulation.demo import site
from operate.simulation.demo.command import Demo, _interruptible
from operate.simulation.demo.films import plans
from operate.simulation.demo.sink import Mail
from operate.simulation.plan import Passage
from proto.public import WindowV1
from services.aggregate.core.rules import RuleState, fold
from services.kernel.settings import convert
from services.sites.settings import RuleSettings

SECOND = 1_000_000_000
PLANS = plans()
LENGTH_S = max(plan.scenario.length_s for plan in PLANS.values())
PASSAGES = [passage for name, plan in PLANS.items() for passage in plan.passages(name)]


def windows(offset_s: float) -> list[WindowV1]:
    """Return the site's windows if all who count as seen are counted; the films start `offset_s` into the first."""
    made = []
    for index in range(int((LENGTH_S + offset_s) // site.WINDOW_S) + 1):
        start = index * site.WINDOW_S - offset_s
        end = start + site.WINDOW_S
        masked = [passage.verdict == "masked" for passage in PASSAGES if start <= passage.at < end]
        observed = min(end, LENGTH_S) - max(start, 0.0)
        made.append(_window(index, sum(masked), len(masked) - sum(masked), observed / site.WINDOW_S))
    return made


def _window(index: int, masked: int, bare: int, coverage: float) -> WindowV1:
    length = round(site.WINDOW_S * SECOND)
    times = {"start": index * length, "end": (index + 1) * length}
    others = (bare, 0, 0)
    return messages.window(masked=masked, others=others, site=site.SITE, profile="lab", coverage=coverage, **times)


def decided(made: list[WindowV1]) -> list[str]:
    """Return the states that the demo's rule goes through."""
    rule = convert(site.simulated({}, 25)["sites"][0]["rules"][0], RuleSettings)
    state, states = RuleState(), []
    for window in made:
        state, alert = fold(rule, state, window)
        states += [alert.state] if alert else []
    return states


@pytest.mark.parametrize("offset_s", np.arange(0, 10, 0.25))
def test_alert_fires_and_clears_whenever_it_is_started(offset_s):
    """Windows are aligned to the clock, films are not: at every offset the alert fires once and clears once."""
    assert decided(windows(float(offset_s))) == ["firing", "resolved"]


@pytest.mark.parametrize("offset_s", [0.0, 3.3, 9.9])
def test_windows_hold_all_who_count_as_seen(offset_s):
    """Whatever the offset, each is in one window."""
    assert sum(w.persons or 0 for w in windows(offset_s)) == len(PASSAGES) == 72


def test_the_film_is_over_within_a_minute():
    """The whole demo fits into little more than a minute: the films are at most 52 s long."""
    assert 40 < LENGTH_S < 52


def test_cameras_stand_in_both_zones():
    """Three cameras cover every zone of the site."""
    assert set(site.CAMERAS.values()) == set(site.ZONES)
    assert len(PLANS) == 3


@pytest.fixture(name="mail")
def _mail(tmp_path) -> Mail:
    message = EmailMessage()
    message["Subject"] = "Too few masks"
    message.set_content("26 %\n")
    return Mail(tmp_path / "mail-1.eml", message)


def demo_on(terminal: bool) -> tuple[Demo, StringIO]:
    out = StringIO()
    return Demo(Path("unused"), Path("mails"), Console(file=out, force_terminal=terminal, width=60)), out


async def test_a_console_without_a_terminal_gets_lines(mail):
    """In a pipe each closed window and each mail is one line, however narrow the console."""
    demo, out = demo_on(terminal=False)
    demo._on_message("subject", _window(1, 5, 15, 1.0))
    demo._on_message("subject", messages.window(0, site="demo", zone="gate", profile="lab"))
    demo._on_mail(mail)
    window, letter = out.getvalue().splitlines()
    assert window.startswith("window 00:00:10")
    assert letter == "mail     Too few masks"
    assert (demo.record.mails, demo.mails) == (1, [mail])


async def test_a_terminal_gets_no_lines_beside_the_live_table(mail):
    """Lines would tear the live table apart; it shows the same."""
    demo, out = demo_on(terminal=True)
    demo._on_message("subject", _window(1, 5, 15, 1.0))
    demo._on_mail(mail)
    assert out.getvalue() == ""
    with demo._showing():
        pass
    assert "00:00:10" in out.getvalue()


async def test_a_service_that_cannot_run_is_named():
    """Exit code 2, and the service's own words."""
    demo, out = demo_on(terminal=False)
    assert demo._reckon(["inference: model.json: cannot be read"]) == 2
    assert "inference: model.json: cannot be read" in out.getvalue()


async def test_a_real_camera_promises_nothing():
    """Without truth there is nothing to miss: exit code 0."""
    demo, _ = demo_on(terminal=False)
    assert demo._reckon([]) == 0


async def test_what_services_said_is_shown_when_something_was_missed():
    """Who has to find out why gets the services' last words, and no more than a few."""
    demo, out = demo_on(terminal=False)
    once = Passage(camera="hall", at=3.0, first=1.0, visible=2.0, hidden=0.0, verdict="masked")
    demo.record.passages = {"hall": [once]}
    for number in range(20):
        demo._on_line("ingest", f"line {number}")
    assert demo._reckon([]) == 1
    assert "ingest: line 19" in out.getvalue()
    assert "ingest: line 11" not in out.getvalue()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_end_the_demo_in_order_and_are_given_back(number):
    """Within the block a signal sets the event; afterwards the process reacts as it did before."""
    before, ended = signal.getsignal(number), asyncio.Event()
    with _interruptible(ended):
        os.kill(os.getpid(), number)
        async with asyncio.timeout(patient(5)):
            await ended.wait()
    after = signal.getsignal(number)
    signal.signal(number, before)
    assert after in {before, signal.default_int_handler, signal.SIG_DFL}
