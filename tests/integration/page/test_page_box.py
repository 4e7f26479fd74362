"""The page of `moretta up`: told first, open on this machine unless a key is asked for, right after a restart."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml
from command_line import assert_mistakes, moretta
from golden import BY_TYPE
from msgspec import structs
from on_bus import connected
from up_process import UpProcess

from operate.box.page_link import LINK, PageLink
from operate.identities import Identities
from proto.public import AlertV1
from proto.subjects import ALERTS
from services.bus.nkey import Seed

_SAID = "numbers in a browser: "


def settings(file: Path) -> Path:
    """A site whose camera never answers, and a page that asks for a key."""
    camera = {"id": "north", "url": "rtsp://127.0.0.1:9/none"}
    site = {"id": "hall", "profile": "lab", "zones": [{"id": "gate"}], "cameras": [camera | {"zone": "gate"}]}
    site |= {"rules": [{"id": "low", "zone": "gate", "fire_below": 0.6, "clear_above": 0.7}]}
    text = {"sites": [site], "aggregate": {"page": {"port": 0, "ask_key": True}}}
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    return file


@pytest.mark.timeout(240)
async def test_without_settings_the_page_is_there_and_told_first(tmp_path: Path):
    """Its address, the profile in force, where numbers are kept, when the first come; here nobody needs a key."""
    box = UpProcess(["--camera", "gate=rtsp://127.0.0.1:9/none", "--data", str(tmp_path / "data")]).start()
    try:
        box.wait_for(lambda: len(box.words) > 3, 90, "the first lines")
        assert box.words[0].startswith(f"{_SAID}http://127.0.0.1:")
        assert box.words[1].startswith("profile lab, for trials ")
        assert box.words[2] == f"numbers and settings are kept in {tmp_path / 'data'}"
        assert box.words[3].startswith("first numbers at ")
        page = await told(box.words[0].removeprefix(_SAID).strip())
        assert page["key"] is False
        assert await comes(page["server"], None)
    finally:
        assert box.stop() == 0


@pytest.mark.timeout(240)
async def test_an_alert_that_fires_is_shown_after_a_restart(tmp_path: Path):
    """What was published before the start is read back, once its streams are there; not of a rule that is gone."""
    gone, data, file = BY_TYPE[AlertV1], tmp_path / "data", settings(tmp_path / "site.yaml")
    alert = structs.replace(gone, site="hall", zone="gate", rule="low", state="firing")
    box = UpProcess(["-c", str(file), "--data", str(data)]).start()
    try:
        box.wait_for(lambda: any("NATS_URL=" in line for line in box.words), 90, "what readers are told")
        address = yaml.safe_load((data / "identities/subscriber.yaml").read_text())["nats"]["url"]
        seed = Seed((data / "identities/aggregate.nk").read_text().strip())
        async with connected(address, "aggregate", user="aggregate", seed=seed) as bus:
            await bus.store(ALERTS, structs.replace(gone, state="firing"))
            await bus.store(ALERTS, alert)
    finally:
        assert box.stop() == 0
    box = UpProcess(["-c", str(file), "--data", str(data)]).start()
    try:
        there = {"site": alert.site, "zone": alert.zone, "rule": alert.rule}
        told = "the alerts that fire"
        box.wait_for(lambda: any(line.get("status", {}).get("firing") for line in list(box.lines)), 90, told)
        firing = [one for line in list(box.lines) for one in line.get("status", {}).get("firing", [])]
        assert {tuple(sorted(one.items())) for one in firing} == {tuple(sorted(there.items()))}
    finally:
        assert box.stop() == 0


@contextlib.asynccontextmanager
async def trusting() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        yield session


async def told(url: str) -> dict:
    """What the page is told, once aggregate serves it."""
    async with trusting() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"{url}config.json") as answer:
                    return await answer.json()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


def origin_of(server: str) -> dict[str, str]:
    """What a browser says of the page from which it comes, if that is at the server's own address."""
    return {"Origin": f"https://{server.removeprefix('wss://').partition('/')[0]}"} if "wss:" in server else {}


async def comes(server: str, seed: Seed | None) -> bool:
    """Whether a browser is let in with this seed, or without one."""
    async with trusting() as session, session.ws_connect(server, headers=origin_of(server)) as socket:
        return await is_let_in(socket, seed)


async def is_let_in(socket: aiohttp.ClientWebSocketResponse, seed: Seed | None) -> bool:
    """Whether NATS takes this seed, or nobody's, at a connection that is new."""
    info = json.loads((await socket.receive_bytes(timeout=20)).split(b"\r\n")[0].removeprefix(b"INFO "))
    shown = {"nkey": seed.public, "sig": seed.sign(info["nonce"]).decode()} if seed else {}
    await socket.send_bytes(b"CONNECT " + json.dumps(shown | {"verbose": False}).encode() + b"\r\nPING\r\n")
    return (await socket.receive_bytes(timeout=20)).strip() == b"PONG"


async def until_closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Read until the other side ends the connection."""
    async for _ in socket:
        pass


@pytest.mark.timeout(240)
async def test_a_page_that_asks_for_a_key_is_closed_without(tmp_path: Path):
    """By the page's key, and the subscriber's, browsers come in; by none they don't."""
    box = UpProcess(["-c", str(settings(tmp_path / "site.yaml")), "--data", str(tmp_path / "data")]).start()
    try:
        box.wait_for(lambda: any(line.startswith(_SAID) for line in box.words), 90, "where the page is")
        (line,) = [line.removeprefix(_SAID).strip() for line in box.words if line.startswith(_SAID)]
        url, _, key = line.partition(", with the key in ")
        assert Path(key) == tmp_path / "data/identities/page.nk"
        page = await told(url)
        assert page["key"] is True
        seeds = [Seed(Path(key).with_name(name).read_text()) for name in ("page.nk", "subscriber.nk", "ingest.nk")]
        assert [await comes(page["server"], seed) for seed in (None, *seeds)] == [False, True, True, False]
        config = json.loads((tmp_path / "data/identities/nats.conf").read_text())
        assert "no_auth_user" not in config["websocket"]
    finally:
        assert box.stop() == 0


def link_of(data: Path, *options: str) -> tuple[str, Seed]:
    """What `moretta page` shows: the page's address and its key."""
    shown = moretta("page", "--data", data, *options)
    assert shown.returncode == 0, shown.stderr
    (line,) = [one for one in shown.stdout.splitlines() if one.startswith(_SAID)]
    url, _, key = line.removeprefix(_SAID).partition("#key=")
    return url, Seed(key)


@pytest.mark.timeout(300)
async def test_other_machines_come_in_by_a_link(tmp_path: Path):
    """`moretta page` alone shows it, no line of a log. It holds over a restart, and until `--new-link`."""
    data = tmp_path / "data"
    options = ["--camera", "gate=rtsp://127.0.0.1:9/none", "--page-host", "0.0.0.0", "--data", str(data)]
    box = UpProcess(options).start()
    try:
        box.wait_for(lambda: len(box.words) > 3, 90, "the first lines")
        assert box.words[0].startswith(f"{_SAID}https://")
        assert box.words[0].strip().endswith(f", by the link that `moretta page --data {data}` shows")
        url, key = link_of(data)
        assert box.words[0].startswith(f"{_SAID}{url}, ")
        page = await told(url)
        assert (page["server"], page["key"], "names" in page) == ("/nats", True, False)
        server = f"{url.replace('https:', 'wss:')}nats"
        assert [await comes(server, seed) for seed in (None, Seed.new(), key)] == [False, False, True]
        async with trusting() as session, session.ws_connect(server, headers=origin_of(server)) as looking:
            assert await is_let_in(looking, key)
            again, new = await asyncio.to_thread(link_of, data, "--new-link")
            await asyncio.wait_for(until_closed(looking), 20)
        assert (again, new == key) == (url, False)
        assert [await comes(server, seed) for seed in (key, new)] == [False, True]
    finally:
        assert box.stop() == 0
    assert not any(key.reveal() in line or new.reveal() in line for line in [*box.words, *map(str, box.lines)])
    box = UpProcess(options).start()
    try:
        box.wait_for(lambda: len(box.words) > 3, 90, "the first lines")
        url, kept = link_of(data)
        assert kept == new
        await told(url)
        assert await comes(f"{url.replace('https:', 'wss:')}nats", kept)
    finally:
        assert box.stop() == 0


def test_mistakes_about_the_page_are_named(tmp_path: Path):
    """A folder without a box; an option that a file's setting stands for; an address of another machine."""
    camera = ("--camera", "gate=rtsp://127.0.0.1:9/none", "--data", tmp_path / "data")
    no_box = f"moretta page: --data: '{tmp_path}' has no page of a `moretta up`; start that first, or name its folder"
    assert_mistakes(moretta("page", "--data", tmp_path), no_box)
    file = settings(tmp_path / "site.yaml")
    why = f"moretta up: --page-host: goes without -c; in {file} it is `aggregate.page.host`"
    assert_mistakes(moretta("up", "-c", file, "--page-host", "0.0.0.0"), why)
    elsewhere = moretta("up", *camera, "--page-host", "192.0.2.77")
    assert elsewhere.returncode == 1  # after which systemd tries again: the address may come
    assert "aggregate.page.host: '192.0.2.77' is no address of this machine, at least not yet; it " in elsewhere.stderr
    Identities.make(tmp_path / "data/identities")
    (tmp_path / "data/identities" / LINK).write_text(PageLink("127.0.0.1", 8088).text)
    why = "there is no link to end: the page of this `moretta up` asks for no key, and is for this machine alone"
    assert_mistakes(moretta("page", "--data", tmp_path / "data", "--new-link"), f"moretta page: --new-link: {why}")
