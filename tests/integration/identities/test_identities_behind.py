"""Copies that stand still, on real servers: what `moretta doctor` and `moretta nats streams` say of them."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from leaf_sites import HubPlace, Site
from mirrored import owner, publish
from msgspec import structs
from on_bus import connected
from patience import patient, until
from readers import ACME, KEYS, Readers

from operate.doctor import mirrors
from operate.nats import streams as nats_streams
from proto.permissions import READERS_API
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed
from services.bus.streams.stream_config import ask
from services.kernel.settings import SettingsError

OPERATIONS = Path(__file__).parents[3] / "docs/operations.md"
ACCOUNT = "MORETTA_SUBSCRIBERS_acme"
CROSSING = ("WINDOWS", "ALERTS", "CAMERAS", "DELIVERIES")
CROSS_S = 120
"""A hub tries again in its own time: up to about 45 s were seen."""
NOT_YET = (nats.js.errors.NotFoundError, nats.js.errors.ServiceUnavailableError, nats.errors.Error)


def reading(url: str, seed: Seed) -> contextlib.AbstractAsyncContextManager[Bus]:
    """A reader, as doctor comes with its key."""
    return connected(url, "subscriber", user="subscriber", seed=seed)


async def deafen(bus: Bus) -> None:
    """Have acme's mirror of WINDOWS wait where nothing comes."""
    client, api = bus.client, f"{READERS_API}{ACCOUNT}.STREAM"
    config = (await ask(client, f"{api}.INFO.WINDOWS"))["config"]
    deaf = config["mirror"] | {"external": {"api": "_ORIGIN", "deliver": "_MIRROR.nobody"}}
    await ask(client, f"{api}.DELETE.WINDOWS")
    await ask(client, f"{api}.CREATE.WINDOWS", config | {"mirror": deaf})


@pytest.mark.timeout(180)
async def test_a_mirror_that_stands_still_is_reported_to_its_reader_and_its_maker(server: Readers):
    """With what is to come; all others keep up. A stream that is not there is named."""
    await publish(server, "one")
    async with owner(server) as bus, reading(server.url, KEYS[ACME]) as acme:

        async def well() -> bool:
            found = [*await mirrors.own(acme), *await mirrors.of_all(bus)]
            return [(one.check, one.state) for one in found] == [("streams", "ok"), ("readers", "ok")]

        await until(well, "all keep up")
        await deafen(bus)
        await publish(server, "two")

        async def reported() -> bool:
            mine, [other] = await mirrors.own(acme), await mirrors.of_all(bus)
            found = [one.found for one in mine if (one.check, one.state) == ("stream WINDOWS", "fail")]
            assert (other.check, other.state) in {("readers", "ok"), (f"reader {ACCOUNT}", "fail")}, (
                "no other is behind"
            )
            return found == ["hears nothing of WINDOWS"] and found[0] in other.found

        await until(reported, "that it stands still", 60)
        await ask(bus.client, f"{READERS_API}{ACCOUNT}.STREAM.DELETE.WINDOWS")
        [one], [other] = await mirrors.own(acme), await mirrors.of_all(bus)
        assert "; not WINDOWS: not given, or not made" in one.found
        assert other.found == "lacks WINDOWS"


@pytest.fixture(name="crossing")
def _crossing(tmp_path: Path) -> Iterator[tuple[HubPlace, Site]]:
    """A hub and the site cannes, whose leaf may come."""
    hub = HubPlace(tmp_path)
    site = Site(tmp_path, "cannes", f"nats://127.0.0.1:{hub.leaf_port}")
    hub.join({"cannes": site.public})
    yield hub, site
    for place in (hub, site):
        place.server.stop()


async def test_what_a_hub_takes_from_a_reader_goes_with_shrink_alone(tmp_path: Path):
    """It is told before, and stays until then; what the reader is given comes at once. Nobody else's is touched.

    What a reader had that was removed goes without it.
    """
    hub = HubPlace(tmp_path)
    hub.kept.update(structs.replace(hub.kept.hub, readers={"acme": ["WINDOWS", "ALERTS"]}))
    hub.start()
    try:
        await hub.make()
        hub.kept.update(structs.replace(hub.kept.hub, readers={"acme": ["ALERTS", "CAMERAS"]}))
        before = len(hub.server.output)
        hub.reload()
        await until(lambda: any("Reloaded server" in line for line in hub.server.output[before:]), "a reload")
        gone = "  WINDOWS is this reader's no longer, with its consumers: "
        for how, outcome, wanted in (
            (nats_streams.How(plan=True), "--shrink removes it", {"WINDOWS", "ALERTS"}),
            (nats_streams.How(plan=True, shrink=True), "to be removed", {"WINDOWS", "ALERTS"}),
            (nats_streams.How(), "--shrink removes it", {"WINDOWS", "ALERTS", "CAMERAS"}),
            (nats_streams.How(shrink=True), "removed", {"ALERTS", "CAMERAS"}),
        ):
            lines = await nats_streams.make(hub.kept.folder, NatsSettings(url=hub.server.url), how)
            assert [line for line in lines if "no longer" in line] == [gone + outcome]
            assert await streams_of(hub, "subscriber-acme") == wanted
            assert await streams_of(hub, "subscriber") == {*CROSSING}
        copies = lambda: [*tmp_path.glob("**/MORETTA_SUBSCRIBERS_acme/streams/*/msgs")]  # noqa: E731
        assert len(copies()) == 2
        hub.kept.update(structs.replace(hub.kept.hub, readers={"acme": []}))
        hub.reload()
        lines: list[str] = []

        async def emptied() -> bool:
            lines[:] = await nats_streams.make(hub.kept.folder, NatsSettings(url=hub.server.url), nats_streams.How())
            return "streams in MORETTA_SUBSCRIBERS_acme: nothing" in lines

        # Between two lists of accounts the server answers that nobody is there.
        await until(emptied, "a reload with the rights of its account", ignoring=(SettingsError,))
        gone = "is this reader's no longer, with its consumers: removed"
        assert lines[-2:] == [f"  {name} {gone}" for name in ("ALERTS", "CAMERAS")]
        what = "the server removes the files of a stream a moment after the stream"
        await until(lambda: not copies(), what, ignoring=(FileNotFoundError,))
    finally:
        hub.server.stop()


async def streams_of(hub: HubPlace, user: str) -> set[str]:
    """The streams in a reader's account."""
    async with reading(hub.server.url, Seed((hub.kept.folder / f"{user}.nk").read_text())) as bus:
        return {*json.loads(await bus.ask("$JS.API.STREAM.NAMES", timeout=patient(5)))["streams"]}


async def behind(place: HubPlace | Site) -> list[str]:
    """What `moretta nats streams --plan` says of copies."""
    plan = nats_streams.How(plan=True)
    lines = await nats_streams.make(place.kept.folder, NatsSettings(url=place.server.url), plan)
    return [line.strip() for line in lines if " is behind: " in line]


async def hourly(hub: HubPlace) -> tuple[int, str]:
    """Exit code and output of the check of each hour, word for word as docs/operations.md has it, but for the port."""
    [line] = re.findall(r"`(told=\$\(moretta nats streams DIR --plan\).*?)`", OPERATIONS.read_text("utf-8"))
    (port := hub.kept.folder / "port.yaml").write_text(f"nats: {{url: '{hub.server.url}'}}\n")
    run = line.replace("DIR", f"{hub.kept.folder} -c {port}")
    around = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", run], capture_output=True, text=True, env=around, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(400)
@pytest.mark.first
async def test_what_is_wrong_is_reported_at_the_hub_each_hour(crossing: tuple[HubPlace, Site]):
    """Streams that wait for a site that is away, and a consumer beyond a reader's limits; readers see none of it."""
    hub, site = crossing
    for place in (hub, site):
        place.start()
    for place in (site, hub):
        await place.make()

    async def well() -> bool:
        return await behind(hub) == await behind(site) == []

    await until(well, "all keep up", CROSS_S, every_s=1, ignoring=NOT_YET)
    assert await hourly(hub) == (0, "")
    await asyncio.to_thread(site.server.stop)

    async def reported() -> bool:
        lines = await behind(hub)
        return all(f"INTAKE_{name} is behind: hears nothing of COPY_{name} (" in " ".join(lines) for name in CROSSING)

    await until(reported, "the site is away", CROSS_S, every_s=1)
    code, words = await hourly(hub)
    assert (code, words.count(" is behind: hears nothing of COPY_")) == (1, len(CROSSING))
    seed = Seed((hub.kept.folder / "subscriber.nk").read_text())
    async with reading(hub.server.url, seed) as reader:
        [one] = await mirrors.own(reader)
        assert (one.state, "; not RULES, OPERATIONS: not given" in one.found) == ("ok", True)
    site.start()
    await site.make()  # what was in memory
    await until(well, "all keep up again", CROSS_S, every_s=1)
    async with reading(hub.server.url, seed) as reader:
        endless = {"durable_name": "endless", "deliver_subject": "$SYS.REQ.USER.INFO", "ack_policy": "explicit"}
        body = {"stream_name": "WINDOWS", "config": endless}
        subject = "$JS.API.CONSUMER.DURABLE.CREATE.WINDOWS.endless"
        made = await reader.client.request(subject, json.dumps(body).encode(), timeout=patient(5))
        assert "error" not in json.loads(made.data)
    code, words = await hourly(hub)
    assert (code, words.count(": to be removed")) == (1, 1), words
    await hub.make()
    assert await hourly(hub) == (0, "")
    await asyncio.to_thread(hub.server.stop)
    code, words = await hourly(hub)
    assert code, f"a hub that does not answer is no hub that is well: {words}"
