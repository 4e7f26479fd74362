"""The page of numbers in a real browser, before a real system with simulated cameras."""

import os
import re
import signal

import browser
import numbers_page
import pytest
from numbers_page import percent
from patience import patient, until
from playwright.async_api import expect

WIDTHS = (360, 1024, 1920)
MAX_BYTES = 100_000
SCRIPTS = (
    "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('.js')).map((one) => one.transferSize)"
)
REFUSED = "performance.getEntriesByType('resource').map((one) => new URL(one.name).host)"


pytestmark = [pytest.mark.xdist_group("page-of-numbers"), pytest.mark.timeout(400)]


@pytest.fixture(name="system", scope="module")
def _system(tmp_path_factory):
    """The system that runs, with a first whole window, and the page's address."""
    browser.require()
    with numbers_page.running(numbers_page.settings(tmp_path_factory.mktemp("site"))) as (up, url):
        up.wait_for(lambda: any(w["rate"] is not None for w in up.windows()), numbers_page.LIMIT_S, "a rate")
        yield up, url


@pytest.fixture(name="place")
async def _place(tmp_path, system):
    """The system, and the page of it that has shown a first whole window."""
    up, url = system
    async with browser.chromium(tmp_path / "profile", locale="en-GB") as context:
        watched = browser.Watched(context.pages[0])
        await watched.page.goto(url)
        await expect(watched.page.locator(".whole .rate")).to_be_visible(timeout=patient(60) * 1000)
        yield up, watched


async def shown(page) -> dict[str, str]:
    """What the whole site's card says: rate, and figures by their term."""
    card = page.locator(".whole")
    terms = await card.locator("dt").all_inner_texts()
    values = await card.locator("dd").all_inner_texts()
    return dict(zip(terms, values, strict=True)) | {
        "rate": await card.locator(".rate").inner_text(),
        "time": await card.locator(".time").inner_text(),
    }


def told(window: dict) -> dict[str, str]:
    """How the page has to show a window of the bus."""
    rate, interval = window["rate"], window["interval"]
    between = " to ".join(percent(one) for one in interval) if interval else "nobody could be judged"
    return {
        "rate": "–" if rate is None else percent(rate),
        "95% interval": between,
        "people": str(window["persons"]),
        "observed": percent(window["coverage"]),
        "could not be judged": str(window["unknown"]),
        "with a mask": str(window["masked"]),
        "without a mask": str(window["unmasked"]),
        "badly worn": str(window["incorrect"]),
    }


async def agrees(up, page) -> None:
    """Wait until the page shows what the bus had last; a window may close between the two looks."""
    found: dict[str, str] = {}

    async def same() -> bool:
        found.update(await shown(page))
        return told(up.windows()[-1]).items() <= found.items()

    await until(same, lambda: f"{found} is {told(up.windows()[-1])}", 90, every_s=0.2)


def verdicts(up) -> set[str]:
    """What the page may say of the promise: of a machine that is busy it may be broken, and the page has to say so."""
    lifetimes = [one["lifetime"] for one in up.messages("cameras") if one.get("lifetime")]
    late = any(one["late"] for one in lifetimes)
    return {"kept", "not kept"} if late else {"kept"}


async def test_it_shows_what_is_published(place):
    """Figures equal the bus's, in a first view of few bytes; nothing comes from elsewhere, axe-core finds nothing."""
    up, watched = place
    page = watched.page
    await agrees(up, page)
    rate = page.locator(".alerts .firing", has_text="few-masks").first  # beside what a busy machine makes of cameras
    await expect(rate).to_be_visible(timeout=patient(60) * 1000)
    await expect(page.get_by_text("2 of 3 cameras up")).to_be_visible()
    verdict = page.locator(".promise .verdict")
    await expect(verdict).to_have_text(
        re.compile("^(not )?kept$"), timeout=patient(150) * 1000
    )  # of a hundred pictures
    assert await verdict.inner_text() in verdicts(up)
    await expect(page.get_by_role("heading", name="North <b>gate</b>")).to_be_visible()
    assert sum(await page.evaluate(SCRIPTS)) < MAX_BYTES
    assert len(set(await page.evaluate(REFUSED))) == 1
    for opener in await page.locator("summary").all():
        await opener.click()
    await browser.accessible(page)
    await page.get_by_role("button", name="Français").click()
    await expect(page.locator("html")).to_have_attribute("lang", "fr")
    await expect(page.locator(".whole .label")).to_have_text("portent un masque")
    await browser.accessible(page)
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"too wide at {width} px"
    assert watched.complaints == []


async def test_nats_is_killed_and_comes_back(place):
    """It says so, keeps what it had, and goes on with new windows by itself."""
    up, watched = place
    page = watched.page
    os.kill(up.pid("nats-server"), signal.SIGKILL)
    await expect(page.locator("#notice")).to_contain_text("Connection lost at", timeout=patient(60) * 1000)
    kept = await shown(page)  # a window may have closed a moment before
    assert any(told(window).items() <= kept.items() for window in up.windows()[-3:]), kept
    await expect(page.locator("#connection")).to_have_text("live", timeout=patient(60) * 1000)
    await expect(page.locator("#notice")).to_be_hidden(timeout=patient(90) * 1000)
    await agrees(up, page)
    assert [one for one in watched.complaints if "WebSocket connection to" not in one] == []


async def test_what_is_not_public_is_refused(place):
    """The page's own connection asks for sightings, and to publish a window; the server refuses both."""
    _, watched = place
    refused = await watched.page.evaluate(
        """async () => {
          const { wsconnect } = await import("./nats.js");
          const { server } = await (await fetch("config.json")).json();
          const bus = await wsconnect({ servers: server, inboxPrefix: "_INBOX_subscriber" });
          const refused = [];
          const told = bus.status();
          bus.subscribe("moretta.v1.sightings.>", { callback: (error) => error && refused.push(error.message) });
          bus.publish("moretta.v1.windows.forville._site", "{}");
          (async () => { for await (const { error } of told) if (error) refused.push(error.message); })();
          for (let tries = 0; tries < 200 && new Set(refused).size < 2; tries += 1) {
            await bus.flush();
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
          await bus.close();
          return refused;
        }"""
    )
    assert any("Subscription" in one and "sightings" in one for one in refused), refused
    assert any("Publish" in one and "windows" in one for one in refused), refused
