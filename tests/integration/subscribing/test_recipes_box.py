"""From nothing to a first value: `moretta up --simulate`, and a recipe with what it says, as in docs/subscribing.md."""

import asyncio
import contextlib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from free_ports import free_ports
from patience import patient
from playwright.async_api import expect
from recipe_browser import connect, served
from recipe_place import PYTHON
from recipes import COMPILE_S, Recipe, compiled
from up_process import UpProcess

pytestmark = [pytest.mark.xdist_group("recipes-box"), pytest.mark.timeout(COMPILE_S + 240)]


ALERT = ["demo", "_site", "few-masks"]


def said(box: UpProcess, start: str) -> list[str]:
    return [one.removeprefix(start) for one in box.words if one.startswith(start)]


@dataclass(frozen=True)
class Simulated:
    """A running box, the variables that it says, where browsers come in, and the port of the pages that it lets in."""

    box: UpProcess
    environment: dict[str, str]
    door: str
    pages: int


@pytest.fixture(name="simulated", scope="module")
def _simulated(needs_recipes) -> Iterator[Simulated]:
    compiled("plain")  # not while the box runs
    ports = free_ports(2)
    door = f"127.0.0.1:{ports[0]}"
    box = UpProcess(["--simulate", "--websocket", door, "--origin", f"http://127.0.0.1:{ports[1]}"]).start()
    try:
        box.wait_for(lambda: said(box, "subscribers: "), 90, "where it is")
        (line,) = said(box, "subscribers: export ")
        yield Simulated(box, dict(one.split("=", 1) for one in shlex.split(line)), door, ports[1])
    finally:
        assert box.stop() == 0


async def test_from_nothing_to_a_value(folder, simulated):
    """Windows and an alert come as they are published."""
    box, env = simulated.box, simulated.environment
    with Recipe(f"{PYTHON} latest.py", folder, env) as windows, Recipe(f"{PYTHON} alerts.py", folder, env) as alerts:
        await asyncio.to_thread(windows.until, lambda: len(windows.printed) >= 3, "windows", 90)
        assert {one.split()[2] for one in windows.printed[:3]} == {"_site", "gate", "hall"}
        await asyncio.to_thread(alerts.until, lambda: alerts.printed, "an alert", 90)
        assert alerts.printed[0].split()[:4] in (["firing", *ALERT], ["resolved", *ALERT]), "it may be over by then"
        assert not any("[WRN]" in one for one in box.words), "a warning that means nothing to a newcomer"


async def test_plain_clients(folder, simulated):
    """NATS's own clients read in each way that they know: a durable pull, an ordered consumer, a direct get, core."""
    with contextlib.ExitStack() as stack:
        commands = (f"{PYTHON} plain.py", "node plain.mjs", "./plain")
        running = [stack.enter_context(Recipe(command, folder, simulated.environment)) for command in commands]
        results = await asyncio.gather(*(asyncio.to_thread(plain.result) for plain in running))
    for code, lines, words in results:
        assert (code, words) == (0, [])
        ways = ["pull", "ordered", "direct", "listening", "core"]
        assert [line.split()[0] for line in lines] == ways
        assert {line.split()[2] for line in lines if line != "listening"} == {"demo"}


async def test_a_browser_from_a_page_of_its_own(folder, tmp_path, simulated):
    """The page that --origin names comes in where --websocket says; no seed is asked, the box has its page on."""
    box, door = simulated.box, simulated.door
    async with served(folder, tmp_path / "profile", simulated.pages) as (page, origin):
        assert said(box, "subscribers in a browser: ") == [f"ws://{door}, from pages of {origin}"]
        await connect(page, f"ws://{door}", "")
        await expect(page.get_by_role("status")).to_have_text("connected", timeout=patient(90) * 1000)
        await expect(page.locator("tbody tr")).to_have_count(3)
        (own,) = said(box, "numbers in a browser: ")
        await page.goto(own)
        await expect(page.get_by_role("heading", name="Demo market").first).to_be_visible(timeout=patient(20) * 1000)
