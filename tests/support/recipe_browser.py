"""The recipe browser.html in a real browser, served as its first lines say."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

from browser import chromium, require
from playwright.async_api import Page
from recipes import Recipe


@contextlib.asynccontextmanager
async def served(folder: Path, profile: Path, port: int = 0) -> AsyncIterator[tuple[Page, str]]:
    """The page, bundled and open in a browser, and its origin; `port` is where it is served, 0 for any."""
    require()
    code, _, words = await asyncio.to_thread(Recipe("npm run bundle", folder, {}).result)
    assert code == 0, words
    serve = Recipe(f"venv/bin/python -u -m http.server --bind 127.0.0.1 {port}", folder, {})
    async with contextlib.AsyncExitStack() as stack:
        server = stack.enter_context(serve)
        await asyncio.to_thread(server.until, lambda: server.printed, "a web server")
        (port,) = re.findall(r"port (\d+)", server.printed[0])
        origin = f"http://127.0.0.1:{port}"
        context = await stack.enter_async_context(chromium(profile))
        page = await context.new_page()
        await page.goto(f"{origin}/browser.html")
        yield page, origin


async def connect(page: Page, url: str, seed: str) -> None:
    """Fill the form in, and send it."""
    await page.get_by_label("Address").fill(url)
    await page.get_by_label("Seed").fill(seed)
    await page.get_by_role("button").click()
