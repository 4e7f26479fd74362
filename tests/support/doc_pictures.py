"""Takes the documents' pictures of the page, the mails and the report anew, of what the code shows today.

PYTHONPATH=tests/support:. .venv/bin/python tests/support/doc_pictures.py
"""

import asyncio
import base64
import itertools
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import av
import browser
import clips
import msgspec
import numpy as np
import yaml
from market import market_film
from messages import HOUR, MINUTE, TEN, alert, window
from msgspec import structs
from numpy.typing import NDArray
from patience import wait_until
from playwright.async_api import Browser, expect
from published_sites import MARKET, Published, published
from site_process import Site
from windows import hidden, market_day

from operate.transparency.write import write
from proto.model_errors import ModelErrors
from proto.public import AlertV1, WindowV1
from services.notify.channels.email.drawing import draw
from services.notify.languages import words_in
from services.notify.notification import Group, Notification, notice_of
from services.notify.reports.day import Question, report_of
from services.notify.reports.writer import report_file
from services.notify.templates import render
from services.notify.texts.chart import chart_of
from services.notify.texts.mail_contents import MailImage
from services.notify.texts.mail_wording import describe
from services.sites.settings import RuleSettings, SiteSettings, ZoneSettings
from services.statistics.calendar import day_start

FOLDER = Path(__file__).parents[2] / "docs/pictures"
ERRORS = Path(__file__).parents[2] / "services/inference/models/errors.json"
PARIS = ZoneInfo("Europe/Paris")
RULE = RuleSettings(
    id="few-masks", zone="north", fire_below=0.7, clear_above=0.75,
    name={"en": "Few masks", "fr": "Peu de masques"}, action={"en": "Hand out masks.", "fr": "Distribuez des masques."},
)  # fmt: skip
SITE = SiteSettings(
    id="forville", name="Forville market", timezone="Europe/Paris", zones=[ZoneSettings(id="north", name="North gate")],
    rules=[RULE],
)  # fmt: skip
ASK = {"en": "the control room, 04 97 06 40 00", "fr": "le poste de contrôle, 04 97 06 40 00"}
_RATES = (0.86, 0.88, 0.84, 0.87, 0.85, 0.86, None, None, 0.86, 0.83, 0.84, 0.8, 0.81, 0.78, 0.74, 0.71, 0.66)
"""Of the windows before the alert; the first that is None was withheld, the other is missing."""


async def pages(chromium: Browser) -> None:
    """The page on a desk and on a phone."""
    plain = Published.sites

    def sites(self: Published) -> list[SiteSettings]:
        market, *others = plain(self)
        assert market.id == MARKET
        names = {"flowers": "Allée des fleurs"}
        zones = [structs.replace(zone, name=names.get(zone.id, zone.name)) for zone in market.zones]
        rules = [structs.replace(rule, action="Hand out masks at the east door.") for rule in market.rules]
        return [structs.replace(market, zones=zones, rules=rules), *others]

    Published.sites = sites  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        async with published(Path(folder)) as (place, served), browser.own(chromium, locale="en-GB") as page:
            await place.publish()
            for name, width, height in (("page", 1280, 860), ("page-phone", 390, 844)):
                await page.set_viewport_size({"width": width, "height": height})
                await page.goto(served.url)
                await expect(page.locator("rect.gap").first).to_be_attached()
                await page.screenshot(path=FOLDER / f"{name}.png")


def told(reason: str, state: str, **figures: object) -> Notification:
    """Return the notification to field staff about the gate."""
    one = alert(zone="north", rule="few-masks", state=state, **figures)
    notice = notice_of(one, TEN + 21 * MINUTE)
    firing, over = ((notice,), ()) if state == "firing" else ((), (notice,))
    group = Group("field-staff", SITE.id, "field")
    return Notification(
        "00ff00ff00ff00ff",
        group,
        reason,
        1,
        "f" * 16,
        TEN + 21 * MINUTE,
        firing,
        over,
        frozenset({one.alert}),  # type: ignore[arg-type]
    )


def morning(last: float) -> list[WindowV1]:
    """The gate's windows before the alert, and its own."""
    found = []
    for number, rate in enumerate((*_RATES, last)):
        start = TEN - (len(_RATES) - number) * 20 * MINUTE
        if rate is not None:
            near = {"rate": rate, "interval": (rate - 0.1, rate + 0.1), "persons": 140}
            near |= {"sampling_interval": (rate - 0.08, rate + 0.07)}
            found.append(window(start, zone="north", **near))
        elif number == _RATES.index(None):
            found.append(hidden(start, site=SITE.id, zone="north"))
    return found


async def mails(chromium: Browser) -> None:
    """The mail of an alert, and the one in French and in the dark that says that it is over."""
    under = {"rate": 0.54, "interval": (0.437, 0.653), "sampling_interval": (0.46, 0.624), "persons": 140}
    over = {"rate": 0.81, "interval": (0.732, 0.894), "sampling_interval": (0.733, 0.864)}
    kinds = {
        "mail-firing": (told("first", "firing", **under), "en", "light"),
        "mail-resolved": (told("all-resolved", "resolved", **over), "fr", "dark"),
    }
    for name, (notification, language, scheme) in kinds.items():
        message = notification.notices[0].message
        assert isinstance(message, AlertV1)
        words, windows = words_in(language), morning(message.rate)
        chart = chart_of(notification, SITE, words, windows)
        assert chart is not None
        image = MailImage("chart", chart.alternative)
        view = describe(
            notification,
            SITE,
            words,
            windows=windows,
            link="https://masks.example.org/",
            contact=ASK[language],
            image=image,
        )
        source = f"data:image/png;base64,{base64.b64encode(draw(chart)).decode()}"
        html = render("alert", view=replace(view, image=image)).html.replace("cid:chart", source)
        await taken(chromium, name, html, 640, scheme)


async def report(chromium: Browser) -> None:
    """The daily report."""
    day = date(2026, 11, 24)
    start = day_start(day, PARIS)
    site = SiteSettings(
        id="cannes", name="Marché Forville", timezone="Europe/Paris",
        zones=[ZoneSettings(id="fish", name="Fish hall"), ZoneSettings(id="hall", name="North gate")],
    )  # fmt: skip
    fish = [window(start + n * HOUR, 30, (10, 0, 0), site="cannes", zone="fish") for n in range(9, 18)]
    errors = msgspec.convert(json.loads(ERRORS.read_bytes())["errors"], ModelErrors)
    days = [*market_day(start - 24 * HOUR), *market_day(start), *fish]
    windows = [structs.replace(one, model_errors=errors) for one in days]
    found = report_of(Question("cannes", day, PARIS, 2**62, zones=("fish", "hall")), windows, [])
    await taken(chromium, "report", await report_file(found, site, words_in("en")), 1000, "light", height=1288)


async def sign(chromium: Browser) -> None:
    """The sign that hangs at the entrance, of made-up settings that leave no gap."""
    told = {
        "controller": "Town of Cannes, 1 place Bernard Cornut-Gentille, 06400 Cannes",
        "contact": "masks@cannes.example",
        "officer": "dpo@cannes.example",
        "legal_basis": "a task in the public interest (GDPR Article 6(1)(e)).",
        "page_url": "https://cannes.example/masks",
        "objection": "Take the north entrance, which has no camera.",
    }
    site = {"id": "forville", "name": "Marché Forville", "timezone": "Europe/Paris"}
    site["cameras"] = [{"id": "gate", "url": "rtsp://10.0.0.5/stream"}]
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / "site.yaml").write_text(yaml.safe_dump({"sites": [site], "transparency": told}))
        made, _ = write(file, Path(folder), ["en"], datetime(2026, 11, 24, 9, tzinfo=PARIS))
        (one,) = (page for page in made if "sign" in page.name)
        await taken(chromium, "sign", one.read_text("utf-8"), 820, "light")


def phone_film(folder: Path) -> Path:
    """Return ten seconds of the simulated market, as Chromium takes them for a camera's."""
    with av.open(str(market_film(folder / "market.mp4", (14, 0.7)))) as film:
        shown = list(itertools.islice(film.decode(video=0), 50, 200))  # people are there by now
    return clips.make_clip(
        folder / "market.mjpeg", width=1280, height=720, fps=15, pictures=len(shown), codec="mjpeg",
        pixel_format="yuvj420p", picture=lambda *size_and_place: rgb(shown, *size_and_place),
    )  # fmt: skip


def rgb(shown: Sequence[av.VideoFrame], width: int, height: int, number: int) -> NDArray[np.uint8]:
    """Return one of the pictures, of this size."""
    return shown[number].reformat(width, height).to_ndarray(format="rgb24")


async def camera_page() -> None:
    """The camera page while a browser is a camera: its film is the simulated market."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (token := folder / "token").write_text("a-token-for-a-picture-in-the-documents")
        camera = {"id": "gate", "url": "whip://", "token_file": str(token)}
        web = {"port": 0, "host": "127.0.0.1", "ice_addresses": ["127.0.0.1"]}
        site = Site(folder)
        site.write({"sites": [{"id": "market", "window_s": 60, "cameras": [camera]}], "ingest": {"web": web}})
        site.server.start()
        ingest, inference = site.start("ingest"), site.start("inference")
        try:
            wait_until(lambda: ingest.running and inference.running, ingest.last_words, limit_s=60)
            film = f"--use-file-for-fake-video-capture={phone_film(folder)}"
            async with browser.chromium(folder / "profile", film, locale="en-GB") as context:
                page = context.pages[0]
                await page.set_viewport_size({"width": 1120, "height": 800})
                await page.goto(f"{ingest.said('camera page')[-1]['url']}#market/gate/{token.read_text()}")
                await page.get_by_role("button", name="Start").click()
                await expect(page.locator("#publish-say")).to_contain_text("Live:")
                await expect(page.locator("#figure-lifetime")).to_contain_text(" ms", timeout=150_000)
                await page.screenshot(path=FOLDER / "camera-page.png", full_page=True)
        finally:
            ingest.stop()
            inference.stop()
            site.close()


async def taken(chromium: Browser, name: str, html: str, width: int, scheme: str, height: int | None = None) -> None:
    """Take a picture of a document, of all of it unless a height is given."""
    async with browser.own(chromium, color_scheme=scheme) as page:
        await page.set_viewport_size({"width": width, "height": height or 800})
        await page.set_content(html)
        await page.screenshot(path=FOLDER / f"{name}.png", full_page=height is None)


async def main() -> None:
    """Take all of them."""
    async with browser.launched() as chromium:
        await pages(chromium)
        await mails(chromium)
        await report(chromium)
        await sign(chromium)
    await camera_page()


if __name__ == "__main__":
    asyncio.run(main())
