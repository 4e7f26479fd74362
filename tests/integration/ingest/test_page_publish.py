"""The camera page in a real browser, publishing to the whole of ingest and inference."""

import asyncio
import contextlib
import signal

import browser
import clips
import psutil
import pytest
import pytest_asyncio
from patience import patient, until, wait_until
from playwright.async_api import expect
from site_process import Site

from proto.control import PauseRequestV1
from proto.subjects import PAUSE, SIGHTINGS

TOKEN = "a-s3cret-token-of-this-test-s-camera"
OPERATOR = "an-operator-s-s3cret-of-this-test"
NOTICED_S = 10.0
"""Within 5 s the end of a peer is noticed, and a busy machine adds to that."""
SILENT_S = 8.0
"""After so long without an answer the page gives a session up."""


pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("ended"),
    pytest.mark.xdist_group("camera-page-publish"),
]
PHONES = [f"phone-{number}" for number in range(9)]
"""A camera for each test, since what one did to its camera goes on for seconds."""
UPRIGHT = {"drawn_for": [720, 1280], "areas": [[[0, 0], [1, 0], [0, 0.1]]]}
"""Areas for another shape of picture than the browser sends."""


class PeerSite:
    """A site whose cameras are browsers."""

    def __init__(self, folder):
        self.site = Site(folder)
        (folder / "token").write_text(TOKEN)
        (folder / "operator").write_text(OPERATOR)
        plain = {"url": "whip://", "token_file": str(folder / "token"), "long_side": 320}
        phones = [{"id": name} | plain for name in PHONES] + [{"id": "upright", "privacy": UPRIGHT} | plain]
        web = {"port": 0, "host": "127.0.0.1", "ice_addresses": ["127.0.0.1"]}
        web["operator_token_file"] = str(folder / "operator")
        settings = {"log": {"format": "json"}, "ingest": {"report_s": 0.5, "web": web}}
        self.site.write({"sites": [{"id": "cannes", "profile": "lab", "window_s": 2, "cameras": phones}], **settings})
        self.site.server.start()
        self.ingest, self.inference = self.site.start("ingest"), self.site.start("inference")
        self.unused = list(PHONES)

    def url(self):
        wait_until(lambda: self.ingest.running and self.inference.running, self.ingest.last_words, limit_s=60)
        return self.ingest.said("camera page")[-1]["url"]


@pytest.fixture(name="peers", scope="module")
def _peers(tmp_path_factory):
    """It ends in order after all tests, and has said no token."""
    browser.require()
    peers = PeerSite(tmp_path_factory.mktemp("site"))
    try:
        yield peers
        assert peers.ingest.stop() == peers.inference.stop() == 0
        words = str(peers.ingest.words + peers.inference.words)
        assert not [secret for secret in (TOKEN, OPERATOR) if secret in words]
        assert not peers.ingest.said("a request failed")
    finally:
        peers.site.close()


class Trial:
    """One camera of the site, for one test."""

    def __init__(self, peers, aggregate, phone):
        self.peers, self.ingest, self.aggregate, self.phone = peers, peers.ingest, aggregate, phone
        self.url = peers.url()

    async def sightings(self):
        return len(await self.aggregate.history(SIGHTINGS, site="cannes", camera=self.phone))

    async def order(self, action):
        asked = PauseRequestV1(site="cannes", action=action, operator="ana", camera=self.phone)
        async with self.peers.site.bus("operator") as operator:
            await operator.request(PAUSE, asked, timeout=patient(10))

    def said(self, event):
        """What ingest has told of this camera."""
        return self.ingest.said(event, camera=self.phone)

    async def state(self, page):
        """What ingest says of the camera now."""
        answer = await page.request.get(
            f"{self.url}api/cannes/{self.phone}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        return (await answer.json())["state"]

    async def start(self, page, token=TOKEN):
        """Open the page with this token, and press Start."""
        answer = await page.goto(f"{self.url}#cannes/{self.phone}/{token}")
        await page.get_by_role("button", name="Start").click()
        return answer


@pytest.fixture(name="phone")
def _phone(peers):
    return peers.unused.pop()


@pytest_asyncio.fixture(name="trial", loop_scope="session")
async def _trial(peers, phone):
    async with peers.site.bus("aggregate") as aggregate:
        yield Trial(peers, aggregate, phone)


@pytest_asyncio.fixture(name="page", loop_scope="session")
async def _page(chromium):
    async with browser.own(chromium, locale="en-GB") as page:
        yield page


@contextlib.asynccontextmanager
async def own_browser(folder, film):
    """A page in a browser that is this test's alone, whose camera shows a film."""
    flag = f"--use-file-for-fake-video-capture={film}"
    async with browser.chromium(folder / "profile", flag, locale="en-GB") as context:
        yield context.pages[0]


async def test_a_browser_publishes_pauses_goes_on_and_stops(trial, tmp_path):
    """Press Start: 1280x720, analysed within 100 ms. A pause is told and left by itself; Stop ends all."""
    size = {"width": 1280, "height": 720, "fps": 15, "pictures": 30}
    large = clips.make_clip(tmp_path / "film.mjpeg", codec="mjpeg", pixel_format="yuvj420p", **size)
    async with own_browser(tmp_path, large) as page:
        watched = browser.Watched(page)
        say = expect(page.locator("#publish-say"))
        answer = await trial.start(page)
        await say.to_contain_text("Live:", timeout=30_000)
        assert await answer.header_value("Content-Security-Policy") == browser.POLICY
        assert TOKEN not in page.url
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await browser.accessible(page)
        await expect(page.locator("#figure-size")).to_have_text("1280 × 720")
        lifetime = page.locator("#figure-lifetime")  # none while the machine is too busy to analyse any picture
        await expect(lifetime).to_contain_text(" ms", timeout=patient(90) * 1000)
        await expect(page.locator("#figure-analysed")).not_to_have_text("–")
        before = await trial.sightings()

        async def more():
            return await trial.sightings() >= before + 5

        await until(more, "sightings", 60, every_s=0.1)
        await trial.order("pause")
        await say.to_contain_text("Paused:")
        await trial.order("resume")
        await say.to_contain_text("Live:", timeout=30_000)
        await page.get_by_role("button", name="Stop").click()
        await say.to_have_text("Stopped. The camera is off.")
        await browser.expect_tracks(page, "ended")

        async def noticed():
            return await trial.state(page) != "live"

        await until(noticed, "the end is noticed", NOTICED_S, every_s=0.1)
        assert not watched.complaints


async def test_stop_and_start_at_once_is_another_session(trial, page):
    """The first one is ended, the second goes on, also while the page may not ask for its state (429)."""
    watched = browser.Watched(page)
    say = expect(page.locator("#publish-say"))
    await trial.start(page)
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


@pytest.mark.parametrize("phone", ["upright"])
async def test_a_phone_held_another_way_is_told_to_turn(trial, page):
    """Privacy areas were drawn for another shape: the page says so, and goes on saying it while it tries again."""
    say = expect(page.locator("#publish-say"))
    await trial.start(page)
    await say.to_contain_text("Turn the device", timeout=30_000)
    async with page.expect_response(lambda answer: answer.status == 503):
        pass
    await expect(page.locator("#again")).to_be_visible()
    await say.to_contain_text("Turn the device")


async def test_a_server_that_hangs_is_come_back_to(trial, page):
    """That nothing is heard of it is told, and the page publishes again by itself; an older browser's does too."""
    await page.context.add_init_script(browser.OLDER)
    say = expect(page.locator("#publish-say"))
    await trial.start(page)
    await say.to_contain_text("Live:", timeout=30_000)
    trial.ingest.signal(signal.SIGSTOP)
    try:
        await say.to_contain_text("The connection is lost. The page tries again by itself.", timeout=30_000)
    finally:
        trial.ingest.signal(signal.SIGCONT)
    await say.to_contain_text("Live:", timeout=45_000)
    await page.get_by_role("button", name="Stop").click()
    await say.to_have_text("Stopped. The camera is off.")


async def test_a_wrong_token_is_told(trial, page):
    """Nothing is published, and the camera is let go."""
    await trial.start(page, "a-token-that-somebody-guessed-wrong")
    await expect(page.locator("#publish-say")).to_contain_text("The token is wrong")
    await browser.expect_tracks(page, "ended")
    assert not trial.said("a peer publishes")


async def test_an_operator_aims_from_the_page(trial, page):
    """A wrong token is told; with the right one the light is measured and what to do is said, until it is stopped."""
    watched = browser.Watched(page)
    await trial.start(page)
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
    orders = await until(lambda: len(said := trial.said("aimed by an operator")) > 1 and said, "both orders")
    assert [(line["operator"], line["why"]) for line in orders] == [("ana", "mounted anew")] * 2


@pytest.mark.parametrize("leave", ["goodbye", "killed"])
async def test_a_browser_that_leaves_is_noticed(trial, page, film, tmp_path, leave):
    """A page that is left says goodbye by itself; a killed browser says nothing and is noticed all the same."""
    async with contextlib.AsyncExitStack() as stack:
        if leave == "killed":
            page = await stack.enter_async_context(own_browser(tmp_path, film))
        await trial.start(page)
        await expect(page.locator("#publish-say")).to_contain_text("Live:", timeout=30_000)
        if leave == "goodbye":
            await page.goto("about:blank")
        else:
            kill(tmp_path / "profile")
        await until(lambda: trial.said("a peer is gone"), "noticed", NOTICED_S)
    (line,) = trial.said("a peer is gone")
    assert line["reason"] == {"goodbye": "end-of-stream", "killed": "timeout"}[leave]


def arguments(process):
    """What a process was started with; nothing of one that has ended meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def kill(profile):
    """Kill every process of the browser with this profile at once."""
    mine = [p for p in psutil.Process().children(recursive=True) if any(str(profile) in a for a in arguments(p))]
    assert mine
    family = [child for process in mine for child in process.children(recursive=True)]
    for process in [*mine, *family]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
