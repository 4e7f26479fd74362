"""The page of `moretta up` where the settings ask for a key: the door is closed, and the box says what opens it."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
import yaml
from up_process import UpProcess

from services.bus.nkey import Seed

_SAID = "numbers in a browser: "


def settings(file: Path) -> Path:
    """A site whose camera never answers, and a page that asks for a key."""
    camera = {"id": "north", "url": "rtsp://127.0.0.1:9/none"}
    site = {"id": "hall", "profile": "lab", "zones": [{"id": "gate"}], "cameras": [camera | {"zone": "gate"}]}
    text = {"sites": [site], "aggregate": {"page": {"port": 0, "ask_key": True}}}
    file.write_text(yaml.safe_dump(text), encoding="utf-8")
    return file


async def told(url: str) -> dict:
    """What the page is told, once aggregate serves it."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"{url}config.json") as answer:
                    return await answer.json()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


async def comes(server: str, seed: Seed | None) -> bool:
    """Whether a browser is let in with this seed, or without one."""
    async with aiohttp.ClientSession() as session, session.ws_connect(server) as socket:
        info = json.loads((await socket.receive_bytes(timeout=20)).split(b"\r\n")[0].removeprefix(b"INFO "))
        shown = {"nkey": seed.public, "sig": seed.sign(info["nonce"]).decode()} if seed else {}
        await socket.send_bytes(b"CONNECT " + json.dumps(shown | {"verbose": False}).encode() + b"\r\nPING\r\n")
        return (await socket.receive_bytes(timeout=20)).strip() == b"PONG"


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
