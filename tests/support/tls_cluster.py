"""Three servers of the rendered chart over TLS, and the streams that they hold for readers."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats.errors
import nats.js.errors
from authority import Authority
from chart import seed
from identity_matrix import MIRRORS
from patience import patient
from rendered_nats import RenderedCluster, conf

from proto.subjects import STREAMS, Identity
from services.aggregate.mirrors.keeper import Mirrors
from services.bus import Bus, NatsSettings

TLS = {"enabled": True, "serverSecret": "s", "clientSecret": "c", "routesSecret": "r"}


def certificates(folder: Path, authority: Authority, *names: str) -> None:
    """A Secret of certificates as it is mounted."""
    folder.mkdir(parents=True)
    pem = authority.issue(*names)
    for name, content in (("tls.crt", pem), ("tls.key", pem), ("ca.crt", authority.pem)):
        (folder / name).write_bytes(content)


@contextlib.contextmanager
def started(folder: Path, clients: Authority) -> Iterator[RenderedCluster]:
    """Clients' certificates are of one authority, the servers' among themselves of another."""
    cluster, routes = RenderedCluster(folder, conf({"replicas": 3, "tls": TLS})), Authority()
    for server in cluster.servers:
        certificates(server.root / "nats-tls", clients, "localhost")
        certificates(server.root / "nats-routes-tls", routes, "localhost")
    certificates(folder / "own", clients, "aggregate")
    try:
        cluster.start()
        yield cluster
    finally:
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


async def made(bus: Bus) -> bool:
    """Make the readers' streams; whether all are there."""
    with contextlib.suppress(nats.errors.Error):
        return await Mirrors(bus).turn() == ["MORETTA_SUBSCRIBERS"] and await has_all(bus)
    return False


async def has_all(bus: Bus) -> bool:
    """Whether the subscriber's account has all of its streams."""
    answer = json.loads(await bus.ask("_READER.MORETTA_SUBSCRIBERS.STREAM.NAMES", timeout=patient(5)))
    return set(answer.get("streams") or ()) == set(MIRRORS)
