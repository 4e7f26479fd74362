"""The page of numbers before a real system: `moretta up` with simulated cameras, and Chromium."""

import contextlib
import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import yaml
from market import market_film
from playwright.async_api import Locator, Page
from up_process import UpProcess

SEED = 3
WINDOW_S = 4
_URL = re.compile(r"numbers in a browser: (\S+)")
LIMIT_S = 60
PHASES = ((6, 0.8), (6, 0.4))
"""People with and without a mask, looped."""


def settings(folder: Path, **site) -> Path:
    """A site with two zones, a camera in each and one that is not there, a rule that fires at once, and the page."""
    clip = market_film(folder / "people.mp4", *PHASES, seed=SEED)
    cameras = [
        {"id": "gate-1", "url": str(clip), "loop": True, "zone": "gate"},
        {"id": "hall-1", "url": str(clip), "loop": True, "zone": "hall"},
        {"id": "gone", "url": "rtsp://127.0.0.1:1/none"},
    ]
    zones = [{"id": "gate", "name": "North <b>gate</b>"}, {"id": "hall", "name": "Fish hall"}]
    rules = [{"id": "few-masks", "fire_below": 0.99, "clear_above": 1.0, "for_windows": 1, "min_persons": 1}]
    told = {"id": "forville", "name": "Marché Forville", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 1.5}
    told |= {"zones": zones, "cameras": cameras, "rules": rules, "timezone": "Europe/Paris"} | site
    file = folder / "site.yaml"
    ingest, aggregate = {"report_s": 1}, {"page": {"port": 0}}
    file.write_text(yaml.safe_dump({"sites": [told], "ingest": ingest, "aggregate": aggregate}))
    return file


def percent(share: float) -> str:
    """A share as the page has it in English, halves rounded up."""
    return f"{(Decimal(repr(share)) * 100).quantize(Decimal('0.1'), ROUND_HALF_UP):f}%".replace(".0%", "%")


def card(page: Page, name: str, site: str = "Marché Forville") -> Locator:
    """A zone's card."""
    return page.get_by_role("region", name=site).get_by_role("article", name=name)


@contextlib.contextmanager
def running(file: Path):
    """`moretta up`, and the address it prints of the page."""
    up = UpProcess(["-c", str(file), "--temporary"]).start()
    try:
        up.wait_for(lambda: url_of(up) is not None, LIMIT_S, "the page's address")
        yield up, url_of(up)
    finally:
        up.stop()


def url_of(up: UpProcess) -> str | None:
    """The address of the page, once it was printed."""
    found = (match.group(1) for line in list(up.words) if (match := _URL.search(line)))
    return next(found, None)
