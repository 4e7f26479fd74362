"""Every user of a hub against every subject and all of JetStream's API, on a real server, beside what is written."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hub_matrix import ACCOUNTS, READERS, SITES, against_what_is_written, leaf_against_what_is_written, users
from leaf_sites import HubPlace
from msgspec import structs
from readers import Raw

from services.bus.nkey import Seed

LEAVES = {site: Seed.new() for site in SITES}


class Hub(HubPlace):
    """A hub of two leaves, with a reader that has a name, and somebody who may anything in each account."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        leaves = {site: [seed.public] for site, seed in LEAVES.items()}
        acme = {READERS[1].removeprefix("subscriber-"): ["WINDOWS", "ALERTS"]}
        self.kept.update(structs.replace(self.kept.hub, leaves=leaves, readers=acme))
        self.admins = ("MORETTA_HUB", *(f"MORETTA_SITE_{site}" for site in SITES))

    async def shape(self) -> dict[str, object]:
        """What streams there are where many depend on them, and how they are made."""
        found: dict[str, object] = {}
        for account in self.admins:
            async with self.admin(account) as one:
                infos = await one.jetstream().streams_info()
                found |= {f"{account} {info.config.name}": info.config.as_dict() for info in infos}
        return found


@pytest.fixture(name="hub")
async def _hub(tmp_path: Path) -> AsyncIterator[Hub]:
    hub = Hub(tmp_path)
    hub.start()
    await hub.make()
    yield hub
    hub.server.stop()


@pytest.mark.timeout(300)
async def test_everybody_at_a_hub_may_what_is_written_and_nothing_else(hub: Hub):
    """Who makes streams, readers, leaves. Nothing of the hub's and the leaves' own streams is made, changed or lost."""
    config = json.loads((hub.kept.folder / "nats.conf").read_text())
    keys = [user["nkey"] for account in config["accounts"].values() for user in account["users"]]
    assert {*config["accounts"]} == {"MORETTA_HUB", *ACCOUNTS, *(f"MORETTA_SITE_{site}" for site in SITES)}
    assert len(keys) == len(users()) + len(SITES), "each user is tried"
    before = await hub.shape()
    assert len(before) == 12
    assert not await against_what_is_written(hub), "True: denied against it; False: allowed against it"
    assert not await leaf_against_what_is_written(hub, "cannes", LEAVES["cannes"])
    assert await hub.shape() == before


async def test_a_leafs_key_opens_no_other_door(hub: Hub):
    """It comes as a leaf, never as a client."""
    assert "Authorization Violation" in await Raw.said_to(hub.server, LEAVES["cannes"])
