"""The daily report in a real browser: on a phone and a desk, in light and dark, in each language."""

import asyncio
from datetime import date
from zoneinfo import ZoneInfo

import browser
import pytest
from msgspec import structs
from windows import HOUR, decree, hidden, market_day, window

from services.notify.languages import languages, words_in
from services.notify.reports.day import Question, report_of
from services.notify.reports.writer import report_file
from services.sites.settings import SiteSettings, ZoneSettings
from services.statistics.calendar import day_start

PARIS = ZoneInfo("Europe/Paris")
DAY = date(2026, 11, 24)
T = day_start(DAY, PARIS)
LONG = "A very long name of a zone that nobody would give to a door, or would they" + 6 * "x"
SITE = SiteSettings(
    id="cannes",
    name="Marché Forville-et-des-environs-de-la-Croisette-et-du-port",
    timezone="Europe/Paris",
    zones=[ZoneSettings(id="fish", name=LONG), ZoneSettings(id="hall", name="鱼市")],
)


def days():
    """An ordinary day with a gap, one of two figures alone, and one of which nothing was published."""
    fish = [window(T + n * HOUR, 30, (10, 0, 0), zone="fish") for n in range(9, 18)]
    ordinary = [*market_day(T - 24 * HOUR), *market_day(T), *fish, hidden(T, zone="hall")]
    strict = [structs.replace(decree(w.start, w.persons, w.rate), suppressed=w.suppressed) for w in market_day(T)]
    for windows in (ordinary, strict, []):
        yield report_of(Question("cannes", DAY, PARIS, 2**62, zones=("fish", "hall")), windows, [])


@pytest.fixture(name="pages", scope="module", params=languages())
def _pages(request):
    """The reports, drawn before a test looks for files left open: matplotlib keeps its fonts so, by thread."""

    async def pages():
        return [await report_file(report, SITE, words_in(request.param)) for report in days()]

    return asyncio.run(pages())


async def test_a_report_reads_well_everywhere(tmp_path, pages):
    """Nothing is cut off or needs scrolling sideways, contrast and structure are right, nothing is fetched."""
    browser.require()
    async with browser.chromium(tmp_path / "profile") as context:
        watched = browser.Watched(context.pages[0])
        for number, page in enumerate(pages):
            (tmp_path / f"{number}.html").write_text(page, encoding="utf-8")
            for width, scheme in ((360, "dark"), (390, "light"), (1280, "dark"), (1280, "light")):
                await watched.page.set_viewport_size({"width": width, "height": 800})
                await watched.page.emulate_media(color_scheme=scheme)
                await watched.page.goto((tmp_path / f"{number}.html").as_uri())
                await _fits(watched.page, width)
                await browser.accessible(watched.page)
        assert not watched.complaints
        assert {url.partition(":")[0] for _, url in watched.requests} <= {"file", "data"}


async def _fits(page, width):
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    pictures = await page.evaluate(
        "[...document.images].map((i) => [i.complete && i.naturalWidth > 0, i.getBoundingClientRect().right, i.alt])"
    )
    assert pictures
    assert all(loaded and right <= width and text for loaded, right, text in pictures)
