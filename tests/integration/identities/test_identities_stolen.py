"""A stolen key of a leaf: real servers of a hub and a site; after each step, does the key still open the hub?"""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats.errors
import nats.js.errors
import pytest
import yaml
from leaf_sites import HubPlace, Site, Thief
from nats_folder import NatsFolder, lines_of
from patience import until

from services.bus.nkey import Seed

CROSS_S = 120
"""A hub tries again in its own time: up to about 45 s were seen."""
NOT_YET = (nats.js.errors.NotFoundError, nats.js.errors.ServiceUnavailableError, nats.errors.Error)
SUBJECT = "moretta.v1.windows.cannes.x"


class Leaf:
    """A site's server, its hub's, and both folders, changed by the commands alone."""

    def __init__(self, folder: Path) -> None:
        self.hub = HubPlace(folder)
        self.site = Site(folder, "cannes", f"nats://127.0.0.1:{self.hub.leaf_port}")
        self.at_site, self.at_hub = NatsFolder(self.site.kept.folder), NatsFolder(self.hub.kept.folder)
        self.stored = 0

    async def begin(self) -> None:
        """Both run, and a first window crosses by the key that is stolen later."""
        self.at_hub.apply({"hub": {"leaves": [{"sites": ["cannes"], "keys": [self.site.public]}]}})
        for place in (self.hub, self.site):
            place.start()
        for place in (self.site, self.hub):
            await place.make()
        await self.crosses()

    @property
    def seed(self) -> Seed:
        """The leaf's seed that the site's folder has now."""
        return Seed(self.at_site.read("leaf.nk"))

    def write_hub(self, step: str) -> list[str]:
        """Put the line that a step prints into the hub's file, and apply it; returns the steps that this prints."""
        assert step.startswith("at the hub, in its file's hub.leaves: ")
        found = re.search(r"\{.*\}", step)
        assert found
        line: dict[str, Any] = yaml.safe_load(found[0])
        return lines_of(self.at_hub.apply({"hub": {"leaves": [line]}}), "next: ")

    async def reload_hub(self) -> None:
        def count() -> int:
            return sum("Reloaded server configuration" in line for line in self.hub.server.output)

        before = count()
        self.hub.reload()
        await until(lambda: count() > before, "the hub has read its configuration")

    def restart(self, place: HubPlace | Site) -> None:
        place.server.stop()
        place.start()

    async def comes_in(self, seed: Seed) -> bool:
        """Whether the hub takes a leaf with this key, now."""
        async with self.thief(seed) as thief:
            return thief.greeted and not thief.errors

    @contextlib.asynccontextmanager
    async def thief(self, seed: Seed) -> AsyncIterator[Thief]:
        """Somebody who came with this key, and was answered."""
        async with Thief.come(self.hub.leaf_port, seed, "thief") as thief:
            await until(lambda: thief.greeted or thief.over, "the hub's answer")
            yield thief

    async def crosses(self) -> None:
        """Store a window at the site, and wait until it is at the hub."""
        async with self.site.admin("MORETTA") as one:
            await one.jetstream().publish(SUBJECT, b"%d" % self.stored)
        self.stored += 1

        async def there() -> bool:
            async with self.hub.admin("MORETTA_HUB") as one:
                return (await one.jetstream().stream_info("WINDOWS")).state.messages >= self.stored

        await until(there, f"{self.stored} windows at the hub", CROSS_S, every_s=0.2, ignoring=NOT_YET)


@pytest.fixture(name="leaf")
def _leaf(tmp_path: Path) -> Iterator[Leaf]:
    leaf = Leaf(tmp_path)
    yield leaf
    for place in (leaf.hub, leaf.site):
        place.server.stop()


@pytest.mark.timeout(400)
async def test_a_stolen_key_is_replaced_by_one_command(leaf: Leaf):
    """`replace` prints the hub's line with the new key alone; the old one is out after the step that says so."""
    await leaf.begin()
    old = leaf.seed
    async with leaf.thief(old) as inside:
        at_hub, at_site = lines_of(leaf.at_site.replace("leaf"), "next: ")
        assert (old.public in at_hub, leaf.seed.public in at_hub) == (False, True)
        assert await leaf.comes_in(old), "the command alone changes nothing at the hub"
        steps = leaf.write_hub(at_hub)
        assert await leaf.comes_in(old), "nor does its file"
        await leaf.reload_hub()
        assert not await leaf.comes_in(old)
        assert not inside.over, "whoever came before outlasts a reload; if not, the steps ask for too much"
        assert "restart its nats-server" in at_hub
        assert any(step.startswith("restart nats-server") for step in steps)
        leaf.restart(leaf.hub)
        await until(lambda: inside.over, "the thief is cut off")
    assert not await leaf.comes_in(old)
    assert at_site.startswith("restart nats-server")
    leaf.restart(leaf.site)
    await leaf.crosses()


@pytest.mark.timeout(400)
@pytest.mark.first
async def test_a_rotation_ends_with_the_hubs_line(leaf: Leaf):
    """Both keys, then the new one alone, as `retire` prints it: nothing is lost on the way, and the old key is out."""
    await leaf.begin()
    old = leaf.seed
    at_hub, at_site, _retire = lines_of(leaf.at_site.rotate("leaf"), "next: ")
    steps = leaf.write_hub(at_hub)
    assert steps[0].startswith("nats-server --signal reload")
    await leaf.reload_hub()
    assert (await leaf.comes_in(old), await leaf.comes_in(leaf.seed)) == (True, True)
    assert at_site.startswith("restart nats-server")
    leaf.restart(leaf.site)
    await leaf.crosses()
    [last] = lines_of(leaf.at_site.retire("leaf"), "next: ")
    assert await leaf.comes_in(old)
    assert leaf.write_hub(last)[0].startswith("restart nats-server")
    leaf.restart(leaf.hub)
    assert (await leaf.comes_in(old), await leaf.comes_in(leaf.seed)) == (False, True)
    await leaf.crosses()
