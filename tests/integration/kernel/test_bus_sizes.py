"""Messages of all sizes over a real nats-server, on both event loops, with TLS and without; a cut in one of them."""

import asyncio
import os
from pathlib import Path

import pytest
import uvloop
from authority import Authority
from nats.aio.msg import Msg
from nats_process import NatsProcess
from patience import patient, until

from services.bus import NatsSettings
from services.bus.connection.client import SecureClient
from services.kernel.tls import Tls

READ = 32_768
"""The bytes that nats-py reads at once."""
SIZES = [0, 1, READ - 1, READ, READ + 1, 345_616, 3_000_000, 5]


async def connect(url: str, tls: Tls | None = None) -> SecureClient:
    """Return a client that tries again at once."""
    client = SecureClient(tls)
    await client.connect(url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
    return client


async def echo(url: str, tls: Tls | None) -> None:
    """Ask for each size, all at the same time, with headers and without; each comes back as it was."""
    ours, theirs = await connect(url, tls), await connect(url, tls)

    async def back(msg: Msg) -> None:
        await msg.respond(msg.data)

    await theirs.subscribe("echo", cb=back)
    await theirs.flush()
    sent = [os.urandom(size) for size in SIZES]
    for headers in (None, {"a": "b"}):
        asked = [ours.request("echo", data, timeout=patient(10), headers=headers) for data in sent]
        assert [bytes(answer.data) for answer in await asyncio.gather(*asked)] == sent
    await ours.close()
    await theirs.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("secure", [False, True])
def test_all_sizes_come_back(tmp_path: Path, run, secure: bool):
    """Each is whole, though the larger ones come in many reads."""
    authority, tls = Authority(), None
    config = ""
    if secure:
        (tmp_path / "ca.pem").write_bytes(authority.pem)
        (tmp_path / "server.pem").write_bytes(authority.issue("127.0.0.1"))
        tls = NatsSettings(url="nats://x", ca_file=tmp_path / "ca.pem").tls()
        config = f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.pem" }}'
    server = NatsProcess(tmp_path, config=config).start()
    try:
        run(echo(server.url, tls))
    finally:
        server.stop()


async def test_a_cut_in_a_large_message_costs_that_one(nats_server):
    """The client connects again, subscribes again, and takes the next one: a server that breaks off first."""
    half = asyncio.Event()

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload":8388608,"headers":true}\r\n')
        while not (await reader.readline()).startswith(b"PING"):
            pass
        writer.write(b"PONG\r\n")
        while not (await reader.readline()).startswith(b"SUB"):
            pass
        writer.write(b"MSG pictures 1 345616\r\n" + bytes(100_000))
        await writer.drain()
        await half.wait()
        writer.close()

    first = await asyncio.start_server(broken, "127.0.0.1", 0)
    client = SecureClient(None)
    port = first.sockets[0].getsockname()[1]
    servers = [f"nats://127.0.0.1:{port}", nats_server.url]
    got: list[bytes] = []
    await client.connect(servers, dont_randomize=True, reconnect_time_wait=0.05, max_reconnect_attempts=-1)

    async def keep(msg: Msg) -> None:
        got.append(bytes(msg.data))

    await client.subscribe("pictures", cb=keep)
    half.set()
    first.close()
    await until(lambda: str(client.connected_url and client.connected_url.port) in nats_server.url)
    other = await connect(nats_server.url)
    data = os.urandom(345_616)
    await until_got(other, data, got)
    assert set(got) == {data}
    await other.close()
    await client.close()


async def until_got(other: SecureClient, data: bytes, got: list[bytes]) -> None:
    """Publish until the subscription, which is made anew after a reconnect, has it."""
    async with asyncio.timeout(patient(20)):
        while not got:
            await other.publish("pictures", data)
            await asyncio.sleep(0.05)
