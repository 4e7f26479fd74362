"""The page of numbers looked at as different readers see it; MORETTA_PICTURES=1 leaves pictures to be looked at."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import browser
from examples import LONG
from playwright.async_api import Page

FOLDER = Path(__file__).parents[2] / "build/page-pictures"
SIZES = {360: 800, 1024: 768, 1280: 800, 1920: 1080}
CUT = """
[...document.querySelectorAll("body *:not(svg *):not(.unseen):not(.scroll)")]
  .filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${one.tagName}.${one.className}`)
"""
"""The elements whose content is wider than they are: it runs into others, or out of sight. A table can be scrolled."""
Scheme = Literal["light", "dark"]
EXAMINED: tuple[dict[tuple[str, int], Scheme], ...] = (
    {("fr", 360): "light", ("en", 1024): "dark"},
    {("fr", 360): "dark", ("en", 1024): "light"},
    {("fr", 1024): "light", ("en", 360): "dark"},
    {("fr", 1024): "dark", ("en", 360): "light"},
)
"""Where axe-core looks at a state, and in which colours: by turns, so that each is looked at in some states.

The long run looks at each state in all of them. A wall's screen has the desktop's layout.
"""
LANGUAGES = {"en": "English", "fr": "Français"}


async def looked_at(page: Page, name: str) -> None:
    """axe-core finds nothing and nothing is too wide, in both languages, from phone to wall."""
    pictured = os.environ.get("MORETTA_PICTURES") == "1"
    for code in reversed(LANGUAGES):
        await page.get_by_role("button", name=LANGUAGES[code]).click()
        for width, height in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, code, width)
            cut = await page.evaluate(CUT)
            assert cut == [], (name, code, width, cut)
            for scheme in _schemes(name, code, width):
                await page.emulate_media(color_scheme=scheme)
                await browser.accessible(page)
            if pictured:
                await _pictured(page, f"{name}-{width}-{code}")


def _schemes(name: str, code: str, width: int) -> Iterator[Scheme]:
    """In which colours a state is looked at in this language and at this width."""
    turn = sum(name.encode()) % len(EXAMINED)
    for examined in EXAMINED if LONG else EXAMINED[turn : turn + 1]:
        if (code, width) in examined:
            yield examined[code, width]


async def _pictured(page: Page, name: str) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.screenshot(path=FOLDER / f"{name}-{scheme}.png", full_page=True)
