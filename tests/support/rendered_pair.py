"""A site and its hub, each a release of the rendered chart with what `moretta nats apply` wrote."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import secrecy
import yaml
from chart import RELEASE
from free_ports import free_port
from golden import BY_TYPE
from msgspec import structs
from rendered_nats import RenderedNats, conf

from operate.identities import Hub, IdentityFolder, KeptHub, Leaf, Release, ServerEntry
from operate.identities.leafnodes import LEAF_USER
from operate.nats import streams as nats_streams
from proto.permissions import user_of
from proto.subjects import STREAMS, WINDOWS, Identity
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed

WINDOW = BY_TYPE[WINDOWS.message]


class Installed:
    """A folder of `moretta nats apply`, and the server that comes of its files: values and Secrets."""

    def __init__(self, kept: IdentityFolder | KeptHub, folder: Path) -> None:
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
        user = user_of(identity, "MORETTA")
        own = Seed((self.folder / f"{user}.nk").read_text())
        secrecy.keep(own.reveal())
        bus = await Bus.connect(NatsSettings(url=self.server.url, user=user, seed=own), identity)
        try:
            yield bus
        finally:
            await bus.close()


@contextlib.contextmanager
def started(folder: Path) -> Iterator[tuple[Installed, Installed]]:
    """A site and its hub, each a release of the chart."""
    port = free_port()
    place = ServerEntry(listen="127.0.0.1:4222", store="/s", url="nats://a:4222", release=Release(name=RELEASE))
    kept = IdentityFolder.make(folder / "site-keys", place)
    kept.update(structs.replace(kept.server, leaf=Leaf(hubs=[f"nats://127.0.0.1:{port}"], sites=[WINDOW.site])))
    there = Hub(listen="a:1", leaf_listen="a:2", store="/s", url="nats://a:1", release=Release(name=RELEASE))
    own = KeptHub.make(folder / "hub-keys", structs.replace(there, leaves={WINDOW.site: kept.server.keys[LEAF_USER]}))
    site, hub = Installed(kept, folder / "site"), Installed(own, folder / "hub")
    hub.server.text = hub.server.text.replace('"0.0.0.0:7422"', f'"127.0.0.1:{port}"')
    try:
        for one in (hub, site):
            one.server.start()
        yield site, hub
    finally:
        for one in (site, hub):
            one.server.stop()


async def make_streams(site: Installed, hub: Installed, owner: Bus) -> None:
    """Make all streams of both, as the services and `moretta nats streams` do."""
    await owner.ensure_streams(stream.name for stream in STREAMS)
    for one in (site, hub):
        await nats_streams.make(one.folder, NatsSettings(url=one.server.url), nats_streams.How())
