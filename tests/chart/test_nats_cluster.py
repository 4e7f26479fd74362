"""Three rendered servers over TLS, one of which is killed; and a rendered leaf beside its rendered hub."""

import asyncio
import contextlib
import json
import shutil
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
import rendered_pair
import tls_cluster
from authority import Authority
from chart import seed
from golden import BY_TYPE
from msgspec import structs
from nats.aio.client import Client
from patience import patient, until
from rendered_nats import NAME, RenderedCluster, RenderedNats, conf
from rendered_pair import WINDOW, Installed, make_streams
from tls_cluster import certificates, current, made, service, settings

from operate.backup.backup import backup, restore
from proto.codec import decode
from proto.subjects import CAMERAS, SIGHTINGS, STREAMS, WINDOWS
from services.bus import Bus, NatsSettings
from services.kernel.settings import SettingsError

LIMIT_S = 60


@pytest.fixture(name="clients", scope="module")
def _clients() -> Authority:
    return Authority()


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path, clients: Authority) -> Iterator[RenderedCluster]:
    with tls_cluster.started(tmp_path, clients) as cluster:
        yield cluster


async def numbered(bus: Bus) -> list[int]:
    return [stored.message.persons for stored in await bus.history(WINDOWS)]


@pytest.mark.timeout(300)
async def test_three_servers_outlive_the_loss_of_one(cluster: RenderedCluster, tmp_path: Path):
    """Every stream of the table has three copies; one server is killed, and comes back with what it missed."""
    async with service(cluster, tmp_path) as bus:
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.ensure_streams(stream.name for stream in STREAMS)
        await until(lambda: current(bus), "three copies of each stream", LIMIT_S)
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=1))
            cluster.servers[0].kill()
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=2))
            assert await numbered(bus) == [1, 2]
        cluster.servers[0].start()
        await until(lambda: current(bus), "three copies of each stream", LIMIT_S)
        await until(lambda: cluster.servers[0].healthy("/healthz"), "its start-up probe passes", LIMIT_S)
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=3))
            assert await numbered(bus) == [1, 2, 3]


@pytest.mark.timeout(600)
async def test_a_second_server_that_starts_again_waits_for_the_third(cluster: RenderedCluster, tmp_path: Path):
    """A stream in memory that it led has one copy left, and an empty one is no majority with it; files go on."""
    async with service(cluster, tmp_path) as bus, service(cluster, tmp_path, "ingest") as ingest:
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.ensure_streams(stream.name for stream in STREAMS)
        await until(lambda: current(bus), "three copies of each stream", LIMIT_S)
        names = [server.pod for server in cluster.servers]
        leader = cluster.servers[names.index(await leader_of(bus, "CAMERAS"))]
        away = next(server for server in cluster.servers if server is not leader)
        away.kill()
        leader.kill()
        leader.start()
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=1))
        storing = asyncio.create_task(ingest.store(CAMERAS, BY_TYPE[CAMERAS.message]))
        await until(lambda: ingest.not_stored, "what waits is said", LIMIT_S)
        assert "CAMERAS" in ingest.not_stored
        assert "no majority of 3 copies: start every server that is away" in ingest.not_stored
        shutil.rmtree(away.root / "data")
        away.start()
        async with asyncio.timeout(patient(LIMIT_S)):
            await storing


async def leader_of(bus: Bus, name: str) -> str:
    """Return the server that leads a stream."""
    info = await bus.streams.js.stream_info(name)
    assert info.cluster
    assert info.cluster.leader
    return info.cluster.leader


@contextlib.asynccontextmanager
async def reader(cluster: RenderedCluster, folder: Path) -> AsyncIterator[Client]:
    """A reader as it comes by itself: TLS with a certificate, the default inbox, nothing of ours."""
    tls = ssl.create_default_context(cafile=str(folder / "own/ca.crt"))
    tls.load_cert_chain(folder / "own/tls.crt", folder / "own/tls.key")
    one, key = Client(), seed("subscriber")
    one._public_nkey = key.public
    await one.connect(cluster.url.split(","), signature_cb=key.sign, tls=tls, max_reconnect_attempts=-1)
    try:
        yield one
    finally:
        await one.close()


@pytest.mark.timeout(300)
async def test_a_reader_misses_nothing_while_a_server_is_lost(cluster: RenderedCluster, tmp_path: Path):
    """Its mirrors and its durable consumer have three copies, too."""
    async with service(cluster, tmp_path) as bus, asyncio.timeout(patient(LIMIT_S * 3)):
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await until(lambda: current(bus), "three copies of each stream", LIMIT_S)
        await until(lambda: made(bus), "the readers' streams", LIMIT_S)
        async with reader(cluster, tmp_path) as one:
            js = one.jetstream(timeout=10)
            pull = await js.pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")
            seen: list[int] = []

            async def read(number: int) -> bool:
                # fetch of several lets asyncio's own TimeoutError through, too (nats-py 2.16)
                with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                    for msg in await pull.fetch(10, timeout=2):
                        seen.append(json.loads(msg.data)["persons"])
                        await msg.ack_sync()
                return number in seen

            await bus.store(WINDOWS, structs.replace(WINDOW, persons=1))
            await until(lambda: read(1), "the first window", LIMIT_S)
            cluster.servers[0].kill()
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=2))
            await until(lambda: read(2), "the second", LIMIT_S)
            assert sorted(set(seen)) == [1, 2]


@pytest.mark.timeout(300)
async def test_a_rolling_restart_loses_nothing_in_memory(cluster: RenderedCluster, tmp_path: Path):
    """One server after another, each when the start-up probe of the one before passes: sightings are all there."""
    async with service(cluster, tmp_path) as bus, service(cluster, tmp_path, "inference") as inference:
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.ensure_streams(stream.name for stream in STREAMS)
            for number in range(1, 101):
                await inference.store(SIGHTINGS, structs.replace(BY_TYPE[SIGHTINGS.message], sequence=number))
        for server in cluster.servers:
            server.stop()
            server.start()
            await until(lambda one=server: one.healthy("/healthz"), "its start-up probe passes", LIMIT_S)
        async with asyncio.timeout(patient(LIMIT_S)):
            stored = await bus.history(SIGHTINGS)
        assert [one.message.sequence for one in stored] == list(range(1, 101))


@pytest.mark.timeout(300)
async def test_what_one_server_stored_is_carried_to_three(cluster: RenderedCluster, tmp_path: Path):
    """And back, by docs/how-to/nats-one-to-three.md: each stream has three copies there, and one server has it all."""
    one = RenderedNats(tmp_path / "one", conf())
    one.start()
    alone = NatsSettings(url=one.url, user="aggregate", seed=seed("aggregate"))
    try:
        bus = await Bus.connect(alone, "aggregate")
        await bus.ensure_streams(stream.name for stream in STREAMS)
        for persons in (1, 2):
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=persons))
        await bus.close()
        who = structs.replace(alone, user="backup", seed=seed("backup"))
        await backup(who, tmp_path / "f", tmp_path / "taken", lambda *_: None)
    finally:
        one.stop()
    there = settings(cluster, tmp_path, "backup")
    await restore(there, tmp_path / "f", tmp_path / "taken", replace=False, advance=lambda *_: None)
    async with service(cluster, tmp_path) as bus:
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.ensure_streams(stream.name for stream in STREAMS)
            assert await numbered(bus) == [1, 2]
        await until(lambda: current(bus), "three copies of each stream", LIMIT_S)
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=3))
    await backup(there, tmp_path / "f", tmp_path / "back", lambda *_: None)
    one.start()  # on its own volume, which has what it held then
    try:
        bus = await Bus.connect(alone, "aggregate")
        assert await numbered(bus) == [1, 2]
        with pytest.raises(SettingsError, match="WINDOWS hold messages already; with --replace"):
            await restore(who, tmp_path / "f", tmp_path / "back", replace=False, advance=lambda *_: None)
        await restore(who, tmp_path / "f", tmp_path / "back", replace=True, advance=lambda *_: None)
        assert await numbered(bus) == [1, 2, 3]
        await bus.close()
    finally:
        one.stop()


async def test_nobody_joins_with_a_clients_certificate(cluster: RenderedCluster, clients: Authority, tmp_path: Path):
    """Whoever joins as a server reads everything: that takes a certificate of the routes' own authority."""
    certificates(tmp_path / "thief/nats-routes-tls", clients, "localhost")
    certificates(tmp_path / "thief/nats-tls", clients, "localhost")
    peers = cluster.servers[0].peers | {f"{NAME}-9": -1}
    thief = RenderedNats(tmp_path / "thief", cluster.servers[0].text, pod=f"{NAME}-9", peers=peers)
    thief.start()
    try:
        await until(lambda: any("TLS route handshake error" in line for line in thief.output), "refused", LIMIT_S)
        assert not any(f"{NAME}-9" in line for one in cluster.servers for line in one.output if "new peer" in line)
    finally:
        thief.stop()


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[tuple[Installed, Installed]]:
    with rendered_pair.started(tmp_path) as pair:
        yield pair


@pytest.mark.timeout(240)
async def test_a_leafs_windows_are_read_at_its_hub(pair: tuple[Installed, Installed]):
    """Both from what the command wrote: values for the chart, and the Secret with the leaf's seed that is included."""
    site, hub = pair
    async with site.bus("aggregate") as bus, hub.bus("subscriber") as reader:
        await make_streams(site, hub, bus)
        await bus.store(WINDOWS, WINDOW)

        async def arrived() -> bool:
            return [stored.message for stored in await reader.history(WINDOWS)] == [WINDOW]

        await until(arrived, "the window at the hub", 120)
        js = reader.client.jetstream()
        pull = await js.pull_subscribe("moretta.v1.windows.>", durable="mine", stream="WINDOWS")
        [msg] = await pull.fetch(1, timeout=patient(10))
        assert decode(WINDOWS, msg.data) == WINDOW
