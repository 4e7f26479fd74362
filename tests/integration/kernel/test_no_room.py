"""An account without room for a message: whoever stores waits, says so, and goes on when there is room."""

import asyncio
import json
import signal

import pytest
from golden import BY_TYPE
from msgspec import structs
from nats.aio.client import Client
from nats.js.errors import APIError
from nats_process import NatsProcess
from patience import patient, until

from proto.subjects import ALERTS, WINDOWS
from services.bus import Bus, NatsSettings
from services.bus.streams.storing import Streams
from services.kernel.settings import Secret

STREAMS = {"WINDOWS": WINDOWS, "ALERTS": ALERTS}


def configuration(limit: int):
    def whole(port: int, store: str) -> str:
        user = {"user": "aggregate", "password": "a"}
        account = {"jetstream": {"max_file": limit, "max_mem": 1 << 20}, "users": [user]}
        jetstream = {"store_dir": store, "max_file_store": 1 << 30, "max_memory_store": 1 << 24}
        return json.dumps({"listen": f"127.0.0.1:{port}", "jetstream": jetstream, "accounts": {"MORETTA": account}})

    return whole


@pytest.fixture(name="server")
def _server(tmp_path):
    server = NatsProcess(tmp_path, whole=configuration(20_000)).start()
    yield server
    server.stop()


def long_waiting(streams: Streams) -> set[str]:
    return set(streams.waiting._since)


async def fill(client: Client) -> None:
    while True:
        await client.jetstream().publish("moretta.v1.windows.fill.x", bytes(400))


async def test_a_full_account_is_waited_for(server: NatsProcess):
    """`store` and `store_once` try on through error 10002; each message is there once, afterwards."""
    plain = Client()
    await plain.connect(server.url, user="aggregate", password="a")
    for name, row in STREAMS.items():
        await plain.jetstream().add_stream(name=name, subjects=[row.wildcard()], allow_direct=True)
    with pytest.raises(APIError, match="resource limits"):
        await fill(plain)
    bus = await Bus.connect(NatsSettings(url=server.url, user="aggregate", password=Secret("a")), "aggregate")
    window = structs.replace(BY_TYPE[WINDOWS.message], site="cannes")
    try:
        storing = [
            asyncio.create_task(bus.store_once(WINDOWS, window, is_done=lambda _last: False)),
            asyncio.create_task(bus.store(ALERTS, BY_TYPE[ALERTS.message])),
        ]
        await until(lambda: long_waiting(bus.streams) == set(STREAMS), "both wait", 30)
        assert not [task for task in storing if task.done()]
        (server.folder / "nats.conf").write_text(configuration(10_000_000)(server.port, f"{server.folder}/js"))
        server.signal(signal.SIGHUP)
        async with asyncio.timeout(patient(30)):
            assert await asyncio.gather(*storing) == [True, 1]
        assert long_waiting(bus.streams) == set()
        assert [one.message for one in await bus.history(WINDOWS, site="cannes")] == [window]
    finally:
        await bus.close()
        await plain.close()
