"""Debian's Chromium with a camera of its own that shows a film, driven by Playwright."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import BrowserContext, Page, Route, async_playwright, expect

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
LIMIT_MS = 15_000
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}


def require() -> None:
    """Skip the test by name when Chromium is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if EXECUTABLE.exists():
        return
    why = f"browser: install {PACKAGE} ({EXECUTABLE} is missing)"
    if os.environ.get("MORETTA_REQUIRE_ALL") == "1":
        pytest.fail(why)
    pytest.skip(why)


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
        context.set_default_timeout(LIMIT_MS)
        expect.set_options(timeout=LIMIT_MS)  # it has a limit of its own
        try:
            yield context
        finally:
            with contextlib.suppress(Exception):  # a test may have killed it
                await context.close()


async def serve(context: BrowserContext) -> None:
    """Answer for ORIGIN with the page's files, under the policy that ingest serves them with, and 404 otherwise."""

    async def answer(route: Route) -> None:
        path = PAGE / (route.request.url.removeprefix(ORIGIN).partition("#")[0].strip("/") or "index.html")
        if not path.is_file():
            await route.fulfill(status=404)
            return
        headers = {"Content-Type": _TYPES[path.suffix], "Content-Security-Policy": POLICY}
        await route.fulfill(body=path.read_bytes(), headers=headers)

    await context.route(f"{ORIGIN}/**", answer)


class Watched:
    """A page; `complaints` are what its console, its errors and its policy said against it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: message.type in {"error", "warning"} and self._note(message.text))
        page.on("pageerror", lambda error: self._note(str(error)))

    def _note(self, text: str) -> None:
        if "Failed to load resource" not in text:  # an answer that refuses, which the page is to explain
            self.complaints.append(text)
