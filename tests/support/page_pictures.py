"""The page of numbers looked at as different readers see it; MORETTA_PICTURES=1 leaves pictures to be looked at."""

import os
from pathlib import Path

import browser
from playwright.async_api import Page

FOLDER = Path(__file__).parents[2] / "build/page-pictures"
SIZES = {360: 800, 1024: 768, 1920: 1080}
EXAMINED = (
    {("fr", 360): "light", ("en", 1024): "dark"},
    {("fr", 360): "dark", ("en", 1024): "light"},
    {("fr", 1024): "light", ("en", 360): "dark"},
    {("fr", 1024): "dark", ("en", 360): "light"},
)
"""Where axe-core looks at a state, and in which colours: by turns, so that each is looked at in some states.

A wall's screen has the desktop's layout.
"""
LANGUAGES = {"en": "English", "fr": "Français"}


async def looked_at(page: Page, name: str) -> None:
    """axe-core finds nothing and nothing is too wide, in both languages, from phone to wall."""
    examined, pictured = EXAMINED[sum(name.encode()) % len(EXAMINED)], os.environ.get("MORETTA_PICTURES") == "1"
    for code in reversed(LANGUAGES):
        await page.get_by_role("button", name=LANGUAGES[code]).click()
        for width, height in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, code, width)
            if scheme := examined.get((code, width)):
                await page.emulate_media(color_scheme=scheme)
                await browser.accessible(page)
            if pictured:
                await _pictured(page, f"{name}-{width}-{code}")


async def _pictured(page: Page, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.screenshot(path=FOLDER / f"{name}-{scheme}.png", full_page=True)
