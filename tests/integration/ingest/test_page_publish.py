"""The camera page in a real browser, publishing to the whole of ingest and inference."""

import asyncio
import contextlib
import signal

import browser
import clips
import psutil
import pytest
from playwright.async_api import expect
from site_process import Site

from proto.control import PauseRequestV1
from proto.subjects import PAUSE, SIGHTINGS

TOKEN = "a-s3cret-token-of-this-test-s-camera"
OPERATOR = "an-operator-s-s3cret-of-this-test"
NOTICED_S = 5.0
SILENT_S = 8.0
"""After so long without an answer the page gives a session up."""


@pytest.fixture(name="film", scope="module")
def _film(tmp_path_factory):
    """What the browser's camera sees."""
    file = tmp_path_factory.mktemp("film") / "film.mjpeg"
    size = {"width": 1280, "height": 720, "fps": 15, "pictures": 30}
    return clips.make_clip(file, codec="mjpeg", pixel_format="yuvj420p", **size)


class Trial:
    """A site whose one camera is the browser."""

    def __init__(self, site, aggregate):
        self.site, self.aggregate = site, aggregate
        self.ingest, self.inference = site.start("ingest"), site.start("inference")

    async def url(self, wait_until):
        await wait_until(lambda: self.ingest.running and self.inference.running, 30, "the services run")
        return self.ingest.said("camera page")[-1]["url"]

    async def sightings(self):
        return len(await self.aggregate.history(SIGHTINGS, site="cannes"))

    async def order(self, action):
        async with self.site.bus("operator") as operator:
            await operator.request(PAUSE, PauseRequestV1(site="cannes", action=action, operator="ana"), timeout=10)


@pytest.fixture(name="more")
def _more():
    """More settings of the camera."""
    return {}


@pytest.fixture(name="trial")
async def _trial(tmp_path, more):
    browser.require()
    site = Site(tmp_path)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "operator").write_text(OPERATOR)
    phone = {"id": "phone", "url": "whip://", "token_file": str(tmp_path / "token"), "long_side": 320, **more}
    web = {"port": 0, "host": "127.0.0.1", "ice_addresses": ["127.0.0.1"]}
    web["operator_token_file"] = str(tmp_path / "operator")
    settings = {"log": {"format": "json"}, "ingest": {"report_s": 0.5, "web": web}}
    site.write({"sites": [{"id": "cannes", "cameras": [phone]}], **settings})
    site.server.start()
    try:
        async with site.bus("aggregate") as aggregate:
            await aggregate.ensure_streams(["SIGHTINGS"])
            yield Trial(site, aggregate)
    finally:
        site.close()


def camera(tmp_path, film):
    return browser.chromium(tmp_path / "profile", f"--use-file-for-fake-video-capture={film}", locale="en-GB")


async def state(page, url):
    """What ingest says of the camera now."""
    answer = await page.request.get(f"{url}api/cannes/phone", headers={"Authorization": f"Bearer {TOKEN}"})
    return (await answer.json())["state"]


async def start(page, url, token):
    answer = await page.goto(f"{url}#cannes/phone/{token}")
    await page.get_by_role("button", name="Start").click()
    return answer


async def test_a_browser_publishes_pauses_goes_on_and_stops(trial, tmp_path, film, wait_until):
    """Press Start: 1280x720, analysed within 100 ms. A pause is told and left by itself; Stop ends all."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        watched = browser.Watched(context.pages[0])
        page = watched.page
        say = expect(page.locator("#publish-say"))
        answer = await start(page, url, TOKEN)
        await say.to_contain_text("Live:", timeout=30_000)
        assert await answer.header_value("Content-Security-Policy") == browser.POLICY
        assert TOKEN not in page.url
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await browser.accessible(page)
        await expect(page.locator("#figure-size")).to_have_text("1280 × 720")
        await expect(page.locator("#figure-lifetime")).to_contain_text(" ms")
        await expect(page.locator("#figure-analysed")).not_to_have_text("–")
        before = await trial.sightings()
        async with asyncio.timeout(20):
            while await trial.sightings() < before + 5:
                await asyncio.sleep(0.1)
        await trial.order("pause")
        await say.to_contain_text("Paused:")
        await trial.order("resume")
        await say.to_contain_text("Live:", timeout=30_000)
        await page.get_by_role("button", name="Stop").click()
        await say.to_have_text("Stopped. The camera is off.")
        await browser.expect_tracks(page, "ended")
        async with asyncio.timeout(NOTICED_S):
            while await state(page, url) == "live":
                await asyncio.sleep(0.1)
        assert not watched.complaints
    assert trial.ingest.stop() == trial.inference.stop() == 0
    assert TOKEN not in str(trial.ingest.lines + trial.inference.lines)


async def test_stop_and_start_at_once_is_another_session(trial, tmp_path, film, wait_until):
    """The first one is ended, the second goes on, also while the page may not ask for its state (429)."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        watched = browser.Watched(context.pages[0])
        page = watched.page
        say = expect(page.locator("#publish-say"))
        await start(page, url, TOKEN)
        await say.to_contain_text("Live:", timeout=30_000)
        for button in ("Stop", "Start"):
            await page.get_by_role("button", name=button).click()
        await say.to_contain_text("Live:", timeout=30_000)
        await page.route("**/api/**", lambda route: route.fulfill(status=429))
        sessions = watched.count("POST", "/whip/")
        await asyncio.sleep(SILENT_S + 2)
        assert watched.count("POST", "/whip/") == sessions
        assert watched.count("DELETE", "/whip/") == 1
        await page.get_by_role("button", name="Stop").click()
        await browser.expect_tracks(page, "ended", "ended")
        assert not watched.complaints


UPRIGHT = {"drawn_for": [720, 1280], "areas": [[[0, 0], [1, 0], [0, 0.1]]]}


@pytest.mark.parametrize("more", [{"privacy": UPRIGHT}], ids=["upright"])
async def test_a_phone_held_another_way_is_told_to_turn(trial, tmp_path, film, wait_until):
    """Privacy areas were drawn for another shape: the page says so, and goes on saying it while it tries again."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        page = context.pages[0]
        say = expect(page.locator("#publish-say"))
        await start(page, url, TOKEN)
        await say.to_contain_text("Turn the device", timeout=30_000)
        async with page.expect_response(lambda answer: answer.status == 503):
            pass
        await expect(page.locator("#again")).to_be_visible()
        await say.to_contain_text("Turn the device")


async def test_a_server_that_hangs_is_come_back_to(trial, tmp_path, film, wait_until):
    """That nothing is heard of it is told, and the page publishes again by itself; an older browser's does too."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        await context.add_init_script(browser.OLDER)
        page = context.pages[0]
        say = expect(page.locator("#publish-say"))
        await start(page, url, TOKEN)
        await say.to_contain_text("Live:", timeout=30_000)
        trial.ingest.process.send_signal(signal.SIGSTOP)
        await say.to_contain_text("The connection is lost. The page tries again by itself.", timeout=30_000)
        trial.ingest.process.send_signal(signal.SIGCONT)
        await say.to_contain_text("Live:", timeout=45_000)
        await page.get_by_role("button", name="Stop").click()
        await say.to_have_text("Stopped. The camera is off.")


async def test_a_wrong_token_is_told(trial, tmp_path, film, wait_until):
    """Nothing is published, and the camera is let go."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        page = context.pages[0]
        await start(page, url, "a-token-that-somebody-guessed-wrong")
        await expect(page.locator("#publish-say")).to_contain_text("The token is wrong")
        await browser.expect_tracks(page, "ended")
    assert not trial.ingest.said("a peer publishes")


async def test_an_operator_aims_from_the_page(trial, tmp_path, film, wait_until):
    """A wrong token is told; with the right one the light is measured and what to do is said, until it is stopped."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        watched = browser.Watched(context.pages[0])
        page = watched.page
        await start(page, url, TOKEN)
        await expect(page.locator("#publish-say")).to_contain_text("Live:", timeout=30_000)
        await page.get_by_role("tab", name="Aim").click()
        await page.get_by_label("Your name").fill("ana")
        await page.get_by_label("Why you look").fill("mounted anew")
        for token, said in ((TOKEN, "The operator token is wrong."), (OPERATOR, "Looking.")):
            await page.get_by_label("Your operator token").fill(token)
            await page.get_by_role("button", name="Look for 30 seconds").click()
            await expect(page.locator("#aim-say")).to_have_text(said)
        await expect(page.locator("#aim-brightness")).to_contain_text("%")
        await expect(page.locator("#advice")).to_contain_text("Too few faces yet")
        await expect(page.locator("#seconds-left")).to_contain_text("s left")
        await page.locator("#aim-toggle").click()
        await expect(page.locator("#aim-say")).to_have_text("Stopped.")
        await page.locator("#aim-toggle").click()  # until this tells something, ingest has seen that the first was left
        await expect(page.locator("#seconds-left")).to_contain_text("s left")
        assert not watched.complaints
    assert trial.ingest.stop() == 0
    orders = trial.ingest.said("aimed by an operator")
    assert [(line["operator"], line["why"]) for line in orders] == [("ana", "mounted anew")] * 2
    assert not trial.ingest.said("a request failed")
    assert OPERATOR not in str(trial.ingest.lines)


@pytest.mark.parametrize("leave", ["goodbye", "killed"])
async def test_a_browser_that_leaves_is_noticed(trial, tmp_path, film, wait_until, leave):
    """A page that is left says goodbye by itself; a killed browser says nothing and is noticed all the same."""
    url = await trial.url(wait_until)
    async with camera(tmp_path, film) as context:
        page = context.pages[0]
        await start(page, url, TOKEN)
        await expect(page.locator("#publish-say")).to_contain_text("Live:", timeout=30_000)
        if leave == "goodbye":
            await page.goto("about:blank")
        else:
            kill(tmp_path / "profile")
        await wait_until(lambda: trial.ingest.said("a peer is gone"), NOTICED_S, "noticed")
    (line,) = trial.ingest.said("a peer is gone")
    assert line["reason"] == {"goodbye": "end-of-stream", "killed": "timeout"}[leave]


def kill(profile):
    """Kill every process of the browser with this profile at once."""
    mine = [p for p in psutil.Process().children(recursive=True) if any(str(profile) in a for a in p.cmdline())]
    assert mine
    family = [child for process in mine for child in process.children(recursive=True)]
    for process in [*mine, *family]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
