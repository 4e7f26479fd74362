"""Debian's Chromium with a camera of its own that shows a film, driven by Playwright."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import segno
from axe_playwright_python.async_playwright import Axe
from axe_playwright_python.base import AXE_SCRIPT
from lacking import lacks
from patience import patient
from playwright.async_api import Browser, BrowserContext, Page, Route, async_playwright, expect

PACKAGE = "chromium"
"""The Debian package that these tests need (about 350 MB with all it draws in)."""
EXECUTABLE = Path("/usr/bin/chromium")
FLAGS = (
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--allow-loopback-in-peer-connection"),
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PAGE = Path(__file__).parents[2] / "services" / "ingest" / "page"
ORIGIN = "https://page.test"
"""Where `serve` puts the page's files; a name that no server has."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob: mediastream:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""That of ingest, to which a test holds it."""
LIMIT_MS = patient(30) * 1000
OLDER = """
delete AbortSignal.any;
delete AbortSignal.timeout;
for (const name of Object.getOwnPropertyNames(Element.prototype)) {
  if (name.startsWith("aria")) delete Element.prototype[name];
}
"""
"""Takes from a browser what phones of before 2024 lack."""
_KEEP = """
window.camerasGiven = [];
const devices = navigator.mediaDevices;
const ask = devices?.getUserMedia.bind(devices);
if (devices) {
  devices.getUserMedia = async (wanted) => {
    const given = await ask(wanted);
    camerasGiven.push(given);
    return given;
  };
}
"""
_TRACKS = "camerasGiven.flatMap((given) => given.getTracks()).map((track) => track.readyState)"
_AXE = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
"""The size of targets (WCAG 2.2, 2.5.8) is not among the rules that axe-core has on by itself."""
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
_CODE = "phone.svg"
"""The QR code, which ingest draws."""


def require() -> None:
    """Skip the test by name when Chromium is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if EXECUTABLE.exists():
        return
    lacks(f"browser: install {PACKAGE} ({EXECUTABLE} is missing)")


@contextlib.asynccontextmanager
async def chromium(profile: Path, *flags: str, **options) -> AsyncIterator[BrowserContext]:
    """A browser with an empty profile; `options` are those of Playwright's context. It trusts any certificate."""
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path=EXECUTABLE,
            args=[*FLAGS, *flags],
            headless=True,
            chromium_sandbox=False,
            ignore_https_errors=True,
            **options,
        )
        async with _prepared(context):
            yield context


@contextlib.asynccontextmanager
async def launched(*flags: str) -> AsyncIterator[Browser]:
    """A browser for many tests, each of which has an `own` context of it."""
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(
            executable_path=EXECUTABLE, args=[*FLAGS, *flags], headless=True, chromium_sandbox=False
        )
        try:
            yield found
        finally:
            await found.close()


@contextlib.asynccontextmanager
async def own(browser: Browser, **options) -> AsyncIterator[Page]:
    """A page in a context that has nothing of the other tests; it trusts any certificate."""
    context = await browser.new_context(ignore_https_errors=True, **options)
    async with _prepared(context):
        yield await context.new_page()


@contextlib.asynccontextmanager
async def _prepared(context: BrowserContext) -> AsyncIterator[None]:
    await context.add_init_script(_KEEP)
    context.set_default_timeout(LIMIT_MS)
    expect.set_options(timeout=LIMIT_MS)  # it has a limit of its own
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # a test may have killed it
            await context.close()


async def serve(context: BrowserContext) -> None:
    """Answer for ORIGIN with the page's files, under ingest's policy, and 404 otherwise, in an older browser."""

    async def answer(route: Route) -> None:
        if route.request.url == f"{ORIGIN}/{_CODE}":
            segno.make(ORIGIN).save(drawn := io.BytesIO(), kind="svg", light="#fff")
            await route.fulfill(body=drawn.getvalue(), content_type="image/svg+xml")
            return
        path = PAGE / (route.request.url.removeprefix(ORIGIN).partition("#")[0].strip("/") or "index.html")
        if not path.is_file():
            await route.fulfill(status=404)
            return
        headers = {"Content-Type": _TYPES[path.suffix], "Content-Security-Policy": POLICY}
        await route.fulfill(body=path.read_bytes(), headers=headers)

    await context.add_init_script(OLDER)
    await context.route(f"{ORIGIN}/**", answer)


async def accessible(page: Page, **options) -> None:
    """Assert that the page as it is breaks no rule of axe-core (WCAG 2.2 AA, contrast and targets included)."""
    is_there = await page.evaluate("window.axe !== undefined")
    found = await Axe("" if is_there else AXE_SCRIPT).run(page, options=_AXE | options)
    assert found.violations_count == 0, found.generate_report()


async def expect_tracks(page: Page, *states: str) -> None:
    """Wait until the tracks of every camera that the page was ever given are in these states: `live` or `ended`."""
    end = time.monotonic() + LIMIT_MS / 1000
    while (found := await page.evaluate(_TRACKS)) != list(states) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    assert found == list(states)


class Watched:
    """A page; `complaints` are what its console, its errors and its policy said, `requests` what it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[tuple[str, str]] = []
        page.on("console", lambda message: message.type in {"error", "warning"} and self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))
        page.on("request", lambda request: self.requests.append((request.method, request.url)))

    def count(self, method: str, part: str) -> int:
        """How many requests of this method had this part in their address."""
        return sum(one == method and part in url for one, url in self.requests)

    def _note(self, text: str) -> None:
        if "Failed to load resource" not in text:  # an answer that refuses, which the page is to explain
            self.complaints.append(text)
