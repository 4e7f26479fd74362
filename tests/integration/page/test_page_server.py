"""How aggregate serves the page, and how a page with a key comes to a server with TLS."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import browser
import pytest
from authority import Authority
from nats_process import NatsProcess
from playwright.async_api import Browser, expect

from operate.identities import Identities, ServerTls, WebSocket, nats_config
from proto.subjects import Identity
from services.aggregate.page_server import PageServer, policy
from services.aggregate.settings import AggregateFile, PageSettings
from services.bus.nkey import Seed
from services.kernel.faults import StartError
from services.kernel.settings import SettingsError, convert, load
from services.sites.profiles import PROFILES
from services.sites.settings import SiteSettings
from services.statistics.columns import COLUMNS
from services.statistics.gap_reasons import page_gaps

SOURCE = Path(__file__).parents[3] / "services/aggregate/page"
_WEBSOCKET = re.compile(r"websocket clients on wss://127\.0\.0\.1:(\d+)")


@pytest.fixture(name="page")
async def _page() -> AsyncIterator[PageServer]:
    page = PageServer(PageSettings(port=0, server="wss://numbers.example.org:8443"))
    page.apply([])
    await page.start()
    yield page
    await page.stop()


async def test_the_files_are_read_only_and_under_a_strict_policy(page: PageServer):
    """Each answer has the headers, the errors too; nothing but GET, and no file beside the page's."""
    async with aiohttp.ClientSession(page.url) as session:
        for path, status in (
            ("/", 200),
            ("/main.js", 200),
            ("/no.js", 404),
            ("/..%2fpage_server.py", 404),
            ("/a/b", 404),
        ):
            async with session.get(path) as answer:
                assert answer.status == status, path
                assert answer.headers["Content-Security-Policy"] == policy("wss://numbers.example.org:8443")
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
                assert "unsafe" not in answer.headers["Content-Security-Policy"]
        async with session.post("/", data=b"x") as answer:
            assert answer.status == 405
        async with session.get("/nats.js", headers={"Accept-Encoding": "identity"}) as answer:
            assert "Content-Encoding" not in answer.headers
            assert len(await answer.read()) > 50_000
        async with session.get("/config.json") as answer:
            told = await answer.json()
    profiles = [
        {"name": one, "rules": terms.rules, "zones": terms.zones, "trial": terms.is_trial}
        for one, terms in PROFILES.items()
    ]
    assert told == {
        "server": "wss://numbers.example.org:8443", "key": False, "cameras": None, "profiles": profiles,
        "columns": list(COLUMNS), "gaps": page_gaps(), "names": {},
    }  # fmt: skip


async def test_every_file_of_the_page_is_served(page: PageServer):
    """Byte for byte, from the installed wheel, those that others than this test name too."""
    files = [one for one in SOURCE.iterdir() if one.is_file()]
    assert {"index.html", "main.js", "style.css", "LICENSES.txt"} <= {one.name for one in files}
    async with aiohttp.ClientSession(page.url) as session:
        for file in files:
            async with session.get(f"/{file.name}") as answer:
                assert await answer.read() == file.read_bytes(), f"{file.name}: run `make setup`"


async def test_it_tells_what_people_call_things_and_by_whose_clock_they_go(page: PageServer):
    """Names of sites, zones and rules, time zones, when a rule fires and what to do; nothing else of the settings."""
    given = {"id": "cannes", "name": "Marché", "timezone": "Asia/Tokyo", "zones": [{"id": "fish", "name": "Halle"}]}
    rule = {"id": "low", "zone": "fish", "fire_below": 0.6, "clear_above": 0.7}
    action = {"en": "Hand out masks.", "fr": "Distribuez des masques."}
    given["rules"] = [rule | {"name": "Few masks", "action": action}, rule | {"id": "plain"}]
    page.apply([convert(given | {"profile": "alerting"}, SiteSettings)])
    async with aiohttp.ClientSession(page.url) as session, session.get("/config.json") as answer:
        told = await answer.json()
    named = {"name": "Few masks", "action": action, "below": 0.6}
    rules = {"fish/low": named, "fish/plain": {"name": None, "action": None, "below": 0.6}}
    market = {"name": "Marché", "timezone": "Asia/Tokyo", "language": "en", "zones": {"fish": "Halle"}}
    market["rules"] = rules
    assert told["names"] == {"cannes": market}


async def test_a_taken_port_is_told(page: PageServer):
    """With the setting that is to be mended."""
    port = int(page.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(StartError, match=f"aggregate.page.port: cannot listen on 127.0.0.1:{port}"):
        await PageServer(PageSettings(port=port)).start()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"server": "https://x"}, "aggregate.page.server"),
        ({"server": "wss://x; script-src *"}, "aggregate.page.server"),
        ({"server": "//elsewhere.example.org/nats"}, "aggregate.page.server"),
        ({"server": "wss://[::1]:8443"}, "aggregate.page.server: is an IPv6 address"),
        ({"server": "wss://::1:8443"}, "aggregate.page.server"),
        ({"certificate": "x.pem"}, "aggregate.page.key: is missing"),
        ({"certificate": "x", "key": "x", "server": "ws://x"}, "aggregate.page.server: is ws://"),
        ({"upstream": "ws://127.0.0.1:8443/nats"}, "aggregate.page.upstream"),
        ({"upstream": "ws://127.0.0.1:8443", "server": "./nats"}, "aggregate.page.upstream: goes with a path of this"),
        ({"upstream": "ws://127.0.0.1:8443"}, "aggregate.page.upstream: passes on whoever reaches this server, so"),
        ({"upstream": "ws://127.0.0.1:8443", "server": "/"}, "aggregate.page.server: is the page's own path"),
        ({"seed": "SU"}, "aggregate.page.seed"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, given: dict, why: str):
    """Each with its path; a server's address can't bring anything else into the policy."""
    (file := tmp_path / "s.yaml").write_text(json.dumps({"aggregate": {"page": given}}))
    with pytest.raises(SettingsError, match=re.escape(why)):
        load(file, AggregateFile)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.usefixtures("ended")
@pytest.mark.xdist_group("page-views")
async def test_a_page_with_a_key(tmp_path: Path, chromium: Browser):
    """Over TLS; a text that is no seed is told, one that the server doesn't know is refused, the right one comes in."""
    authority = Authority()
    (pem := tmp_path / "server.pem").write_bytes(authority.issue("127.0.0.1"))
    (trusted := tmp_path / "ca.pem").write_bytes(authority.pem)
    tls = ServerTls(str(pem), str(pem), str(trusted))
    identities = Identities.make(tmp_path / "identities")
    origins: list[str] = []

    def whole(port: int, store: str) -> str:
        websocket = WebSocket("127.0.0.1:-1", origins)
        return nats_config(port, store, identities.public, tls=tls, websocket=websocket)

    own = PageSettings(port=0, certificate=str(pem), key=str(pem), ask_key=True)
    first = PageServer(own)
    await first.start()
    await first.stop()  # its port is free: the server has to know the page, and the page the server
    port = int(first.url.rstrip("/").rpartition(":")[2])
    origins.append(first.url.rstrip("/"))
    server = NatsProcess(tmp_path, whole=whole).start()
    found = next(match.group(1) for line in server.output if (match := _WEBSOCKET.search(line)))
    page = PageServer(PageSettings(port=port, certificate=str(pem), key=str(pem), ask_key=True,
                                   server=f"wss://127.0.0.1:{found}"))  # fmt: skip
    page.apply([])
    await page.start()
    try:
        async with browser.own(chromium, locale="fr-FR") as opened:
            await asks_for_the_key(browser.Watched(opened), page.url, identities)
    finally:
        await page.stop()
        server.stop()


async def asks_for_the_key(watched: browser.Watched, url: str, identities: Identities) -> None:
    page = watched.page
    subscriber: Identity = "subscriber"
    await page.goto(url)
    await expect(page.get_by_role("heading", name="Une clé est nécessaire")).to_be_visible()
    await browser.accessible(page)
    for seed, told in (("SU-no", "Ce n’est pas une clé"), (Seed.new().reveal(), "ne connaît pas cette clé")):
        await page.get_by_label("Clé de lecture").fill(seed)
        await page.keyboard.press("Enter")
        await expect(page.locator("#key-error")).to_contain_text(told)
    await page.get_by_label("Clé de lecture").fill(identities.seeds[subscriber].reveal())
    await page.keyboard.press("Enter")
    await expect(page.locator("#connection")).to_have_text("en direct")
    await expect(page.locator("#key")).to_be_hidden()
    await expect(page.locator("#nothing")).to_have_text("Rien n’a encore été publié.")
    await page.reload()  # which forgets it; the page's own key is another reader's, and does as well
    await page.get_by_label("Clé de lecture").fill(identities.seeds["page"].reveal())
    await page.keyboard.press("Enter")
    await expect(page.locator("#connection")).to_have_text("en direct")
    await expect(page.locator("#nothing")).to_have_text("Rien n’a encore été publié.")
    assert watched.complaints == []
