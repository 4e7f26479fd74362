"""The page of `moretta up`: told first, open on this machine unless a key is asked for, right after a restart."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
import yaml
from golden import BY_TYPE
from msgspec import structs
from on_bus import connected
from up_process import UpProcess

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
