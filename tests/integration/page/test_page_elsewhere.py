"""The page where a proxy puts it, and before a server that lets nobody in without a key though no settings say so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import browser
import pytest
from aiohttp import web
from numbers_page import card, percent
from patience import patient, until
from playwright.async_api import Browser, expect
from published_sites import published
from websocket_tap import Tap

from proto.subjects import Identity
from services.aggregate.page_server import PageServer
from services.aggregate.settings import PageSettings

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("ended"),
    pytest.mark.xdist_group("page-views"),
]
PREFIX = "/all/numbers"


@contextlib.asynccontextmanager
async def proxied(page: str, door: str, origin: str) -> AsyncIterator[str]:
    """A web server that has the page, and NATS beside it, under a path of its own; gives the page's address there."""
    async with aiohttp.ClientSession() as client:

        async def file(request: web.Request) -> web.Response:
            async with client.get(page + request.match_info["name"]) as found:
                kept = {key: found.headers[key] for key in ("Content-Type", "Content-Security-Policy")}
                return web.Response(status=found.status, body=await found.read(), headers=kept)

        async def nats(request: web.Request) -> web.WebSocketResponse:
            await (near := web.WebSocketResponse()).prepare(request)
            async with client.ws_connect(door, origin=origin) as far:
                await asyncio.wait([asyncio.ensure_future(one) for one in (_pass(near, far), _pass(far, near))],
                                   return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            return near

        app = web.Application()
        app.add_routes([web.get(f"{PREFIX}/nats", nats), web.get(PREFIX + "/{name:[^/]*}", file)])
        await (runner := web.AppRunner(app)).setup()
        await (site := web.TCPSite(runner, "127.0.0.1", 0)).start()
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}{PREFIX}/"
        await runner.cleanup()


async def _pass(source, target) -> None:
    async for message in source:
        await target.send_bytes(message.data)


async def test_a_proxy_may_have_it_under_a_path(tmp_path: Path, chromium: Browser):
    """Its files, its config.json and NATS are found beside it."""
    async with published(tmp_path) as (sites, served), browser.own(chromium, locale="en-GB") as page:
        beside = PageServer(PageSettings(port=0, server="./nats"))
        beside.apply(sites.sites())
        await beside.start()
        watched = browser.Watched(page)
        async with proxied(beside.url, sites.door, served.url.rstrip("/")) as url:
            await sites.publish()
            await watched.page.goto(url)
            rate = card(watched.page, "Whole site").locator(".rate")
            await expect(rate).to_have_text(percent(sites.market("_site")[-1].rate))
        await beside.stop()


async def test_the_form_for_a_key_opens_by_itself(tmp_path: Path, chromium: Browser):
    """And goes again when the server lets the page in after all; a key that is given is taken."""
    subscriber: Identity = "subscriber"
    async with (
        published(tmp_path, is_open=False) as (sites, served),
        browser.own(chromium, locale="en-GB") as page,
    ):
        watched, tap = browser.Watched(page), Tap()
        await sites.publish()
        await tap.attach(watched.page)
        await watched.page.goto(served.url)
        await expect(watched.page.get_by_role("heading", name="A key is needed")).to_be_visible()
        await expect(watched.page.locator("#connection")).to_have_text("waiting for a key")
        await expect(watched.page.get_by_label("Key of a reader")).to_be_focused()
        await browser.accessible(watched.page)
        tries = tap.tries
        await until(lambda: tap.tries > tries, "another try: a server that is being set up opens later")
        await watched.page.get_by_label("Key of a reader").fill(sites.identities.seeds[subscriber].reveal())
        await watched.page.keyboard.press("Enter")
        rate = card(watched.page, "Whole site").locator(".rate")
        await expect(rate).to_have_text(percent(sites.market("_site")[-1].rate))
        await expect(watched.page.locator("#key")).to_be_hidden()
        tap.is_open = False
        await tap.tell("-ERR 'Authorization Violation'")  # of a key that was good: it may be again
        await expect(watched.page.locator("#connection")).to_have_text("connection lost")
        tap.is_open = True
        await expect(watched.page.locator("#connection")).to_have_text("live", timeout=patient(60) * 1000)
        await expect(watched.page.locator("#key")).to_be_hidden()
