"""Three rendered servers over TLS, one of which is killed; and a rendered leaf beside its rendered hub."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
import secrecy
import yaml
from authority import Authority
from chart import RELEASE, seed
from golden import BY_TYPE
from msgspec import structs
from nats_cluster import ports
from patience import patient, until
from rendered_nats import NAME, RenderedCluster, RenderedNats, conf

from operate.backup.run import backup, restore
from operate.identities import Hub, Kept, KeptHub, Leaf, Release, Server
from operate.identities.leafnodes import LEAF_USER
from operate.nats import streams as nats_streams
from proto.permissions import user_of
from proto.subjects import SIGHTINGS, STREAMS, WINDOWS, Identity
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed

LIMIT_S = 60
TLS = {"enabled": True, "serverSecret": "s", "clientSecret": "c", "routesSecret": "r"}
WINDOW = BY_TYPE[WINDOWS.message]


def certificates(folder: Path, authority: Authority, *names: str) -> None:
    """A Secret of certificates as it is mounted."""
    folder.mkdir(parents=True)
    pem = authority.issue(*names)
    for name, content in (("tls.crt", pem), ("tls.key", pem), ("ca.crt", authority.pem)):
        (folder / name).write_bytes(content)


@pytest.fixture(name="clients", scope="module")
def _clients() -> Authority:
    return Authority()


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path, clients: Authority) -> Iterator[RenderedCluster]:
    """Clients' certificates are of one authority, the servers' among themselves of another."""
    cluster, routes = RenderedCluster(tmp_path, conf({"replicas": 3, "tls": TLS})), Authority()
    for server in cluster.servers:
        certificates(server.root / "nats-tls", clients, "localhost")
        certificates(server.root / "nats-routes-tls", routes, "localhost")
    certificates(tmp_path / "own", clients, "aggregate")
    cluster.start()
    yield cluster
    cluster.stop()


def settings(cluster: RenderedCluster, folder: Path, name: Identity) -> NatsSettings:
    """As the chart's variables have it connect: three addresses, three copies, an authority and a certificate."""
    own = {name: str(folder / "own" / file) for name, file in (("client_cert_file", "tls.crt"), ("ca_file", "ca.crt"))}
    return NatsSettings(url=cluster.url, user=name, seed=seed(name), replicas=3, **own)


@contextlib.asynccontextmanager
async def service(cluster: RenderedCluster, folder: Path, name: Identity = "aggregate") -> AsyncIterator[Bus]:
    bus = await Bus.connect(settings(cluster, folder, name), name)
    try:
        yield bus
    finally:
        await bus.close()


async def current(bus: Bus) -> bool:
    """Whether each stream has three copies that are up to date."""
    try:
        infos = [await bus.streams.js.stream_info(stream.name) for stream in STREAMS]
    except (nats.errors.Error, nats.js.errors.APIError):  # while it has no leader
        return False
    copies = [info.cluster.replicas or [] for info in infos if info.cluster]
    return len(copies) == len(STREAMS) and all(len(one) == 2 and all(peer.current for peer in one) for one in copies)


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
    """By a backup that is taken there and put back here, as docs/operations.md says; each stream has three copies."""
    one = RenderedNats(tmp_path / "one", conf())
    one.start()
    try:
        alone = NatsSettings(url=one.url, user="aggregate", seed=seed("aggregate"))
        bus = await Bus.connect(alone, "aggregate")
        await bus.ensure_streams(stream.name for stream in STREAMS)
        for persons in (1, 2):
            await bus.store(WINDOWS, structs.replace(WINDOW, persons=persons))
        await bus.close()
        who = structs.replace(alone, user="backup", seed=seed("backup"))
        await backup(who, tmp_path / "f", tmp_path / "taken", lambda *_: None)
    finally:
        one.stop()
    who = settings(cluster, tmp_path, "backup")
    await restore(who, tmp_path / "f", tmp_path / "taken", replace=False, advance=lambda *_: None)
    async with service(cluster, tmp_path) as bus:
        async with asyncio.timeout(patient(LIMIT_S)):
            await bus.ensure_streams(stream.name for stream in STREAMS)
            assert await numbered(bus) == [1, 2]
        await until(lambda: current(bus), "three copies of each stream", LIMIT_S)


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


class Installed:
    """A folder of `moretta nats-config --kubernetes`, and the server that comes of its files: values and Secrets."""

    def __init__(self, kept: Kept | KeptHub, folder: Path) -> None:
        self.folder = kept.folder
        values = yaml.safe_load((kept.folder / "values.yaml").read_text())["nats"]
        self.server = RenderedNats(folder, conf(values))
        for one in yaml.safe_load_all((kept.folder / "secrets.yaml").read_text()):
            if one["metadata"]["name"] == values.get("leaf", {}).get("existingSecret"):
                (folder / "nats-leaf").mkdir()
                for name, content in one["stringData"].items():
                    secrecy.keep(content.split('"')[1])
                    (folder / "nats-leaf" / name).write_text(content)

    @contextlib.asynccontextmanager
    async def bus(self, identity: Identity) -> AsyncIterator[Bus]:
        user = user_of(identity, "MAIN")
        own = Seed((self.folder / f"{user}.nk").read_text())
        secrecy.keep(own.reveal())
        bus = await Bus.connect(NatsSettings(url=self.server.url, user=user, seed=own), identity)
        try:
            yield bus
        finally:
            await bus.close()


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[tuple[Installed, Installed]]:
    """A site and its hub, each a release of the chart."""
    [port] = ports(1)
    place = Server(listen="127.0.0.1:4222", store="/s", url="nats://a:4222", release=Release(name=RELEASE))
    kept = Kept.make(tmp_path / "site-keys", place)
    kept.update(structs.replace(kept.server, leaf=Leaf(hubs=[f"nats://127.0.0.1:{port}"], sites=[WINDOW.site])))
    there = Hub(listen="a:1", leaf_listen="a:2", store="/s", url="nats://a:1", release=Release(name=RELEASE))
    own = KeptHub.make(tmp_path / "hub-keys", structs.replace(there, leaves={WINDOW.site: kept.server.keys[LEAF_USER]}))
    site, hub = Installed(kept, tmp_path / "site"), Installed(own, tmp_path / "hub")
    hub.server.text = hub.server.text.replace('"0.0.0.0:7422"', f'"127.0.0.1:{port}"')
    for one in (hub, site):
        one.server.start()
    yield site, hub
    for one in (site, hub):
        one.server.stop()


@pytest.mark.timeout(240)
async def test_a_leafs_windows_are_read_at_its_hub(pair: tuple[Installed, Installed]):
    """Both from what the command wrote: values for the chart, and the Secret with the leaf's seed that is included."""
    site, hub = pair
    async with site.bus("aggregate") as bus, hub.bus("subscriber") as reader:
        await bus.ensure_streams(stream.name for stream in STREAMS)
        for one in (site, hub):
            await nats_streams.make(one.folder, NatsSettings(url=one.server.url), nats_streams.How())
        await bus.store(WINDOWS, WINDOW)

        async def arrived() -> bool:
            return [stored.message for stored in await reader.history(WINDOWS)] == [WINDOW]

        await until(arrived, "the window at the hub", 120)
