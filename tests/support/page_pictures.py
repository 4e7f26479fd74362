"""Pictures of the page of numbers, left to be looked at, and what holds of all of them."""

from pathlib import Path

import browser
from playwright.async_api import Page

FOLDER = Path(__file__).parents[2] / "build/page-pictures"
SIZES = {360: 800, 1024: 768, 1920: 1080}
EXAMINED = (360, 1024)
"""The widths at which axe-core looks: a wall's screen has the desktop's layout."""
LANGUAGES = {"en": "English", "fr": "Français"}


async def looked_at(page: Page, name: str) -> None:
    """axe-core finds nothing and nothing is too wide, in both languages and colours, from phone to wall."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for code in reversed(LANGUAGES):
        await page.get_by_role("button", name=LANGUAGES[code]).click()
        for width, height in SIZES.items():
            await page.set_viewport_size({"width": width, "height": height})
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, code, width)
                if width in EXAMINED:
                    await browser.accessible(page)
                await page.screenshot(path=FOLDER / f"{name}-{width}-{scheme}-{code}.png", full_page=True)
