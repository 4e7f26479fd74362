"""Streams made and migrated on a real server: twice, from an earlier version, after an operator, on a cluster."""

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from nats_cluster import NatsCluster
from nats_process import NatsProcess
from on_bus import connected
from patience import patient, until
from previous_version import TODAY, Version, previous
from site_process import Site

from operate.identities import IdentityFolder, limits
from operate.identities.kept import ServerEntry
from operate.nats.streams import How, _copied, make
from proto.public import WindowV1
from proto.subjects import STREAMS, WINDOWS, stream
from services.bus import Bus, NatsSettings, StreamConflict
from services.bus.nkey import Seed
from services.bus.stream_sizes import sized
from services.bus.streams.stream_config import config_of, ensure
from services.kernel.settings import SettingsError

NAMES = [one.name for one in STREAMS]
_ENSURE = """
import asyncio
from proto.subjects import STREAMS
from services.bus import Bus, NatsSettings
async def main():
    bus = await Bus.connect(NatsSettings(url=sys.argv[1]), "aggregate")
    await bus.ensure_streams(s.name for s in STREAMS)
    await bus.close()
asyncio.run(main())
"""


async def configs(bus: Bus) -> dict[str, dict[str, Any]]:
    """Every stream's configuration, as nats-py reads it."""
    found = [await bus.streams.js.stream_info(name) for name in NAMES]
    return {str(info.config.name): info.config.as_dict() for info in found}


def client_of(bus: Bus) -> Client:
    return bus.client


async def change(bus: Bus, name: str, **fields: Any) -> None:
    """Change a stream by hand, as an operator with an administrator's rights does."""
    config = (await bus.streams.js.stream_info(name)).config
    await bus.streams.js.update_stream(config.evolve(**fields))


async def planned(bus: Bus) -> list[str]:
    """What would be done to any stream."""
    made = [await ensure(client_of(bus), config_of(s, 1), plan=True) for s in STREAMS]
    return [str(one) for each in made for one in each.found]


async def test_a_second_time_nothing_is_done(nats_server: NatsProcess, monkeypatch: pytest.MonkeyPatch):
    """Made once, asked for again by the same and by another: no stream is made or changed."""
    async with connected(nats_server.url, "aggregate") as bus:
        await bus.ensure_streams(NAMES)
        before, asked, real = await configs(bus), [], Client.request

        async def request(self: Client, subject: str, *arguments: Any, **more: Any) -> Any:
            asked.append(subject)
            return await real(self, subject, *arguments, **more)

        monkeypatch.setattr(Client, "request", request)
        await bus.ensure_streams(NAMES)
        async with connected(nats_server.url, "aggregate") as other:
            await other.ensure_streams(NAMES)
        assert {subject.split(".")[3] for subject in asked} == {"INFO"}
        assert (await configs(bus), await planned(bus)) == (before, [])


@pytest.mark.long
async def test_passages_that_are_too_old_are_given_to_nobody_and_leave_the_disk_with_their_block(
    nats_server: NatsProcess,
):
    """As docs/privacy.md says: their bytes stay while a younger one lies in the same block, and then the file goes."""
    old = b"a passage of which the file has bytes"

    def on_disk() -> bool:
        found = False
        for path in list(nats_server.folder.rglob("*.blk")):
            with contextlib.suppress(FileNotFoundError):  # the server removes it meanwhile
                found = found or old in path.read_bytes()
        return found

    async with connected(nats_server.url, "aggregate") as bus:
        await bus.ensure_streams(["PASSAGES"])
        await change(bus, "PASSAGES", max_age=patient(3.0), duplicate_window=patient(3.0))
        stored = await bus.streams.js.publish("moretta.v1.passages.market", old)

        async def is_given() -> bool:
            try:
                return bool(await bus.streams.js.get_msg("PASSAGES", stored.seq))
            except NotFoundError:
                return False

        assert await is_given()

        async def only_on_disk() -> bool:
            await bus.streams.js.publish("moretta.v1.passages.market", b"a younger one")
            return not await is_given()

        await until(only_on_disk, "that nobody is given it")
        assert on_disk()
        await until(lambda: not on_disk(), "that its block is gone")


@pytest.mark.long
async def test_an_earlier_version_and_this_one_do_not_fight(nats_server: NatsProcess):
    """The real earlier version makes the streams; both come again in turn, as in a rolling upgrade: nothing changes."""
    old: Version = await asyncio.to_thread(previous)
    async with connected(nats_server.url, "aggregate") as bus:
        seen = []
        for version in (old, TODAY, old, TODAY, old):
            await asyncio.to_thread(version.tell, _ENSURE, nats_server.url)
            seen.append(await configs(bus))
            if len(seen) == 1:
                await bus.store(WINDOWS, WindowV1(site="s", zone="_site", profile="lab", start=0, end=1))
        assert all(one == seen[1] for one in seen[1:])
        assert await planned(bus) == []
        assert len(await bus.history(WINDOWS)) == 1


async def test_what_an_operator_keeps_stays_and_what_is_too_little_grows(nats_server: NatsProcess):
    """More time, bytes, subjects, and what only the operator knows of: kept. Less than the table has: brought up."""
    async with connected(nats_server.url, "aggregate") as bus:
        await bus.ensure_streams(NAMES)
        made = await configs(bus)
        await change(bus, "WINDOWS", max_age=4000 * 86_400, max_bytes=512 << 20, metadata={"owner": "sre"})
        await change(bus, "ALERTS", max_age=3_600, subjects=["moretta.v1.alerts.*.*.*", "theirs.>"])
        await change(bus, "RULES", max_bytes=1 << 20, compression="s2")
        assert len(await planned(bus)) == 5
        await bus.ensure_streams(NAMES)
        now = await configs(bus)
        kept = {"max_age": 4000 * 86_400 * 10**9, "max_bytes": 512 << 20}
        assert now["WINDOWS"] == made["WINDOWS"] | kept | {"metadata": now["WINDOWS"]["metadata"]}
        assert now["WINDOWS"]["metadata"]["owner"] == "sre"
        assert now["ALERTS"]["subjects"] == ["moretta.v1.alerts.*.*.*", "theirs.>"]
        assert now["ALERTS"]["max_age"] == made["ALERTS"]["max_age"]
        assert (now["RULES"]["max_bytes"], now["RULES"]["compression"]) == (made["RULES"]["max_bytes"], "s2")
        assert {line.split(":")[0] for line in await planned(bus)} == {"WINDOWS", "ALERTS"}


async def test_a_pattern_may_become_wider_and_who_knows_the_narrow_one_still_starts(nats_server: NatsProcess):
    """A newer version, or an operator, has one subject for many: back with the earlier version all is well."""
    wide = config_of(stream("WINDOWS"), 1) | {"subjects": ["moretta.v1.windows.>"]}
    async with connected(nats_server.url, "aggregate") as bus:
        await bus.ensure_streams(["WINDOWS"])
        await ensure(client_of(bus), wide)
        await bus.ensure_streams(["WINDOWS"])
        assert (await bus.streams.js.stream_info("WINDOWS")).config.subjects == wide["subjects"]
        await ensure(client_of(bus), config_of(stream("WINDOWS"), 1), shrink=True)
        assert await planned(bus) == []


async def test_a_stream_that_no_update_mends_is_refused(tmp_path: Path):
    """Sightings on a disk: aggregate says in a line what is wrong and ends with exit code 2; the stream stays."""
    site = Site(tmp_path)
    site.makes_streams = False
    site.server.start()
    try:
        async with site.bus("aggregate") as bus:
            wrong = config_of(stream("SIGHTINGS"), 1) | {"storage": "file"}
            await ensure(client_of(bus), wrong)
            with pytest.raises(StreamConflict, match=r"stream SIGHTINGS: storage is file, must be memory"):
                await bus.ensure_streams(["SIGHTINGS"])
            site.write({"sites": [{"id": "market"}]})
            service = site.start("aggregate")
            assert await asyncio.to_thread(service.ended) == 2
            (line,) = service.said("cannot start")
            assert line["error"].startswith("stream SIGHTINGS: storage is file, must be memory: no update changes that")
            assert (await bus.streams.js.stream_info("SIGHTINGS")).config.storage == "file"
    finally:
        await asyncio.to_thread(site.close)


async def test_copies_that_the_server_can_not_make_are_told_in_a_line(tmp_path: Path):
    """nats.replicas 3 at a single server: no traceback, and exit code 2."""
    site = Site(tmp_path)
    site.makes_streams = False
    site.server.start()
    try:
        site.write({"nats": {"replicas": 3}, "sites": [{"id": "market"}]})
        service = site.start("aggregate")
        assert await asyncio.to_thread(service.ended) == 2
        (line,) = service.said("cannot start")
        assert "replicas > 1 not supported in non-clustered mode" in line["error"]
    finally:
        await asyncio.to_thread(site.close)


async def test_from_one_copy_to_three(tmp_path: Path):
    """nats.replicas 3 on a cluster that had 1: what is stored stays, and who still says 1 takes no copy away."""
    cluster = NatsCluster(tmp_path).start()
    try:
        async with connected(cluster.url, "aggregate") as bus, connected(cluster.url, "aggregate", replicas=3) as other:
            async with asyncio.timeout(patient(60)):
                await bus.ensure_streams(["WINDOWS", "KV_LEASES_NOTIFY"])
                await bus.store(WINDOWS, WindowV1(site="s", zone="_site", profile="lab", start=0, end=1))
                await other.ensure_streams(["WINDOWS", "KV_LEASES_NOTIFY"])
                await bus.ensure_streams(["WINDOWS", "KV_LEASES_NOTIFY"])
                for name in ("WINDOWS", "KV_LEASES_NOTIFY"):
                    assert (await bus.streams.js.stream_info(name)).config.num_replicas == 3
                assert len(await bus.history(WINDOWS)) == 1
                # Whoever shrinks, and says nothing of copies, takes none away.
                said = _copied(config_of(stream("WINDOWS"), 1), None)
                assert (await ensure(client_of(bus), said, shrink=True)).found == ()
                assert (await bus.streams.js.stream_info("WINDOWS")).config.num_replicas == 3
    finally:
        await asyncio.to_thread(cluster.stop)


async def test_a_plan_is_told_and_nothing_done_and_only_shrink_takes_away(tmp_path: Path):
    """`moretta nats streams` on a site's folder: --plan, then for good, then --shrink."""
    kept = IdentityFolder.make(
        tmp_path / "keys", ServerEntry(listen="127.0.0.1:-1", store="js", url="nats://127.0.0.1:4222")
    )
    server = NatsProcess(tmp_path, whole=lambda port, store: json.dumps(_moved(kept, port, store))).start()
    where = NatsSettings(url=server.url)
    mine = structs.replace(where, user="aggregate", seed=Seed((kept.folder / "aggregate.nk").read_text()))

    async def told(**how: Any) -> list[str]:
        return [line.strip() for line in await make(kept.folder, where, How(**how))]

    try:
        assert (await told(plan=True))[0].count(" to be made") == len(NAMES)
        assert (await told())[0].count(" made") == len(NAMES)
        bus = await Bus.connect(mine, "aggregate")
        changed = {"max_bytes": 300 << 20, "max_age": 3_600 * 10**9}
        await ensure(client_of(bus), config_of(stream("WINDOWS"), 1) | changed, shrink=True)
        await bus.close()
        short = "WINDOWS: max_age is 3600 s, becomes 400 days"
        large = "WINDOWS: max_bytes is 300 MiB, 256 MiB is enough here: kept, --shrink takes it away"
        assert (await told(plan=True))[1:] == [short, large]
        assert (await told())[1:] == [short, large]
        assert (await told(plan=True))[1:] == [large]
        assert (await told(shrink=True))[1:] == ["WINDOWS: max_bytes is 300 MiB, becomes 256 MiB, no more"]
        assert (await told(plan=True))[1:] == []
    finally:
        await asyncio.to_thread(server.stop)


async def test_a_folders_sizes_are_the_servers_and_the_streams(tmp_path: Path):
    """Given while all runs: a reload has room for them, the streams grow, and only --shrink makes one small again."""
    kept = IdentityFolder.make(
        tmp_path / "keys", ServerEntry(listen="127.0.0.1:-1", store="js", url="nats://127.0.0.1:4222")
    )
    server = NatsProcess(tmp_path, whole=lambda port, store: json.dumps(_moved(kept, port, store))).start()
    where = NatsSettings(url=server.url)

    async def told(**how: Any) -> list[str]:
        return [line.strip() for line in await make(kept.folder, where, How(**how))][1:]

    def sized(**sizes: int) -> None:
        kept.update(structs.replace(kept.server, streams=sizes))
        (server.folder / "nats.conf").write_text(json.dumps(_moved(kept, server.port, f"{server.folder}/js")))

    try:
        await told()
        sized(WINDOWS=1 << 30, SIGHTINGS=512 << 20)
        with pytest.raises(SettingsError, match=r"insufficient (storage|memory) resources available"):
            await told()
        await _reloaded(server)
        grown = ["SIGHTINGS: max_bytes is 256 MiB, becomes 512 MiB", "WINDOWS: max_bytes is 256 MiB, becomes 1024 MiB"]
        assert await told() == grown
        sized(SIGHTINGS=512 << 20)
        large = "WINDOWS: max_bytes is 1024 MiB, 256 MiB is enough here: kept, --shrink takes it away"
        assert await told() == await told(plan=True) == [large]
        assert await told(shrink=True) == ["WINDOWS: max_bytes is 1024 MiB, becomes 256 MiB, no more"]
        assert await told(plan=True) == []
        server.stop()
        server.start()
        assert await told(plan=True) == []
    finally:
        await asyncio.to_thread(server.stop)


async def _reloaded(server: NatsProcess) -> None:
    server.signal(signal.SIGHUP)
    await until(lambda: any("Reloaded server configuration" in line for line in server.output), "it has reloaded")


async def test_aggregate_makes_streams_as_large_as_its_settings_say(tmp_path: Path):
    """It grows one on the disk, which stays so without the setting; one in memory is made again by who has it."""
    site = Site(tmp_path, extend=_roomy)
    site.makes_streams = False
    site.server.start()

    async def started(streams: dict[str, str]) -> dict[str, int]:
        site.write({"nats": {"streams": streams}, "sites": [{"id": "market"}]})
        service = site.start("aggregate")
        await until(lambda: service.running)
        async with site.bus("aggregate") as bus:
            asked = [await bus.streams.js.stream_info(name) for name in ("WINDOWS", "SIGHTINGS", "ALERTS")]
        assert await asyncio.to_thread(service.stop) == 0
        return {str(info.config.name): (info.config.max_bytes or 0) >> 20 for info in asked}

    try:
        assert await started({}) == {"WINDOWS": 256, "SIGHTINGS": 256, "ALERTS": 64}
        large = {"WINDOWS": 512, "SIGHTINGS": 384, "ALERTS": 64}
        assert await started({"WINDOWS": "512MiB", "SIGHTINGS": "384Mi"}) == large
        assert await started({}) == large
        site.server.stop()
        site.server.start()
        assert await started({}) == large | {"SIGHTINGS": 256}
        assert await started({"SIGHTINGS": "384Mi"}) == large
    finally:
        await asyncio.to_thread(site.close)


def _roomy(text: str) -> str:
    config = json.loads(text)
    config["jetstream"] |= limits({"WINDOWS": 1 << 30, "SIGHTINGS": 1 << 30})
    return json.dumps(config)


async def test_a_size_that_the_server_has_no_room_for_is_told_in_a_line(tmp_path: Path):
    """What the limits would have to be, and which command has them; exit code 2."""
    site = Site(tmp_path)
    site.makes_streams = False
    site.server.start()
    try:
        site.write({"nats": {"streams": {"WINDOWS": "2GiB"}}, "sites": [{"id": "market"}]})
        service = site.start("aggregate")
        assert await asyncio.to_thread(service.ended) == 2
        (line,) = service.said("cannot start")
        needed = sum(one.max_bytes for one in sized({"WINDOWS": 2 << 30}) if one.storage == "file")
        assert f"need max_file_store {needed >> 20} MB" in line["error"]
        assert "`moretta nats apply` with `streams` in its file has the limits that go with sizes" in line["error"]
    finally:
        await asyncio.to_thread(site.close)


def _moved(kept: IdentityFolder, port: int, store: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((kept.folder / "nats.conf").read_text())
    config["jetstream"]["store_dir"] = store
    return config | {"listen": f"127.0.0.1:{port}"}
