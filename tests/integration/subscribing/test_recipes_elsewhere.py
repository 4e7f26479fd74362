"""Recipes in three languages where Moretta runs in earnest: the chart's three servers over TLS, and a hub of sites."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import chart
import pytest
import rendered_pair
import tls_cluster
from authority import Authority
from msgspec import structs
from patience import patient, until
from recipe_place import PYTHON
from recipes import COMPILE_S, Recipe, compiled, published
from rendered_nats import RenderedCluster, RenderedNats
from rendered_pair import WINDOW, Installed, make_streams

from proto.subjects import STREAMS, WINDOWS
from services.bus import Bus

PROGRAMS = (
    *(f"{PYTHON} latest.py", "node latest.mjs", "./latest"),
    *(f"{PYTHON} nothing_missed.py", "node nothing_missed.mjs", "./nothing_missed"),
)
PLAIN = (f"{PYTHON} plain.py", "node plain.mjs", "./plain")
"""What any user of NATS types: a durable pull, an ordered consumer, a direct get and `moretta.>`."""
LATE_S = 90
"""How long the servers may take until all copies are there."""
SECOND = 1_000_000_000
SIX_WINDOWS = [structs.replace(WINDOW, end=WINDOW.end + n * 60 * SECOND) for n in range(6)]
pytestmark = [pytest.mark.usefixtures("needs_recipes"), pytest.mark.timeout(3 * COMPILE_S)]


@pytest.fixture(name="cluster")
def _cluster(tmp_path: Path) -> Iterator[RenderedCluster]:
    with tls_cluster.started(tmp_path, Authority()) as cluster:
        (tmp_path / "subscriber.nk").write_text(chart.seed("subscriber").reveal())
        yield cluster


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[tuple[Installed, Installed]]:
    with rendered_pair.started(tmp_path) as pair:
        yield pair


def of_cluster(cluster: RenderedCluster, folder: Path) -> dict[str, str]:
    """What a reader is told: three addresses, its key, the authority and a certificate."""
    own = folder / "own"
    files = {"NATS_CA": "ca.crt", "NATS_CERT": "tls.crt", "NATS_KEY": "tls.key"}
    found = {name: str(own / file) for name, file in files.items()}
    return found | {"NATS_URL": cluster.url, "NATS_NKEY": str(folder / "subscriber.nk")}


async def printed(recipes: list[Recipe], wanted: list[str]) -> None:
    """Each program has printed these windows in this order.

    The loss of a server may cost an acknowledgement, and so have one printed twice (docs/recipes).
    """

    def told(recipe: Recipe) -> list[str]:
        return list(dict.fromkeys(" ".join(line.split()[:3]) for line in recipe.printed))

    for recipe in recipes:
        await asyncio.to_thread(recipe.until, lambda one=recipe: told(one)[-1:] == wanted[-1:], wanted, COMPILE_S)
        assert told(recipe) == wanted


async def told(folder: Path, env: dict[str, str], owner: Bus, *faults: AbstractAsyncContextManager[None]) -> None:
    """All programs at once: a window from before them, two while they run, and one during each fault.

    Between the second and the third NATS's own clients begin.
    """
    wanted = [published(one) for one in SIX_WINDOWS]
    await owner.store(WINDOWS, SIX_WINDOWS[0])
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(Recipe(command, folder, env)) for command in PROGRAMS]
        await printed(running, wanted[:1])
        await owner.store(WINDOWS, SIX_WINDOWS[1])
        await printed(running, wanted[:2])
        await plain(folder, env, owner)
        await printed(running, wanted[:3])
        for n, fault in enumerate(faults, 3):
            async with fault:
                await owner.store(WINDOWS, SIX_WINDOWS[n])
                await printed(running, wanted[: n + 1])


async def plain(folder: Path, env: dict[str, str], owner: Bus) -> None:
    """NATS's own clients read what there is in each way that they know, and then the third window as it comes."""
    await asyncio.to_thread(compiled, "plain")  # the others wait for a window meanwhile
    first, last, new = (published(one) for one in SIX_WINDOWS[:3])
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(Recipe(command, folder, env)) for command in PLAIN]
        for one in running:
            await asyncio.to_thread(one.until, lambda one=one: "listening" in one.printed, "listening", COMPILE_S)
        await owner.store(WINDOWS, SIX_WINDOWS[2])
        for one in running:
            code, lines, words = await asyncio.to_thread(one.result)
            assert code == 0, words  # of TLS asyncio warns at the end of nats.py's connection
            assert lines == [f"pull {first}", f"ordered {first}", f"direct {last}", "listening", f"core {new}"]


@pytest.mark.long
async def test_at_three_servers_over_tls(cluster, tmp_path, folder):
    """None is missed while each server in turn is away; an ordered consumer lives on one of them."""

    @contextlib.asynccontextmanager
    async def away(server: RenderedNats) -> AsyncIterator[None]:
        server.kill()
        try:
            yield
        finally:
            server.start()
        await until(lambda: tls_cluster.current(bus), "three copies again", LATE_S)

    async with tls_cluster.service(cluster, tmp_path) as bus, asyncio.timeout(patient(2 * COMPILE_S)):
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await until(lambda: tls_cluster.current(bus), "three copies of each stream", LATE_S)
        await until(lambda: tls_cluster.made(bus), "the readers' streams", LATE_S)
        await told(folder, of_cluster(cluster, tmp_path), bus, *map(away, cluster.servers))


async def test_at_a_hub(pair, folder):
    """Each window of a site once, at the hub to which its server is connected."""
    site, hub = pair
    async with site.bus("aggregate") as bus:
        await make_streams(site, hub, bus)
        env = {"NATS_URL": hub.server.url, "NATS_NKEY": str(hub.folder / "subscriber.nk")}
        await told(folder, env, bus)
