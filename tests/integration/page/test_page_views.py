"""The page in a real browser, before a real NATS server on which three sites have published."""

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import browser
import pytest
import pytest_asyncio
from msgspec import structs
from numbers_page import card, percent
from page_pictures import looked_at
from playwright.async_api import Browser, Locator, Page, expect
from published_sites import LENGTH, MARKET, Published, published
from windows import HOUR, SECOND, hidden, window

from proto.subjects import ALERTS, WINDOWS

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("ended"),
    pytest.mark.xdist_group("page-views"),
]


@pytest_asyncio.fixture(name="place", loop_scope="session")
async def _place(tmp_path: Path, chromium: Browser):
    async with published(tmp_path) as (sites, page), browser.own(chromium, locale="en-GB") as opened:
        watched = browser.Watched(opened)
        yield sites, page.url, watched
        assert watched.complaints == []


async def test_a_day_is_shown_as_it_was_published(place):
    """Each window in the table; withheld and missing ones look different; a profile says what it withholds."""
    sites, url, watched = place
    page = watched.page
    await sites.publish()
    await page.goto(url)
    whole = card(page, "Whole site")
    last = sites.market("_site")[-1]
    await expect(whole.locator(".rate")).to_have_text(percent(last.rate))
    await expect(whole.locator("rect.gap").first).to_be_attached()
    await expect(whole.locator("rect.suppressed")).to_have_count(1)
    await expect(whole.get_by_role("img")).to_have_attribute("aria-label", r := whole_label(sites))
    assert "1 without numbers, 3 not shown" in r
    await whole.locator("summary").click()
    await expect(whole.locator("tbody tr")).to_have_count(len(expected(sites)))
    rows = [await row.locator("td").all_inner_texts() for row in await whole.locator("tbody tr").all()]
    assert rows == [line(one) for one in expected(sites)]
    await expect(card(page, "Allée <b>des</b> fleurs")).to_be_visible()
    await expect(page.get_by_text("2 of 3 cameras up")).to_be_visible()
    await expect(page.locator(".alerts .firing").first).to_contain_text("Few masks: 52% (40% to 63%) of 73 people")
    await expect(page.locator(".alerts .firing .action").first).to_have_text("Hand out masks at the <east> door.")
    station = page.get_by_role("region", name="Gare de Cannes")
    for words in ("Zones: not published under this profile.", "Alerts on rates: not published under this profile."):
        await expect(station.get_by_text(words)).to_be_visible()
    assert await station.locator("dd").first.inner_text() == "not published under this profile"
    await expect(card(page, "Whole site", "Shed").get_by_text("old since")).to_be_visible()
    await expect(page.locator("#notice")).to_be_hidden()
    link = page.get_by_role("link", name="For operators: aim cameras")
    await expect(link).to_have_attribute("href", "https://127.0.0.1:8443/")
    await looked_at(page, "day")


def expected(sites: Published) -> list:
    """The windows of the day, the last first, None where one is missing."""
    found = {one.start: one for one in sites.market("_site")}
    starts = range(max(found), min(found) - 1, -LENGTH)
    return [found.get(start) for start in starts]


def line(one) -> list[str]:
    """A window as a row of the table has it."""
    if one is None:
        return ["no numbers", "", "", ""]
    observed = percent(one.coverage)
    if one.suppressed:
        return [*["too few people to publish"] * 3, observed]
    low, high = map(percent, one.interval)
    return [percent(one.rate), f"{low} to {high}", str(one.persons), observed]


def whole_label(sites: Published) -> str:
    """What a screen reader says of the trend."""
    rates = [one.rate for one in sites.market("_site") if one.rate is not None]
    last, lowest, highest = map(percent, (rates[-1], min(rates), max(rates)))
    windows = f"{len(expected(sites))} windows"
    known = f"last {last}, lowest {lowest}, highest {highest}; 1 without numbers, 3 not shown."
    return f"Whole site. Trend of the day: {windows}, {known}"


async def test_a_windows_values_are_read_by_pointer_and_by_keys(place):
    """What the trend shows of one window, in words, also for who sees no chart; a rule's bound is a line."""
    sites, url, watched = place
    page = watched.page
    await sites.publish()
    await page.goto(url)
    whole, fish = card(page, "Whole site"), card(page, "Halle aux poissons")
    await expect(whole.locator("rect.gap").first).to_be_attached()
    *_, before, last = sites.market("_site")
    slider, told = whole.get_by_role("slider", name="Window of the trend"), whole.locator(".values")
    await slider.focus()  # it stands at the newest
    await expect(told).to_contain_text(f"{percent(last.rate)} (")
    await slider.press("ArrowLeft")
    low, high = map(percent, before.interval)
    await expect(told).to_contain_text(f"{percent(before.rate)} ({low} to {high}), {before.persons} people")
    await expect(slider).to_have_attribute("aria-valuetext", await told.inner_text())
    await expect(whole.locator(".cursor")).to_be_visible()
    await looked_at(page, "reading")
    await slider.press("Home")
    await expect(told).to_contain_text("too few people to publish")
    await whole.locator("svg.chart").hover(position={"x": 5, "y": 9})
    await expect(told).to_have_text("")
    width = (await whole.locator("svg.chart").bounding_box() or {})["width"]
    await whole.locator("svg.chart").hover(position={"x": width - 5, "y": 9})
    await expect(told).to_contain_text(percent(last.rate))
    await expect(fish.locator(".bound")).to_have_count(1)
    await expect(fish.get_by_text("alert below 60%")).to_be_visible()
    await expect(whole.get_by_text("alert below")).to_be_hidden()


async def test_another_day_is_shown_when_it_is_picked(place, tmp_path: Path):
    """Its windows, saved as a file for spreadsheets; the latest figures stay above it, and today comes back."""
    sites, url, watched = place
    page, then = watched.page, sites.now - 24 * HOUR
    await sites.bus.store(WINDOWS, window(then - LENGTH, masked=1, others=(3, 0, 0), site=MARKET))
    await sites.publish()
    await page.goto(url)
    whole = card(page, "Whole site")
    await expect(whole.locator("figcaption")).to_have_text("Trend of the day")
    there = at_the_site(sites, then)
    market = page.get_by_role("region", name="Marché Forville")
    day = market.get_by_label("Date", exact=True)
    await day.fill(f"{there:%Y-%m-%d}")
    await expect(whole.locator("figcaption")).to_contain_text(
        re.compile(rf"Trend of \w+,? {there.day} {there:%b} {there.year}$")
    )
    await whole.locator("summary").click()
    await expect(whole.locator("tbody").get_by_text("25%", exact=True)).to_be_visible()
    await expect(whole.locator(".rate")).to_have_text(percent(sites.market("_site")[-1].rate))
    name, (row,) = await saved(page, whole, tmp_path)
    assert name == f"{MARKET}-_site-{there:%Y-%m-%d}.csv"
    start = datetime.fromtimestamp((then - LENGTH) / SECOND, UTC)
    assert datetime.fromisoformat(row["start"]) == start
    assert (row["rate"], row["persons"], row["suppressed"]) == ("0.25", "4", "")
    await looked_at(page, "picked")
    await market.get_by_role("button", name="Today").click()
    await expect(whole.locator("figcaption")).to_have_text("Trend of the day")
    await market.get_by_role("button", name="Yesterday").click()
    await expect(whole.locator("figcaption")).to_contain_text(f"Trend of {there:%a}")
    await day.fill(f"{there.year + 1}-01-01")  # has not been: today, and the field says nothing else
    await expect(whole.locator("figcaption")).to_have_text("Trend of the day")
    await expect(day).to_have_value("")


async def test_a_week_and_a_month_are_compared_with_the_ones_before(place, tmp_path: Path):
    """The hours of a week and the days of a month, with what they add up to beside the span before."""
    sites, url, watched = place
    page, now = watched.page, at_the_site(sites, sites.now)
    month = (now.replace(day=1) - timedelta(days=1)).replace(day=3, hour=12, minute=0)
    week = (now - timedelta(days=7 + now.weekday())).replace(hour=12, minute=0)
    for at, masked in ((month, 3), (week, 1)):
        start = int(at.timestamp()) * SECOND
        await sites.bus.store(WINDOWS, window(start, masked, others=(4 - masked, 0, 0), site=MARKET))
    await sites.publish()
    await page.goto(url)
    market, whole = page.get_by_role("region", name="Marché Forville"), card(page, "Whole site")
    title, totals = whole.locator("figcaption"), whole.locator(".compared")
    kind, date = market.get_by_label("Period"), market.get_by_label("Date", exact=True)
    await expect(title).to_have_text("Trend of the day")
    await expect(totals).to_be_hidden()
    await kind.select_option("Week")
    await expect(title).to_contain_text("Trend of the week from Mon")
    await expect(totals).to_contain_text(re.compile(r"Total so far[\d.]+% .+Week before25% \(.+\), 4 people"))
    await expect(card(page, "Halle aux poissons").locator(".compared")).to_contain_text("Week beforeno numbers")
    await looked_at(page, "week")
    await market.get_by_role("button", name="Last week").click()
    await expect(totals).to_contain_text(re.compile(r"Total25% .+Week before"))
    await expect(date).to_have_value(f"{week:%Y-%m-%d}")
    await whole.locator("summary").click()
    row = whole.locator("tbody tr").filter(has_text="25%")
    await expect(row.locator("th")).to_have_text(re.compile(rf"^Mon,? {week.day} {week:%b}, 12:00$"))
    name, (found,) = await saved(page, whole, tmp_path)
    assert (name, found["rate"], found["persons"]) == (f"{MARKET}-_site-{week:%Y-%m-%d}-week.csv", "0.25", "4")
    await kind.select_option("Month")
    await date.fill(f"{now:%Y-%m-%d}")
    await expect(title).to_have_text(f"Trend of {now:%B %Y}")
    await expect(totals).to_contain_text(re.compile(r"Total so far[\d.]+% .+Month before[\d.]+% \("))
    await looked_at(page, "month")
    await market.get_by_role("button", name="Last month").click()
    await expect(title).to_have_text(f"Trend of {month:%B %Y}")
    await expect(whole.locator("tbody tr").filter(has_text="75%")).to_have_count(1)
    assert (await saved(page, whole, tmp_path))[0] == f"{MARKET}-_site-{month:%Y-%m}.csv"


def at_the_site(sites: Published, time: int) -> datetime:
    """A moment in nanoseconds by the clock of the site."""
    return datetime.fromtimestamp(time / SECOND, ZoneInfo(sites.timezone))


async def saved(page: Page, whole: Locator, folder: Path) -> tuple[str, list[dict[str, str]]]:
    """The name and the rows of the file that a trend is saved as."""
    async with page.expect_download() as saving:
        await whole.get_by_role("button", name="Download as CSV").click()
    download = await saving.value
    await download.save_as(folder / "saved.csv")
    with (folder / "saved.csv").open(newline="") as file:
        return download.suggested_filename, list(csv.DictReader(file))


async def test_what_comes_is_shown_and_told(place):
    """Nothing at first; then a window, a withheld one, an alert that is read out, and its end."""
    sites, url, watched = place
    page = watched.page
    await page.goto(url)
    await expect(page.locator("#nothing")).to_be_visible()
    start = sites.now - LENGTH
    await sites.bus.store(WINDOWS, window(start - LENGTH, site=MARKET))
    await expect(card(page, "Whole site").locator(".rate")).to_have_text("80%")
    await sites.bus.store(WINDOWS, hidden(start, site=MARKET))
    await expect(card(page, "Whole site").locator(".label")).to_have_text("too few people to publish")
    for state in ("firing", "resolved"):
        await sites.bus.store(ALERTS, sites.alert(state))
        await expect(page.locator(f".alerts .{state}")).to_contain_text("Few masks")
        await expect(page.locator(".alerts .action")).to_be_visible(visible=state == "firing")
        await expect(page.get_by_role("status")).to_contain_text("Halle aux poissons, Few masks")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the numbers")).to_be_focused()
    await page.get_by_role("button", name="Français").click()
    await expect(page.locator("#told")).to_have_text("")  # it was in English
    again = sites.alert("firing")
    await sites.bus.store(ALERTS, structs.replace(again, start=again.end, end=again.end + LENGTH, since=again.end))
    await expect(page.get_by_role("status")).to_have_text(
        re.compile(r"^Alerte\s: Halle aux poissons, Few masks\s: 52\s%")
    )
    await expect(page.locator("[data-text=definition]")).to_contain_text(
        re.compile(r"L’intervalle à 95\s% tient compte du hasard et, si elles ont été mesurées, des erreurs d’analyse")
    )


async def test_when_windows_stop_it_says_since_when(place):
    """The connection is there, and what is shown is from before."""
    sites, url, watched = place
    await sites.bus.store(WINDOWS, structs.replace(window(sites.now - 5 * LENGTH), site=MARKET))
    await watched.page.goto(url)
    await expect(watched.page.locator("#notice")).to_contain_text("Data are old since")
    await expect(watched.page.locator("#connection")).to_have_text("live")
    await looked_at(watched.page, "old")


async def test_what_is_old_says_of_which_day_by_the_clock_of_the_site(place):
    """The notice and the card say the same moment, with its date, wherever the reader is."""
    sites, url, watched = place
    last = sites.now - 30 * HOUR
    await sites.bus.store(WINDOWS, window(last - LENGTH, site=MARKET))
    await watched.page.goto(url)
    due = at_the_site(sites, last + LENGTH)
    words = f"{due.day} {due:%b}, {due:%H:%M}"
    await expect(watched.page.locator("#notice")).to_have_text(f"Data are old since {words}.")
    await expect(card(watched.page, "Whole site").locator(".old")).to_have_text(f"old since {words}")
