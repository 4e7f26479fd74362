"""A backup of a cluster of three, restored as three copies; and one server's backup put back there."""

import asyncio
import json

import pytest
from golden import BY_TYPE
from msgspec import structs
from nats_cluster import NatsCluster
from patience import patient, until

from operate.backup.backup import backup, restore
from operate.backup.snapshots import remove
from proto.permissions import stream_info
from proto.subjects import STREAMS, WINDOWS
from services.bus import Bus, NatsSettings

KEPT = [stream.name for stream in STREAMS if stream.kept]
COUNT = 200


def silent(_done: float, _total: float | None = None) -> None:
    return None


async def state(bus: Bus, name: str) -> tuple[int, int, str, int]:
    info = json.loads(await bus.ask(stream_info(name), timeout=patient(10)))
    one = info["state"]
    return one["messages"], one["last_seq"], one["last_ts"], info["config"]["num_replicas"]


@pytest.mark.timeout(240)
async def test_a_cluster_is_restored_with_its_copies(tmp_path):
    """Sequences, times and copies as before; the next message is stored behind them on all three."""
    cluster = NatsCluster(tmp_path).start()
    settings = NatsSettings(url=cluster.url, replicas=3, connect_timeout_s=10)
    bus = await Bus.connect(settings, "aggregate")
    try:
        async with asyncio.timeout(patient(200)):
            await bus.ensure_streams(KEPT)
            first = BY_TYPE[WINDOWS.message]
            for number in range(COUNT):
                await bus.store(WINDOWS, structs.replace(first, start=number * 10, end=number * 10 + 10))
            before = await state(bus, "WINDOWS")
            assert (before[0], before[3]) == (COUNT, 3)
            out = tmp_path / "saved"
            lines = await backup(settings, tmp_path / "s.yaml", out, silent)
            assert any(line.startswith(f"WINDOWS: {COUNT} messages") for line in lines)
            for name in KEPT:
                await remove(bus.client, name)
            await restore(settings, tmp_path / "s.yaml", out, replace=False, advance=silent)
            assert await state(bus, "WINDOWS") == before
            await bus.ensure_streams(KEPT)
            assert await bus.store(WINDOWS, structs.replace(first, start=COUNT * 10, end=COUNT * 10 + 10)) == COUNT + 1

            async def is_everywhere() -> bool:
                return not (await bus.streams.kept("WINDOWS")).replicas_lacking

            await until(is_everywhere, "the copies", 60, every_s=0.2)
    finally:
        await bus.close()
        cluster.stop()
