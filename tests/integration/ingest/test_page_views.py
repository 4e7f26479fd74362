"""The camera page's views in a real browser: words, keyboard, accessibility, drawing. The test serves its files."""

import asyncio
import json
import re
from pathlib import Path
from typing import get_args

import browser
import clips
import pytest
import pytest_asyncio
import yaml
from command_line import moretta
from playwright.async_api import expect

from proto.aiming import AdviceCode, AimEnd
from services.sites.settings import Counts

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("ended"),
    pytest.mark.xdist_group("camera-page-views"),
]
HEAT = "0" * 278 + "369" + "0" * 295
REPORT = {
    "left": 12_000_000_000,
    "ended": None,
    "heat": HEAT,
    "sizes": {"p10": 7.0, "p50": 12.0, "p90": 23.0},
    "picture_sizes": {"p10": 14.0, "p50": 24.0, "p90": 46.0},
    "smallest": 12.0,
    "too_small": 0.5,
    "unsure": 0.1,
    "brightness": 0.43,
    "sharpness": None,
    "advice": [{"code": "move-closer", "share": 0.5, "limit": 24.0}],
}

WEIGHTS = {"good", "calm", "warn", "bad"}
"""How what is said is coloured."""


@pytest.fixture(name="options")
def _options():
    return {}


@pytest_asyncio.fixture(name="watched", loop_scope="session")
async def _watched(chromium, options):
    """The page with site and camera, in English unless the test has options of its own; it must not complain."""
    async with browser.own(chromium, **{"locale": "en-GB", **options}) as opened:
        await browser.serve(opened.context)
        watched = browser.Watched(opened)
        await watched.page.goto(f"{browser.ORIGIN}#market/gate/secret")
        await expect(watched.page.locator("main")).to_be_visible()
        yield watched
        assert not watched.complaints


async def show(page, view):
    await page.locator(f"#tab-{view}").click()


def still(folder, width, height):
    """Write a picture of this size; a film of one picture in this codec is a JPEG file."""
    film = Path(folder) / "still.mjpeg"
    clips.make_clip(film, width=width, height=height, pictures=1, codec="mjpeg", pixel_format="yuvj420p")
    return film.rename(film.with_suffix(".jpg"))


@pytest.mark.parametrize("options", [{"color_scheme": scheme} for scheme in ("light", "dark")], ids=str)
@pytest.mark.parametrize("language", ["English", "Français"])
async def test_every_view_is_accessible_and_fits_a_phone(watched, language, tmp_path):
    """No rule of axe-core (WCAG 2.2 AA, contrast included) is broken, and nothing is wider than 320 px, good or bad."""
    page = watched.page
    await page.set_viewport_size({"width": 320, "height": 740})
    await page.get_by_role("button", name=language).click()
    await expect(page.locator("html")).to_have_attribute("lang", {"English": "en", "Français": "fr"}[language])
    answer = {"whip": 503, "aim": REPORT | {"ended": "paused"}}
    await page.route("**/whip/**", lambda route: route.fulfill(status=answer["whip"]))
    await page.route("**/aim", lambda route: route.fulfill(json=answer["aim"]))

    async def accessible(weight=None):
        """As it is, once something is said with this weight."""
        if weight:
            await expect(page.locator(f".say.{weight}:visible, .advice.{weight}:visible")).to_be_visible()
        await browser.accessible(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 320

    await accessible()
    await page.locator("#phone summary").click()
    await expect(page.locator("#phone img")).to_be_visible()
    await expect(page.locator("#phone img")).not_to_have_js_property("naturalWidth", 0)
    await accessible()
    await page.locator("#toggle").click()
    await accessible("warn")
    await page.locator("#toggle").click()
    answer["whip"] = 404
    await page.locator("#toggle").click()
    await accessible("bad")
    await show(page, "aim")
    await aim(page)
    await accessible("bad")
    answer["aim"] = REPORT | {"ended": "time", "advice": [{"code": "fine"}]}
    await aim(page)
    await accessible("good")
    await show(page, "draw")
    await draw(page, tmp_path, [(0.2, 0.2), (0.6, 0.8), (0.6, 0.2), (0.2, 0.8)])
    await accessible("warn")
    await page.locator("#kind-0").select_option("ignore")
    await accessible()
    await page.locator("#kind-0").select_option("zone")
    await click(page, [(0.1, 0.9), (0.9, 0.9)])
    await page.locator("#draw-line").click()
    await accessible()


def asked_for():
    """The keys that the page asks for: those written out, and those put together of a view and a code."""
    files = {file.name: file.read_text() for file in browser.PAGE.iterdir()}
    scripts = "".join(text for name, text in files.items() if name.endswith(".js"))
    written = re.findall(r'"((?:publish|aim|draw|state|badge|reason|advice)\.[\w.-]+)"', scripts)
    marked = re.findall(r'data-(?:text|label)="([^"]+)"', files["index.html"])
    code = r'(?:say\(|stop\(|\?\? |\? |: )"([a-z][a-z-]+)"'
    states = {f"state.{one}" for one in set(re.findall(code, files["publish.js"] + files["device.js"])) - WEIGHTS}
    aiming = {
        f"aim.{one}"
        for one in set(re.findall(code, files["aim.js"])) - WEIGHTS - {"nothing", "withheld", "tab-publish"}
    }
    aiming |= {f"aim.no-{field}" for field in ("operator", "operator-token", "why")}
    aiming |= {f"aim.ended.{end}" for end in (*get_args(AimEnd), "lost")}
    rows, columns = ("top", "middle", "bottom"), ("left", "centre", "right")
    aiming |= {f"aim.heat-{row}-{column}" for row in rows for column in columns}
    aiming |= {f"aim.heat-{one}" for one in ("few", "nothing", "withheld")}
    reasons = re.findall(r'"([^"]+)"', re.search(r"TELLING = new Set\(\[(.*)\]", files["publish.js"])[1])
    listed = [f"reason.{reason}" for reason in reasons]
    listed += [f"advice.{one}" for one in get_args(AdviceCode)] + [f"draw.counts-{one}" for one in get_args(Counts)]
    return {*written, *marked, *states, *aiming, *listed}


async def test_the_languages_say_the_same_things():
    """Every key that the page asks for has words in both languages, with the same places to fill."""
    english, french = (json.loads((browser.PAGE / f"{language}.json").read_text()) for language in ("en", "fr"))
    assert len(asked_for()) > 100
    assert not asked_for() - english.keys()
    assert french.keys() == english.keys()
    holes = [{key: sorted(re.findall(r"{\w+}", words)) for key, words in one.items()} for one in (english, french)]
    assert holes[0] == holes[1]


@pytest.mark.parametrize("options", [{"locale": "fr-CA"}], ids=["French"])
async def test_the_browser_s_language_is_spoken(watched):
    """A French reader needs no switch."""
    await expect(watched.page.get_by_role("button", name="Démarrer")).to_be_visible()
    assert await watched.page.locator("[data-text]").evaluate_all("all => all.every(one => one.textContent)")


async def test_the_token_leaves_the_address_and_is_stored_nowhere(watched):
    """Site and camera stay for the next time; the token is in the field alone."""
    page = watched.page
    assert page.url == f"{browser.ORIGIN}/#market/gate"
    assert await page.locator("#token").input_value() == "secret"
    kept = await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]
    await page.locator("#token").fill("")
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#publish-say")).to_contain_text("The token is missing")
    await expect(page.locator("#token")).to_be_focused()


async def test_another_address_does_not_change_the_camera_in_use(watched):
    """It is refused, token and all, until Stop is pressed; then it is taken."""
    page = watched.page
    await page.route("**/whip/**", lambda route: route.fulfill(status=503))
    await page.route("**/api/**", lambda route: route.fulfill(json={"state": "connecting"}))
    await page.get_by_role("button", name="Start").click()
    await page.evaluate("location.hash = '#bus/door/another'")
    await expect(page).to_have_url(f"{browser.ORIGIN}/#market/gate")
    fields = ("site", "camera", "token")
    assert [await page.locator(f"#{field}").input_value() for field in fields] == ["market", "gate", "secret"]
    await page.get_by_role("button", name="Stop").click()
    await page.evaluate("location.hash = '#bus/door/another'")
    await expect(page).to_have_url(f"{browser.ORIGIN}/#bus/door")
    assert [await page.locator(f"#{field}").input_value() for field in fields] == ["bus", "door", "another"]


@pytest.mark.parametrize(
    ("status", "state", "said", "again"),
    [
        (409, {"state": "live"}, "Another device publishes", False),
        (409, {"state": "paused", "reason": "operator"}, "Paused:", True),
        (503, {"state": "paused", "reason": "schedule"}, "The hours in the settings say so.", True),
        (503, {"state": "failed-config", "reason": "picture-changed"}, "Turn the device, or draw", True),
        (None, {"state": "failed-config", "reason": "undecodable"}, "The pictures cannot be decoded.", True),
        (404, {}, "There is no such camera", False),
        (429, {}, "The server is not ready", True),
        (503, {}, "The server is not ready", True),
        (400, {}, "did not accept this browser's offer", False),
        (None, {}, "The connection is lost. The page tries again by itself.", True),
    ],
)
async def test_a_refusal_is_told_in_words(watched, status, state, said, again):
    """What only a person can mend ends it and lets the camera go; the rest is tried again, with the time left."""
    page = watched.page
    await page.route("**/whip/**", lambda route: route.fulfill(status=status) if status else route.abort())
    await page.route("**/api/**", lambda route: route.fulfill(json=state))
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#publish-say")).to_contain_text(said)
    await expect(page.locator("#toggle")).to_have_text("Stop" if again else "Start")
    await expect(page.locator("#again")).to_be_visible(visible=again)
    await browser.expect_tracks(page, "live" if again else "ended")
    if again:
        await page.locator("#toggle").click()
        await browser.expect_tracks(page, "ended")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("camerasGiven[0].getTracks()[0].dispatchEvent(new Event('ended'))", "unplugged or taken away"),
        ("dispatchEvent(new Event('pagehide'))", "because the page was left"),
    ],
    ids=["taken away", "left"],
)
async def test_the_camera_is_let_go_however_it_ends(watched, event, said):
    """Its light goes out: the track has ended, not only its picture."""
    page = watched.page
    await page.route("**/whip/**", lambda route: route.fulfill(status=503))
    await page.get_by_role("button", name="Start").click()
    await browser.expect_tracks(page, "live")
    await page.evaluate(event)
    await expect(page.locator("#publish-say")).to_contain_text(said)
    await browser.expect_tracks(page, "ended")


async def test_a_camera_that_is_allowed_after_stop_is_let_go_at_once(watched):
    """Nobody waits for it any more, and nothing is published."""
    page = watched.page
    await page.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia;
          const allowed = new Promise((resolve) => { window.allow = resolve; });
          navigator.mediaDevices.getUserMedia = (wanted) => allowed.then(() => ask(wanted));
        }"""
    )
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#publish-say")).to_contain_text("Waiting for the camera")
    await page.get_by_role("button", name="Stop").click()
    await page.evaluate("allow()")
    await browser.expect_tracks(page, "ended")
    await expect(page.locator("#publish-say")).to_have_text("Stopped. The camera is off.")
    assert watched.count("POST", "/whip/") == 0


@pytest.mark.parametrize("before", ["an offer without an answer", "loaded again"])
async def test_a_camera_held_for_this_page_s_own_last_connection_is_waited_for(watched, before):
    """The server lets go of it in seconds; before that its refusal does not mean that somebody else publishes."""
    page = watched.page
    stopped = asyncio.Event()

    async def answer(route):
        """Nothing before Stop is pressed, and then that the camera is in use."""
        await stopped.wait()
        await route.fulfill(status=409)

    await page.route("**/api/**", lambda route: route.fulfill(json={"state": "connecting"}))
    await page.route("**/whip/**", answer)
    if before == "loaded again":
        await page.reload()
        await page.locator("#token").fill("secret")
    else:
        async with page.expect_request("**/whip/**"):
            await page.get_by_role("button", name="Start").click()
        await page.get_by_role("button", name="Stop").click()
        await expect(page.locator("#publish-say")).to_have_text("Stopped. The camera is off.")
    stopped.set()
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#publish-say")).to_contain_text("This camera is still in use")
    await expect(page.locator("#again")).to_be_visible()
    await page.get_by_role("button", name="Stop").click()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("NotAllowedError", "was not allowed to use the camera"),
        ("NotFoundError", "has no camera"),
        ("NotReadableError", "Another program may be using it"),
        ("AbortError", "Another program may be using it"),
        ("SecurityError", "was not allowed to use the camera"),
    ],
)
async def test_a_camera_that_cannot_be_had_is_told(watched, error, said):
    """Each has its own remedy."""
    page = watched.page
    refuse = f"() => {{ navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', '{error}')) }}"
    await page.evaluate(refuse)
    await page.locator("#token").press("Enter")
    await expect(page.locator("#publish-say")).to_contain_text(said)
    await expect(page.get_by_role("button", name="Start")).to_be_focused()


async def aim(page):
    for field, value in (("operator", "ana"), ("operator-token", "x"), ("why", "a new place")):
        await page.locator(f"#{field}").fill(value)
    await page.locator("#aim-toggle").click()
    await expect(page.locator("#aim-size")).to_contain_text("12")


async def test_aiming_tells_sizes_light_and_what_to_do(watched):
    """Who asks, and why, is sent; what comes back is shown in words, and the heat map has words too."""
    page = watched.page
    await show(page, "aim")
    ended = REPORT | {"left": 0, "ended": "time", "advice": [{"code": "fine"}]}
    lines = [json.dumps(REPORT), json.dumps(ended), ""]
    await page.route("**/aim", lambda route: route.fulfill(body="\n".join(lines)))
    async with page.expect_request("**/api/market/gate/aim") as asked:
        await aim(page)
    request = await asked.value
    assert request.post_data_json == {"operator": "ana", "why": "a new place"}
    assert request.headers["authorization"] == "Bearer x"
    await expect(page.locator("#advice")).to_have_text("Fine: leave it so.")
    await expect(page.locator("#aim-say")).to_have_text("The 30 seconds are over.")
    await expect(page.locator("#aim-size")).to_have_text("12 px, most 7 to 23 (judged from 12 px)")
    await expect(page.locator("#aim-small")).to_have_text("50%")
    await expect(page.locator("#heat")).to_have_attribute("aria-label", "Where faces are. Most faces are at the right.")


@pytest.mark.parametrize("options", [{"locale": "en-GB"}, {"locale": "fr-FR"}], ids=str)
async def test_aiming_says_where_a_smaller_analysed_picture_would_do(watched, options):
    """The setting by its name, what it saves and what it costs, beside the good news."""
    page = watched.page
    await page.set_viewport_size({"width": 360, "height": 780})
    await show(page, "aim")
    large = REPORT | {"ended": "time", "too_small": 0.0, "advice": [{"code": "fine", "limit": 480}]}
    await page.route("**/aim", lambda route: route.fulfill(json=large))
    await aim(page)
    saved, lost = {
        "en-GB": ("long_side: 480 would do: a third less work", "about one face of 100 fewer"),
        "fr-FR": ("long_side: 480 suffirait : un tiers de calcul en moins", "environ un visage sur 100 de moins"),
    }[options["locale"]]
    await expect(page.locator(".advice.good")).to_contain_text(saved)
    await expect(page.locator(".advice.good")).to_contain_text(lost)


async def test_a_name_that_the_audit_does_not_take_is_told_before_anything_is_asked(watched):
    """With what a name may have; the field's hint says it beforehand."""
    page = watched.page
    await show(page, "aim")
    asked = []
    await page.route("**/aim", lambda route: asked.append(route) or route.fulfill(status=401))
    for field, value in (("operator", "Anaïs Silva"), ("operator-token", "x"), ("why", "a new place")):
        await page.locator(f"#{field}").fill(value)
    await page.locator("#aim-toggle").click()
    await expect(page.locator("#aim-say")).to_contain_text("no space, no accent")
    await expect(page.get_by_label("Your name")).to_be_focused()
    await expect(page.get_by_label("Your name")).to_have_accessible_description(re.compile("such as ana.silva"))
    assert not asked
    await page.get_by_label("Your name").fill("anais.silva")
    await page.keyboard.press("Enter")
    await expect(page.locator("#aim-say")).to_have_text("The operator token is wrong.")


async def draw(page, folder, points):
    await page.locator("#still").set_input_files(still(folder, 640, 360))
    await expect(page.locator("#draw-say")).to_contain_text("640")
    await click(page, [*points, points[0]])


async def click(page, points):
    board = page.locator("#board")
    box = await board.bounding_box()
    for x, y in points:
        await board.click(position={"x": x * box["width"], "y": y * box["height"]})


async def colour(page, canvas, x, y):
    """Red, green and blue at a place of a canvas."""
    script = """(canvas, [x, y]) => {
      const pixel = new OffscreenCanvas(1, 1).getContext("2d");
      pixel.drawImage(canvas, -Math.round(x * canvas.width), -Math.round(y * canvas.height));
      return [...pixel.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    }"""
    return await page.locator(canvas).evaluate(script, [x, y])


async def brightest(page, x, y):
    """The largest of red, green and blue at a place of the board."""
    return max(await colour(page, "#board", x, y))


async def test_areas_drawn_by_pointer_and_by_keyboard_are_settings(watched, tmp_path):
    """Both become the polygons that were meant, and `moretta check-config` takes them. The still goes nowhere."""
    page = watched.page
    await show(page, "draw")
    watched.requests.clear()
    await draw(page, tmp_path, [(0.6, 0.1), (0.9, 0.1), (0.9, 0.5)])
    await page.locator("#area-0").fill("the neighbour: #1\nand 'more'")
    await page.locator("#board").focus()
    await page.keyboard.press("Backspace")  # nothing to take back: harmless
    for keys in (["ArrowLeft"] * 110 + ["ArrowUp"] * 60, ["ArrowRight"] * 20, ["ArrowDown"] * 30 + ["Shift+ArrowUp"]):
        for key in keys:
            await page.keyboard.press(key)
        await page.keyboard.press("Enter")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Backspace")
    await page.locator("#draw-finish").click()
    await page.locator("#wide").fill("1280")
    await page.locator("#high").fill("720")
    await expect(page.locator("#draw-size")).to_contain_text("drawn_for must be the camera's size")
    written = await page.locator("#yaml").text_content()
    privacy = yaml.safe_load(written)["privacy"]
    assert privacy["drawn_for"] == [1280, 720]
    pointed, keyed = privacy["areas"]
    assert keyed == [[0, 0], [0.2, 0], [0.2, 0.299]]
    assert pointed == [pytest.approx(point, abs=0.01) for point in ([0.6, 0.1], [0.9, 0.1], [0.9, 0.5])]
    assert check(tmp_path, written) == 0
    assert not watched.requests


async def test_zones_and_a_line_are_drawn_and_are_settings(watched, tmp_path):
    """A closed area is black until it is made a zone, which needs an id that the settings take; two points: a line."""
    page = watched.page
    await show(page, "draw")
    await draw(page, tmp_path, [(0.1, 0.1), (0.5, 0.1), (0.5, 0.9), (0.1, 0.9)])
    assert await brightest(page, 0.2, 0.2) <= 64
    kind = page.get_by_label("Area 1 (4 points)")
    await kind.press("ArrowDown")
    await expect(kind).to_have_value("zone")
    await expect(kind).to_be_focused()
    assert await brightest(page, 0.2, 0.2) > 80
    settings, zone = page.locator("#yaml"), page.get_by_label("Id of the zone in area 1")
    await expect(settings).to_have_text("Give area 1 the id of its zone, to see the settings.")
    await zone.fill("North gate")
    await expect(zone).to_have_attribute("aria-invalid", "true")
    await expect(zone).to_have_accessible_description(re.compile("1 to 32 of a-z"))
    await expect(page.locator("#copy")).to_be_disabled()
    await zone.fill("12")
    await expect(zone).to_have_attribute("aria-invalid", "false")
    await page.locator("#wide").fill("")  # which is for privacy areas
    await click(page, [(0.2, 0.5)])
    await page.locator("#draw-line").press("Enter")
    await expect(page.locator("#draw-say")).to_contain_text("exactly two points; 1 so far")
    await click(page, [(0.8, 0.5)])
    await page.locator("#draw-line").press("Enter")
    await page.get_by_label("Counting line").select_option("Counts who goes to its right")
    written = yaml.safe_load(await settings.text_content())
    assert written.keys() == {"zone_areas", "line"}
    (area,) = written["zone_areas"]
    assert (area["zone"], len(area["area"])) == ("12", 4)
    assert written["line"]["counts"] == "rightwards"
    assert written["line"]["end"] == pytest.approx([0.8, 0.5], abs=0.01)
    zones = (await page.locator("#yaml-zones").text_content()).partition("yet: ")[2]
    assert check(tmp_path, await settings.text_content(), zones) == 0
    assert check(tmp_path, await settings.text_content()) == 2  # its zone is unknown
    await page.get_by_role("button", name="Remove the line").click()
    await expect(settings).not_to_contain_text("line")


async def test_an_ignored_area_is_hatched_and_is_settings(watched, tmp_path):
    """What is below it stays visible between the lines; it needs no size, and its name becomes a comment."""
    page = watched.page
    await show(page, "draw")
    await draw(page, tmp_path, [(0.1, 0.1), (0.5, 0.1), (0.5, 0.9), (0.1, 0.9)])
    places = [(0.2 + step / 500, 0.3) for step in range(20)]
    assert max([await brightest(page, *place) for place in places]) < 100
    await page.get_by_label("Area 1 (4 points)").select_option("Nobody is counted in it")
    hatched = [await brightest(page, *place) for place in places]
    assert len({value // 32 for value in hatched}) > 2, hatched
    await page.get_by_label("Name of area 1, as a comment").fill("the screen")
    await page.locator("#wide").fill("")  # which is for privacy areas
    written = await page.locator("#yaml").text_content()
    assert "# the screen" in written
    (area,) = yaml.safe_load(written)["ignore"]
    assert area == [pytest.approx(point, abs=0.01) for point in ([0.1, 0.1], [0.5, 0.1], [0.5, 0.9], [0.1, 0.9])]
    assert check(tmp_path, written) == 0


def check(folder, camera_lines, site_line=""):
    """The exit code of `moretta check-config` for a camera with these lines, indented as the page says."""
    indented = "".join(f"        {line}\n" for line in camera_lines.splitlines())
    site = f"sites:\n  - id: market\n    {site_line}\n    cameras:\n      - id: gate\n        url: film.mp4\n"
    file = folder / "site.yaml"
    file.write_text(site + indented)
    return moretta("check-config", file).returncode


async def test_copying_does_not_leave_out_in_silence_what_is_being_drawn(watched, tmp_path):
    """It is told beside the settings and when they are copied, until it is closed."""
    page = watched.page
    await show(page, "draw")
    await draw(page, tmp_path, [(0.6, 0.1), (0.9, 0.1), (0.9, 0.5)])
    await expect(page.locator("#yaml-open")).to_be_empty()
    await page.locator("#board").focus()
    for key in ("Enter", "ArrowLeft", "Enter", "ArrowUp", "Enter"):
        await page.keyboard.press(key)
    await expect(page.locator("#yaml-open")).to_contain_text("not in these settings yet")
    await page.locator("#copy").click()
    await expect(page.locator("#draw-say")).to_contain_text(re.compile("what you are drawing", re.IGNORECASE))
    await page.locator("#draw-finish").click()
    await expect(page.locator("#yaml-open")).to_be_empty()
    await page.locator("#copy").click()
    await expect(page.locator("#draw-say")).to_contain_text("The settings are")
    await expect(page.locator("#draw-say")).not_to_contain_text(re.compile("what you are drawing", re.IGNORECASE))


async def test_areas_that_are_not_what_was_meant_are_told(watched, tmp_path):
    """A crossing edge and another shape of picture are warned of; a line and two points are no area; areas go again."""
    page = watched.page
    say = expect(page.locator("#draw-say"))
    await show(page, "draw")
    await draw(page, tmp_path, [(0.2, 0.2), (0.6, 0.8), (0.6, 0.2), (0.2, 0.8)])
    await say.to_contain_text("its edge crosses itself")
    await page.locator("#wide").fill("640")
    await page.locator("#high").fill("480")
    await expect(page.locator("#draw-size")).to_contain_text("another shape")
    await page.get_by_role("button", name="Remove area 1").click()
    await expect(page.locator("#yaml")).not_to_contain_text("privacy")
    await page.locator("#board").focus()
    for expected in ("at least three", "at least three", "on one line"):
        await page.keyboard.press("ArrowRight")
        await page.keyboard.press("Enter")
        await page.locator("#draw-finish").click()
        await say.to_contain_text(expected)
        await page.locator("#board").focus()
    await page.keyboard.press("Escape")
    await expect(page.locator("#areas-heading")).to_be_focused()


async def test_the_tabs_go_by_arrow_keys(watched):
    """One stop for the Tab key; arrows choose."""
    page = watched.page
    await page.locator("#tab-publish").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.get_by_role("tab", name="Privacy areas and zones")).to_be_focused()
    await expect(page.get_by_role("tabpanel", name="Privacy areas and zones")).to_be_visible()
    await expect(page.locator("#publish")).to_be_hidden()
