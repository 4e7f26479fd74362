"""The page for other machines: HTTPS, one port for the page and NATS, nothing without a key, a link that brings it."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import browser
import pytest
from free_ports import free_port
from msgspec import structs
from numbers_page import card, percent
from page_pictures import looked_at
from patience import until
from playwright.async_api import Browser, expect
from published_sites import Published, published

from services.aggregate.page_server import PageServer
from services.aggregate.settings import PageSettings
from services.bus.nkey import Seed
from services.ingest.web.self_signed import kept
from services.kernel.listener import EACH

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.usefixtures("ended"),
    pytest.mark.xdist_group("page-views"),
]


@contextlib.asynccontextmanager
async def shared(folder: Path) -> AsyncIterator[tuple[Published, PageServer, str]]:
    """The sites, their page as other machines see it, and the page's key; NATS lets nobody in without one."""
    async with published(folder, is_open=False) as (sites, _):
        certificate, key = kept(folder, ["127.0.0.1"], dt.datetime.now(dt.UTC))
        seed = sites.identities.seeds["page"]
        settings = PageSettings(
            port=0, ask_key=True, upstream=sites.door, seed=seed, certificate=str(certificate), key=str(key)
        )
        page = PageServer(settings)
        page.apply(sites.sites())
        await page.start()
        try:
            yield sites, page, seed.reveal()
        finally:
            await page.stop()


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Who trusts any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


async def test_the_link_opens_it(tmp_path: Path, chromium: Browser):
    """On a telephone, a desk and a wall: names, numbers, a day's history; the key stays out of what is sent."""
    async with shared(tmp_path) as (sites, page, key), browser.own(chromium, locale="en-GB") as opened:
        watched = browser.Watched(opened)
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(f"{request.url} {request.headers}"))
        await sites.publish()
        await opened.goto(f"{page.url}#key={key}")
        whole = card(opened, "Whole site")
        await expect(whole.locator(".rate")).to_have_text(percent(sites.market("_site")[-1].rate))
        await expect(opened.get_by_role("heading", name="Marché Forville")).to_be_visible()
        await expect(whole.locator("rect.gap").first).to_be_attached()
        await looked_at(opened, "shared")
        await opened.reload()
        await expect(whole.locator(".rate")).to_have_text(percent(sites.market("_site")[-1].rate))
        assert not any(key in one for one in asked)
        assert watched.complaints == []


async def test_without_the_key_there_is_nothing(tmp_path: Path, chromium: Browser):
    """No number and no name of a place. A wrong link is told; the right one, opened in its place, comes in."""
    async with shared(tmp_path) as (sites, page, key), browser.own(chromium, locale="en-GB") as opened:
        await sites.publish()
        async with client() as session:
            for headers in ({}, {"Authorization": f"Bearer {key}"}, {"Authorization": "Bearer \udcff"}):
                async with session.get(f"{page.url}config.json", headers=headers) as answer:
                    assert {"names", "cameras"}.isdisjoint(await answer.json())
        await opened.goto(page.url)
        await expect(opened.get_by_role("heading", name="A key is needed")).to_be_visible()
        await expect(opened.locator("#connection")).to_have_text("waiting for a key")
        await opened.goto(f"{page.url}#key=SUNONSENSE")
        await expect(opened.locator("#key-error")).to_contain_text("This is no seed")
        await opened.goto(f"{page.url}#key={Seed.new().reveal()}")
        await expect(opened.locator("#key-error")).to_contain_text("does not know this key")
        await browser.accessible(opened)
        await opened.goto(f"{page.url}#key={key}")
        await expect(opened.get_by_role("heading", name="Marché Forville")).to_be_visible()
        await expect(opened.locator("#key")).to_be_hidden()
        await expect(opened.locator("#key-error")).to_have_text("")


async def test_a_new_key_ends_the_proof_of_the_old_one(tmp_path: Path):
    """At a reload; settings that have no page any more change nothing of it."""
    async with shared(tmp_path) as (sites, page, key), client() as session:

        async def has_names(seed: str) -> bool:
            from services.aggregate.page_config import proof

            headers = {"Authorization": f"Bearer {proof(Seed(seed)).decode()}"}
            async with session.get(f"{page.url}config.json", headers=headers) as answer:
                return "names" in await answer.json()

        assert await has_names(key)
        page.apply(sites.sites())
        assert await has_names(key)
        new = Seed.new()
        page.apply(sites.sites(), structs.replace(PageSettings(), seed=new))
        assert [await has_names(one) for one in (key, new.reveal())] == [False, True]
        page.apply(sites.sites(), None)
        assert [await has_names(one) for one in (key, new.reveal())] == [False, True]


async def test_what_it_passes_on_is_bounded(tmp_path: Path):
    """Pages of this server alone, messages of a reader's size, so many connections of an address; and NATS's end."""
    async with shared(tmp_path) as (_, page, _key), client() as session:
        where, own = f"{page.url}nats", page.url.rstrip("/")
        async with session.get(where, headers={"Origin": own}) as answer:
            assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
        for origin in (None, "https://elsewhere.example.org", own.replace("https", "http")):
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await session.ws_connect(where, origin=origin)
            assert error.value.status == 403
        for send in ("x" * 10, b"x" * (65 << 10)):
            async with session.ws_connect(where, origin=own) as socket:
                assert (await socket.receive_bytes()).startswith(b"INFO ")
                await (socket.send_str(send) if isinstance(send, str) else socket.send_bytes(send))
                assert (await socket.receive(timeout=10)).type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}
        async with contextlib.AsyncExitStack() as stack:
            opened = []
            with contextlib.suppress(aiohttp.ClientError):
                while len(opened) <= EACH:
                    opened.append(await stack.enter_async_context(await session.ws_connect(where, origin=own)))
            assert EACH - 3 <= len(opened) <= EACH
            ended = [asyncio.create_task(_end_of(socket)) for socket in opened]
            await asyncio.wait_for(asyncio.gather(*ended), 20)  # nobody said who it is: NATS waits 2 s


async def _end_of(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


async def test_nats_that_is_away_is_told(tmp_path: Path):
    """502, as a proxy would; the files are there."""
    page = PageServer(PageSettings(port=0, upstream=f"ws://127.0.0.1:{free_port()}"))
    page.apply([])
    await page.start()
    try:
        async with client() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as error:
                await session.ws_connect(f"{page.url}nats", origin=page.url.rstrip("/"))
            assert error.value.status == 502
            async with session.get(page.url) as answer:
                assert answer.status == 200
    finally:
        await page.stop()


async def test_a_browser_that_goes_leaves_nothing_at_nats(tmp_path: Path):
    """Nor does a page that ends while browsers look at it."""
    async with shared(tmp_path) as (_, page, _key), client() as session:
        before = asyncio.all_tasks()
        socket = await session.ws_connect(f"{page.url}nats", origin=page.url.rstrip("/"))
        assert (await socket.receive_bytes()).startswith(b"INFO ")
        socket._response.connection.transport.abort()
        await until(lambda: asyncio.all_tasks() <= before, "all is gone")
        socket = await session.ws_connect(f"{page.url}nats", origin=page.url.rstrip("/"))
        assert (await socket.receive_bytes()).startswith(b"INFO ")
        await page.stop()
        await asyncio.wait_for(_end_of(socket), 10)
