"""What the page says where numbers are old, withheld, gone, unread or forged: a real browser, a real server."""

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import browser
import pytest
import pytest_asyncio
from messages import MINUTE
from msgspec import json, structs
from numbers_page import card, percent
from page_pictures import looked_at
from patience import patient
from playwright.async_api import Browser, Page, expect
from published_sites import LENGTH, MARKET, camera_state, published
from websocket_tap import Tap, stored_at
from windows import HOUR, SECOND, decree, window

from proto.public import CameraV1
from proto.subjects import ALERTS, CAMERAS, WINDOWS

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("ended"),
    pytest.mark.xdist_group("page-states"),
]
THREE_DAYS = 3 * 24 * HOUR
FOCUSED = "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
ONE_STEP = re.compile(r"^M[\d. ]+L[\d. ]+$")
REACHABLE = """
[...document.querySelectorAll("a[href], button, input, summary, [tabindex='0']")]
  .filter((one) => one.checkVisibility()).length
"""


@pytest_asyncio.fixture(name="place", loop_scope="session")
async def _place(tmp_path: Path, chromium: Browser):
    async with published(tmp_path) as (sites, page), browser.own(chromium, locale="en-GB") as opened:
        watched, tap = browser.Watched(opened), Tap()
        await tap.attach(watched.page)
        yield sites, page.url, watched.page, tap
        assert watched.complaints == []


async def test_cameras_of_days_ago_are_not_up(place):
    """Their last message is days old by the server's clock, though the page has just been opened."""
    sites, url, page, tap = place
    await sites.publish()
    then = datetime.fromtimestamp((sites.now - THREE_DAYS) / SECOND, UTC)
    there = then.astimezone(ZoneInfo(sites.timezone))
    long_ago = f"{then:%Y-%m-%dT%H:%M:%S}"
    tap.down = stored_at(long_ago)
    await page.goto(url)
    await expect(page.get_by_text("0 of 3 cameras up")).to_be_visible()
    market = page.get_by_role("region", name="Marché Forville")
    await expect(market.locator(".promise .verdict")).to_contain_text(f"no measurement since {there.day} {there:%b}")
    await expect(market.locator(".silent")).to_contain_text(f"gate-1: last heard {there.day} {there:%b}")
    await market.get_by_text("Cameras", exact=True).first.click()
    await looked_at(page, "cameras-silent")
    tap.down = stored_at(long_ago, but="gate-1")  # the page asks again if its connection was lost
    told = camera_state("gate-1", sites.now, is_live=True)
    await sites.ingest.store(CAMERAS, structs.replace(told, at=told.at + SECOND))
    await expect(page.get_by_text("1 of 3 cameras up")).to_be_visible()
    await expect(market.locator(".promise .verdict")).to_have_text("kept")
    for language in ("Français", "English"):
        await page.get_by_role("button", name=language).click()
        for width in (1024, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            fits = "(one) => one.scrollWidth <= one.clientWidth"
            assert await market.locator(".cameras .scroll").evaluate(fits), (language, width)


async def test_the_promise_in_each_of_its_states(place):
    """Kept or not over the windows that came, or too few pictures in those that are read."""
    sites, url, page, _ = place
    await sites.publish()
    await page.goto(url)
    promise = page.get_by_role("region", name="Marché Forville").locator(".promise")
    await expect(promise).to_contain_text("at most 6 of 600")
    await expect(promise.locator(".verdict")).to_have_text("kept")
    await looked_at(page, "promise-kept")
    await sites.ingest.store(CAMERAS, lived(sites.now, "gate-1", pictures=20, late=15))
    await expect(promise.locator(".verdict")).to_have_text("not kept")
    await expect(promise).to_contain_text("at most 21 of 620")
    await looked_at(page, "promise-broken")
    for name in ("gate-1", "flowers-1"):
        await sites.ingest.store(CAMERAS, lived(sites.now + SECOND, name, pictures=20, late=1))
    await page.reload()
    await expect(promise.locator(".verdict")).to_have_text("too few pictures (20 of 100)")
    await looked_at(page, "promise-few")


def lived(now: int, name: str, **given: int) -> CameraV1:
    """What a camera tells when one more window has ended."""
    told = camera_state(name, now, is_live=True)
    assert told.lifetime is not None
    lifetime = structs.replace(told.lifetime, start=now, end=now + MINUTE, **given)
    return structs.replace(told, at=told.at + SECOND, lifetime=lifetime)


async def test_a_stricter_profile_takes_away_what_was_published_before(place):
    """Zones and alerts go, live and after opening anew; the day's earlier windows show no figures."""
    sites, url, page, _ = place
    await sites.publish()
    await page.goto(url)
    await expect(card(page, "Halle aux poissons")).to_be_visible()
    await sites.bus.store(WINDOWS, structs.replace(decree(sites.now, 130, 0.71), site=MARKET))
    market = page.get_by_role("region", name="Marché Forville")
    for _ in range(2):
        await expect(market.locator(".badge").first).to_have_text("profile fr-2021-269")
        await expect(market.get_by_role("article")).to_have_count(1)
        await expect(market.get_by_text("Few masks")).to_have_count(0)
        for words in ("Zones: not published under this profile.", "Alerts on rates: not published under this profile."):
            await expect(market.get_by_text(words)).to_be_visible()
        await expect(market.locator("rect.suppressed").first).to_be_attached()
        await expect(market.locator("path.line")).to_have_attribute("d", ONE_STEP)
        await page.reload()
    await sites.bus.store(ALERTS, structs.replace(sites.alert("firing"), end=sites.now + 9 * SECOND))
    await market.get_by_text("Values as a table").click()
    rows = await market.locator("tbody tr td:first-of-type").all_inner_texts()
    assert rows[0] == "71%"
    assert set(rows[1:]) <= {"not published under this profile", "no numbers"}
    await expect(market.get_by_text("Few masks")).to_have_count(0)
    await looked_at(page, "decree")


async def test_a_zone_that_is_gone_is_not_shown_and_one_that_is_old_says_since_when(place):
    """The site itself says which zones it has."""
    sites, url, page, _ = place
    await sites.bus.store(WINDOWS, window(sites.now - LENGTH, site=MARKET))
    for zone in ("removed", "flowers"):
        await sites.bus.store(WINDOWS, window(sites.now - THREE_DAYS, site=MARKET, zone=zone))
    await page.goto(url)
    market = page.get_by_role("region", name="Marché Forville")
    await expect(market.get_by_role("article")).to_have_count(2)
    day = datetime.fromtimestamp((sites.now - THREE_DAYS) / SECOND, UTC)
    await expect(card(page, "Allée <b>des</b> fleurs").locator(".old")).to_contain_text(f"{day:%b}")
    await sites.bus.store(WINDOWS, window(sites.now - LENGTH, site=MARKET, zone="removed"))
    await expect(market.get_by_role("article")).to_have_count(3)


async def test_a_film_that_is_over_is_no_missing_number(place):
    """Its last window closed before its end by the clock; later nothing is old, since nothing is to come."""
    sites, url, page, _ = place
    film = structs.replace(camera_state("gate-1", sites.now, is_live=False), state="ended", reason=None)
    await sites.ingest.store(CAMERAS, film)
    weak = {"coverage": 0.3, "gaps": ["camera-down", "started-late"]}
    ahead = sites.now + 2 * LENGTH
    for start, zone in ((ahead, "_site"), (sites.now - THREE_DAYS + HOUR, "fish")):  # not at the border of a day
        await sites.bus.store(WINDOWS, structs.replace(window(start, site=MARKET, zone=zone), **weak))
    await page.goto(url)
    whole, fish = card(page, "Whole site"), card(page, "Halle aux poissons")
    await expect(whole.locator(".time")).to_contain_text("closed early: a recorded film")
    await expect(page.locator(".badge.up").first).to_be_hidden()  # one that is over is none that is down
    await expect(whole.locator(".gaps")).to_have_text("a camera was down or a film was over, counting began later")
    await expect(fish.locator(".time")).to_contain_text("ended 2 d ago")
    for one in (whole.locator(".old"), fish.locator(".old"), page.locator("#notice")):
        await expect(one).to_be_hidden()
    await looked_at(page, "film-over")


async def test_history_that_is_not_answered_is_asked_for_again(place):
    """It is no gap, and it says so; it comes when there is somebody to answer."""
    sites, url, page, _ = place
    await sites.publish()
    await sites.stats.stop()
    await page.goto(url)
    whole = card(page, "Whole site")
    await expect(whole.locator("figcaption")).to_contain_text("History could not be read, trying again.")
    await expect(whole.locator("rect.gap")).to_have_count(0)
    await looked_at(page, "history-missing")
    await sites.answer()
    await expect(whole.locator("figcaption")).to_have_text("Trend of the day", timeout=90_000)
    await expect(whole.locator("rect.gap").first).to_be_attached()


async def test_nothing_is_only_said_once_an_answer_said_so(place):
    """While the streams do not answer, it says that they could not be read."""
    _, url, page, tap = place
    tap.down = lambda frame: None if b"stream_info_response" in frame else frame
    await page.goto(url)
    await expect(page.locator("#notice")).to_contain_text("could not be read, trying again", timeout=30_000)
    await expect(page.locator("#nothing")).to_be_hidden()
    await looked_at(page, "streams-silent")
    tap.down = lambda frame: frame
    await expect(page.locator("#nothing")).to_have_text("Nothing was published yet.", timeout=90_000)
    await expect(page.locator("#steps li")).to_have_count(3)
    await expect(page.locator("#steps")).to_be_visible()
    await expect(page.locator("#notice")).to_be_hidden()
    await looked_at(page, "nothing")


async def test_what_others_send_changes_nothing(place):
    """An older window, one of another site, an error, an answer of the server, where the page listens."""
    sites, url, page, tap = place
    await sites.publish()
    await page.goto(url)
    rate = card(page, "Whole site").locator(".rate")
    last = sites.market("_site")[-1]
    await expect(rate).to_have_text(percent(last.rate))
    older, newer = (
        json.decode(json.encode(structs.replace(last, end=last.end + n * LENGTH, rate=0.01))) for n in (-3, 1)
    )
    subject = f"moretta.v1.windows.{MARKET}._site"
    await tap.deliver(subject, older)
    await tap.deliver(subject, newer, " 503")
    await tap.deliver(subject, newer, "\r\nNats-Service-Error-Code: 404")
    await tap.deliver(subject, newer | {"site": "gare"})
    await tap.deliver("moretta.v1.windows.gare._site", newer)
    await tap.deliver(subject, {"type": "io.nats.jetstream.api.v1.stream_msg_get_response", "message": newer})
    await tap.deliver(subject, newer | {"rate": "<b>"})
    await tap.deliver(f"moretta.v1.alerts.{MARKET}.fish.few-masks", {"type": "AlertV1"}, sid=2)
    await sites.bus.store(WINDOWS, window(sites.now, masked=1, others=(3, 0, 0), site=MARKET))
    await expect(rate).to_have_text("25%")
    await expect(page.get_by_text("1%", exact=True)).to_have_count(0)


async def test_an_open_page_goes_on_whatever_the_server_says(place):
    """A passing refusal, a timeout of the authentication, a server that is away: it comes back by itself."""
    sites, url, page, tap = place
    await sites.publish()
    await page.goto(url)
    shown = page.locator("#connection")
    for error in ("Authentication Timeout", "Authorization Violation", "Account Authentication Expired"):
        await expect(shown).to_have_text("live", timeout=patient(60) * 1000)
        tries = tap.tries
        tap.is_open = False
        await tap.tell(f"-ERR '{error}'")
        await expect(shown).to_have_text("connection lost")
        await expect(page.locator("#key")).to_be_hidden()
        if error == "Authorization Violation":
            await looked_at(page, "lost")
        tap.is_open = True
        await expect(shown).to_have_text("live", timeout=patient(60) * 1000)
        assert tap.tries > tries
    await expect(card(page, "Whole site").locator(".rate")).to_have_text(percent(sites.market("_site")[-1].rate))


async def test_everything_is_reached_by_keys_and_seen(place):
    """As many stops as there are things to use, each with an outline; a site that comes takes no focus away."""
    sites, url, page, _ = place
    await sites.publish()
    await page.goto(url)
    await expect(page.get_by_role("article")).to_have_count(5)
    wanted = await page.evaluate(REACHABLE)
    for _ in range(wanted):
        await page.keyboard.press("Tab")
        name, outline = await page.evaluate(FOCUSED)
        assert (name != "BODY", outline) == (True, "solid"), name
    await page.get_by_text("Values as a table").last.focus()
    await sites.bus.store(WINDOWS, window(sites.now - LENGTH, site="arcade"))
    await expect(page.get_by_role("region", name="arcade")).to_be_visible()
    assert (await page.evaluate(FOCUSED))[0] == "SUMMARY"


@contextlib.asynccontextmanager
async def opened(chromium: Browser, folder: Path, *denied: str) -> AsyncIterator[tuple[Page, str]]:
    """The page of sites that have published, of a subscriber without these rights, and the rate that it has to show."""
    async with published(folder, denied=denied) as (sites, served), browser.own(chromium, locale="en-GB") as page:
        watched = browser.Watched(page)
        await sites.publish()
        await watched.page.goto(served.url)
        yield watched.page, percent(sites.market("_site")[-1].rate)
        assert watched.complaints == []


async def test_it_uses_few_rights(tmp_path: Path, chromium: Browser):
    """Windows, alerts, operations, cameras and statistics; no rule states, no deliveries, no micro service's info."""
    api = [f"$JS.API.STREAM.{one}.{name}" for one in ("INFO", "MSG.GET") for name in ("RULES", "DELIVERIES")]
    others = [f"moretta.v1.{one}." for one in ("rules", "deliveries", "notifications")]
    async with opened(chromium, tmp_path, "$SRV.", *api, *others) as (page, rate):
        whole = card(page, "Whole site")
        await expect(whole.locator(".rate")).to_have_text(rate)
        await expect(whole.locator("figcaption")).to_have_text("Trend of the day")
        await expect(whole.locator("rect.gap").first).to_be_attached()
        await expect(page.locator(".alerts .firing").first).to_contain_text("Few masks")
        await expect(page.get_by_text("2 of 3 cameras up")).to_be_visible()
        await expect(page.locator("#notice")).to_be_hidden()


async def test_what_may_not_be_read_is_said_and_breaks_nothing(tmp_path: Path, chromium: Browser):
    """A subscriber without alerts and history: the rest is shown."""
    denied = ("moretta.v1.stats.", "$JS.API.STREAM.INFO.ALERTS", "moretta.v1.alerts.")
    async with opened(chromium, tmp_path, *denied) as (page, rate):
        whole = card(page, "Whole site")
        await expect(whole.locator(".rate")).to_have_text(rate)
        await expect(whole.locator("figcaption")).to_contain_text("No history can be had here")
        await expect(page.get_by_text("Alerts may not be read here.").first).to_be_visible()
        await expect(page.get_by_text("2 of 3 cameras up")).to_be_visible()
