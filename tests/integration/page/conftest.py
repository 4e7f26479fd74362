"""One browser for all tests of the page that a worker runs."""

import asyncio
from collections.abc import AsyncIterator

import browser
import pytest_asyncio
from open_files import open_files
from patience import until
from playwright.async_api import Browser


@pytest_asyncio.fixture(name="chromium", scope="session", loop_scope="session")
async def _chromium() -> AsyncIterator[Browser]:
    browser.require()
    async with browser.launched() as found:
        yield found


@pytest_asyncio.fixture(name="ended", loop_scope="session")
async def _ended(chromium: Browser) -> AsyncIterator[None]:
    """Nothing goes on in the loop that these tests share."""
    before, files = asyncio.all_tasks(), open_files()
    yield
    await until(lambda: asyncio.all_tasks() - before <= {asyncio.current_task()}, lambda: asyncio.all_tasks() - before)
    await until(lambda: not open_files() - files, lambda: sorted(open_files() - files))  # whose loop this is
