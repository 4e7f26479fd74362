"""A hub's common streams, made larger by `streams` of its nats.yaml on a real server."""

import asyncio
import json
from pathlib import Path
from typing import Any

from msgspec import structs
from nats_process import NatsProcess
from patience import patient

from operate.identities import Hub, KeptHub
from operate.nats.streams import How, make
from services.bus import Connection, NatsSettings
from services.bus.nkey import Seed


def placed(kept: KeptHub, port: int, store: str) -> str:
    """The hub's configuration at a test's own place."""
    config: dict[str, Any] = json.loads((kept.folder / "nats.conf").read_text())
    config["jetstream"]["store_dir"] = store
    config["leafnodes"]["listen"] = "127.0.0.1:-1"
    return json.dumps(config | {"listen": f"127.0.0.1:{port}"})


async def test_the_common_stream_is_larger_and_what_a_leaf_may_fill_is_not(tmp_path: Path):
    """With room on the disk for it and for every copy, all of which are made."""
    hub = Hub(listen="127.0.0.1:-1", leaf_listen="127.0.0.1:-1", store="js", url="nats://127.0.0.1:4222")
    leaves = {site: [Seed.new().public] for site in ("cannes", "nice")}
    large = structs.replace(hub, leaves=leaves, streams={"WINDOWS": 1 << 30, "CAMERAS": 32 << 20})
    kept = KeptHub.make(tmp_path / "hub", large)
    server = NatsProcess(tmp_path, whole=lambda port, store: placed(kept, port, store)).start()
    where = NatsSettings(url=server.url)
    try:
        await make(kept.folder, where, How())
        assert await sizes(server, kept.folder, "streams", "") == [1_024, 32]
        assert await sizes(server, kept.folder, "streams-nice", "INTAKE_") == [256, 16]
        lines = [line for line in await make(kept.folder, where, How(plan=True)) if "max_bytes" in line]
        assert lines == []
    finally:
        await asyncio.to_thread(server.stop)


async def sizes(server: NatsProcess, folder: Path, user: str, prefix: str) -> list[int]:
    """MiB of two streams, as who makes them is told."""
    seed = Seed((folder / f"{user}.nk").read_text())
    connection = await Connection.connect(NatsSettings(url=server.url, user=user, seed=seed), user)
    try:
        asked = [f"$JS.API.STREAM.INFO.{prefix}{name}" for name in ("WINDOWS", "CAMERAS")]
        answers = [json.loads((await connection.client.request(one, b"", timeout=patient(5))).data) for one in asked]
        return [answer["config"]["max_bytes"] >> 20 for answer in answers]
    finally:
        await connection.close()
