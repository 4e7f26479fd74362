"""`moretta demo`, whole: films, embedded NATS, the four services, mails."""

import asyncio
import os
import re
import signal
from io import StringIO

import aiohttp
import pytest
from market import market, market_film
from patience import until
from rich.console import Console

from services.kernel.settings import SettingsError
from testbed.demo.demo import Demo, demo
from testbed.simulation import market as simulated
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.market import CAMERAS
from testbed.simulation.sightings import plans


def spoken(console: Console) -> str:
    return console.file.getvalue()


@pytest.fixture(name="console")
def _console() -> Console:
    return Console(file=StringIO(), width=120)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.timeout(400)
async def test_the_simulation_keeps_its_promises(tmp_path, console):
    """Numbers beside the truth within their bounds, an alert fires, a mail comes, the alert clears; exit code 0."""
    mails = tmp_path / "mails"
    code = await demo(tmp_path, None, None, console, mails)
    text = spoken(console)
    assert code == 0, text
    assert re.search(r"people +72 true, \d+ measured", text)
    assert re.search(r"with a mask +58\.3% true", text)
    assert re.search(r"at most \d+ of \d+ pictures lived longer than 100 ms", text)
    assert "mail to field-staff@market.example: " in text
    assert text.index("FIRING at") < text.index("cleared at")
    assert len(list(mails.glob("mail-*.eml"))) == 2
    assert f"mails of this run, kept as .eml in {mails}: 2; no picture" in text


def people(console: Console) -> int:
    """Return how many people the windows told so far."""
    return sum(int(number) for number in re.findall(r"^window .*?people (\d+)", spoken(console), re.MULTILINE))


@pytest.mark.timeout(120)
@pytest.mark.first
async def test_a_real_camera_shows_numbers_without_truth(tmp_path, console):
    """A file as camera is looped and counted until Ctrl-C; what is true nobody knows."""
    clip = market_film(tmp_path / "clip.mp4", (6, 0.5))
    running = asyncio.create_task(demo(tmp_path, str(clip), 600.0, console, tmp_path / "mails"))
    await until(lambda: running.done() or people(console), lambda: f"somebody is counted: {spoken(console)}", 90)
    assert not running.done(), spoken(console)
    os.kill(os.getpid(), signal.SIGINT)
    code = await running
    text = spoken(console)
    assert code == 0, text
    assert re.search(r"^window +\d\d:\d\d:\d\d", text, re.MULTILINE)
    assert people(console) > 0
    assert "true" not in text


@pytest.mark.timeout(120)
async def test_a_real_camera_is_shown_for_the_time_given(tmp_path, console):
    """And then the demo ends by itself."""
    clip = market_film(tmp_path / "clip.mp4", (1, 0.5))
    assert await demo(tmp_path, str(clip), 1.0, console, tmp_path / "mails") == 0, spoken(console)


def brief() -> dict[str, Plan]:
    """Who walks past each camera in films of a few seconds."""
    return plans(market((3, 0.5)), list(CAMERAS))


@pytest.mark.timeout(120)
async def test_cut_short_it_says_what_was_missed(tmp_path, console, monkeypatch):
    """Stopped before anybody could be counted, the demo fails and names each promise; it tells of its own mails."""
    (mails := tmp_path / "mails").mkdir()
    (mails / "mail-1.eml").write_text("of an earlier run")
    monkeypatch.setattr(simulated, "plans", brief)
    code = await demo(tmp_path, None, 1.0, console, mails)
    text = spoken(console)
    assert code == 1
    assert f"mails of this run, kept as .eml in {mails}: 0" in text
    assert "missed: people, with a mask, alert fired, mail arrived, alert cleared" in text


@pytest.mark.timeout(120)
async def test_on_a_terminal_the_page_stays_beside_the_result_until_ctrl_c(tmp_path, monkeypatch):
    """The result is printed once, and the exit code is its own."""
    monkeypatch.setattr(simulated, "plans", brief)
    console = Console(file=StringIO(), width=120, force_terminal=True)
    running = asyncio.create_task(demo(tmp_path, None, None, console, tmp_path / "mails"))
    await until(lambda: "until Ctrl-C" in spoken(console), "the page stays", 30)
    (url,) = re.findall(r"The page stays at (\S+) until Ctrl-C", spoken(console))
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
    assert not running.done()
    os.kill(os.getpid(), signal.SIGINT)
    code = await running
    assert spoken(console).count("people       ") == 1
    assert code == ("missed: " in spoken(console))


async def test_interrupted_while_the_films_are_made_nothing_is_started(tmp_path, console, monkeypatch):
    """Ctrl-C during the first seconds ends the demo without starting the system."""
    made = simulated.films

    async def interrupted(*how):
        os.kill(os.getpid(), signal.SIGINT)
        return await made(*how)

    monkeypatch.setattr(simulated, "plans", brief)
    monkeypatch.setattr(simulated, "films", interrupted)
    assert await demo(tmp_path, None, None, console, tmp_path / "mails") == 1
    assert not (tmp_path / "identities").exists()
    assert "stopped before the end: nothing to compare" in spoken(console)
    assert "missed" not in spoken(console)


async def test_a_missing_camera_is_refused_before_anything_starts(tmp_path, console):
    """A user's mistake ends at once, without a service started."""
    with pytest.raises(SettingsError, match="no such file or device"):
        await demo(tmp_path, "missing.mp4", None, console, tmp_path / "mails")
    assert not (tmp_path / "identities").exists()
    assert spoken(console) == ""


async def test_what_services_said_is_shown_when_something_was_missed(tmp_path, console):
    """Who has to find out why gets the services' last words, and no more than a few."""
    run = Demo(tmp_path, tmp_path / "mails", console)
    run.seen.passages = {"hall": []}
    for number in range(20):
        run._on_line("ingest", f"line {number}")
    assert run._judged() == 1
    assert "ingest: line 19" in spoken(console)
    assert "ingest: line 11" not in spoken(console)
