"""From nothing to a first value: `moretta up --simulate`, and a recipe with what it says, as in docs/subscribing.md."""

import asyncio
import contextlib
import shlex
import socket

import pytest
from playwright.async_api import expect
from recipe_browser import connect, served
from recipe_place import PYTHON
from recipes import Recipe
from up_process import UpProcess

pytestmark = [pytest.mark.usefixtures("needs_recipes"), pytest.mark.timeout(240)]


def said(box: UpProcess, start: str) -> list[str]:
    return [one.removeprefix(start) for one in box.words if one.startswith(start)]


@contextlib.contextmanager
def simulated(*more: str):
    """A running box, and the variables that it says."""
    box = UpProcess(["--simulate", *more])
    try:
        box.start()
        box.wait_for(lambda: said(box, "subscribers: "), 90, "where it is")
        (line,) = said(box, "subscribers: export ")
        yield box, dict(one.split("=", 1) for one in shlex.split(line))
    finally:
        assert box.stop() == 0


async def test_from_nothing_to_a_value(folder):
    """Windows and an alert come as they are published."""
    with (
        simulated() as (box, env),
        Recipe(f"{PYTHON} windows.py", folder, env) as windows,
        Recipe(f"{PYTHON} alerts.py demo", folder, env) as alerts,
    ):
        await asyncio.to_thread(windows.until, lambda: len(windows.printed) >= 3, "windows", 90)
        assert {one.split()[2] for one in windows.printed[:3]} == {"_site", "gate", "hall"}
        await asyncio.to_thread(alerts.until, lambda: len(alerts.printed) >= 1, "an alert", 90)
        assert alerts.printed[0].startswith("firing demo _site few-masks since=")
        assert not any("[WRN]" in one for one in box.words), "a warning that means nothing to a newcomer"


async def test_a_browser_from_a_page_of_its_own(folder, tmp_path):
    """The page that --origin names comes in where --websocket says; no seed is asked, the box has its page on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        door = f"127.0.0.1:{free.getsockname()[1]}"
    async with served(folder, tmp_path / "profile") as (page, origin):
        with simulated("--websocket", door, "--origin", origin) as (box, _env):
            assert said(box, "subscribers in a browser: ") == [f"ws://{door}, from pages of {origin}"]
            await connect(page, f"ws://{door}", "")
            await expect(page.get_by_role("status")).to_have_text("connected", timeout=90_000)
            await expect(page.locator("tbody tr")).to_have_count(3)
            (own,) = said(box, "numbers in a browser: ")
            await page.goto(own)
            await expect(page.get_by_role("heading", name="Demo market").first).to_be_visible(timeout=20_000)
