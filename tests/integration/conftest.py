"""One browser, with a camera, for all tests of pages that a worker runs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import browser
import clips
import pytest
import pytest_asyncio
from open_files import open_files
from patience import until
from playwright.async_api import Browser


@pytest.fixture(name="film", scope="session")
def _film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's camera sees: small, or encoding it would cost most of a test."""
    file = tmp_path_factory.mktemp("film") / "film.mjpeg"
    return clips.make_clip(file, fps=15, pictures=30, codec="mjpeg", pixel_format="yuvj420p")


@pytest_asyncio.fixture(name="chromium", scope="session", loop_scope="session")
async def _chromium(film: Path) -> AsyncIterator[Browser]:
    browser.require()
    async with browser.launched(f"--use-file-for-fake-video-capture={film}") as found:
        yield found


@pytest_asyncio.fixture(name="ended", loop_scope="session")
async def _ended(chromium: Browser) -> AsyncIterator[None]:
    """Nothing goes on in the loop that these tests share."""
    before, files = asyncio.all_tasks(), open_files()
    yield
    await until(lambda: asyncio.all_tasks() - before <= {asyncio.current_task()}, lambda: asyncio.all_tasks() - before)
    await until(lambda: not open_files() - files, lambda: sorted(open_files() - files))  # whose loop this is
