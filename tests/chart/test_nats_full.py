"""The chart's server on a volume that is full and is made larger: what its probes say, and what it takes to go on."""

import asyncio
from pathlib import Path

import pytest
from chart import seed
from golden import BY_TYPE
from msgspec import structs
from patience import patient, until
from rendered_nats import RenderedNats, conf
from small_disk import enlarge, fill, small_disk

from operate.backup.run import backup
from proto.subjects import STREAMS, WINDOWS
from services.bus import Bus, NatsSettings

START, READY, LIVE = "/healthz", "/healthz?js-server-only=true", "/healthz?js-enabled-only=true"
LIMIT_S = 60


async def counted(bus: Bus) -> list[int]:
    async with asyncio.timeout(patient(LIMIT_S)):
        return [stored.message.persons for stored in await bus.history(WINDOWS)]


async def store(bus: Bus, persons: int) -> bool:
    """Store a window; whether the server took it."""
    try:
        async with asyncio.timeout(patient(3)):
            await bus.store(WINDOWS, structs.replace(BY_TYPE[WINDOWS.message], persons=persons))
    except TimeoutError:
        return False
    return True


@pytest.mark.timeout(300)
async def test_a_larger_volume_takes_a_new_start_of_the_server(tmp_path: Path):
    """The pod stays ready and alive, so Kubernetes does nothing; room alone is not enough; what was stored is there."""
    (tmp_path / "data").mkdir()
    with small_disk(tmp_path / "data", "16m") as disk:
        server = RenderedNats(tmp_path, conf())
        server.start()
        bus = await Bus.connect(NatsSettings(url=server.url, user="aggregate", seed=seed("aggregate")), "aggregate")
        try:
            async with asyncio.timeout(patient(LIMIT_S)):
                await bus.ensure_streams(stream.name for stream in STREAMS)
            assert await store(bus, 1)
            fill(disk)

            async def is_full() -> bool:
                return not await store(bus, 2)

            await until(is_full, "nothing more is stored", LIMIT_S)
            assert any("no space left on device" in line for line in server.output)
            assert (server.healthy(START), server.healthy(READY), server.healthy(LIVE)) == (False, True, True)
            who = NatsSettings(url=server.url, user="backup", seed=seed("backup"))
            lines = await backup(who, tmp_path / "f", tmp_path / "taken", lambda *_: None)
            assert any(line.startswith("WINDOWS: ") for line in lines), "a backup only reads"
            enlarge(disk, "64m")
            assert not await store(bus, 3), "there is room, and the stream is stuck"
            server.stop()
            server.start()
            await until(lambda: server.healthy(START), "its start-up probe passes", LIMIT_S)
            await until(lambda: store(bus, 4), "windows are stored again", LIMIT_S)
            seen = await counted(bus)
            assert (seen[0], seen[-1]) == (1, 4)
        finally:
            await bus.close()
            server.stop()
