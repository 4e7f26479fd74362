"""The chart's servers on volumes that are full and are made larger: what the probes say, and how they go on."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

import pytest
import tls_cluster
from authority import Authority
from chart import ROOT, container_named, pods, render, seed
from golden import BY_TYPE
from lacking import lacks
from msgspec import structs
from patience import patient, until
from rendered_nats import NAME, RenderedNats, conf
from small_disk import enlarge, fill, small_disk

from operate.backup.backup import backup
from proto.subjects import STREAMS, WINDOWS
from services.bus import Bus, NatsSettings

START, OFF = "/healthz", "/healthz?js-enabled-only=true"
SCRIPT = ROOT / "k8s/moretta/files/nats-reload.sh"
APPLETS = ("sh", "sleep", "find", "sha256sum", "sort", "nc", "grep", "df", "awk", "cat")
"""What the script runs, all of BusyBox, as in NATS's image."""
LIMIT_S = 60


def probes() -> tuple[str, str]:
    """Return what the kubelet asks for the server's readiness and life."""
    server = container_named(pods(render())["nats"], "nats")
    urls = [server[f"{one}Probe"]["exec"]["command"][-1] for one in ("readiness", "liveness")]
    ready, alive = (url.removeprefix("http://127.0.0.1:8222") for url in urls)
    return ready, alive


async def counted(bus: Bus) -> list[int]:
    async with asyncio.timeout(patient(LIMIT_S)):
        return [stored.message.persons for stored in await bus.history(WINDOWS)]


async def store(bus: Bus, persons: int) -> bool:
    """Store a window; whether the server took it."""
    try:
        async with asyncio.timeout(patient(3)):
            await bus.store(WINDOWS, structs.replace(BY_TYPE[WINDOWS.message], persons=persons))
    except TimeoutError:
        return False
    return True


@pytest.fixture(name="busybox")
def _busybox(tmp_path: Path) -> Path:
    """A folder with the programs that NATS's image has for the script."""
    found = shutil.which("busybox")
    if found is None:
        lacks("needs BusyBox: .ci/system-packages tests")
    (folder := tmp_path / "busybox").mkdir()
    for name in APPLETS:
        (folder / name).symlink_to(found)
    return folder


@contextlib.asynccontextmanager
async def watched(servers: Iterable[RenderedNats], busybox: Path) -> AsyncIterator[None]:
    """The chart's script beside each server."""
    with contextlib.ExitStack() as stack:
        for server in servers:
            words = [server.root / "nats.pid", "0.5", server.found["monitor"], server.root / "data", server.folder]
            command = [str(busybox / "sh"), str(SCRIPT), *map(str, words)]
            watching = stack.enter_context(
                subprocess.Popen(command, env={"PATH": str(busybox)}, start_new_session=True, stdout=subprocess.DEVNULL)
            )
            stack.callback(os.killpg, watching.pid, signal.SIGKILL)
        yield


@contextlib.asynccontextmanager
async def kubelet(servers: Sequence[RenderedNats]) -> AsyncIterator[list[str]]:
    """Starts each server again that has ended by itself; yields their pods, in that order."""
    restarted: list[str] = []

    async def keep() -> None:
        while True:
            for server in servers:
                if server.is_over:
                    server.stop()
                    server.start()
                    restarted.append(server.pod)
            await asyncio.sleep(0.2)

    keeping = asyncio.create_task(keep())
    try:
        yield restarted
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def complaints(server: RenderedNats) -> int:
    """How often somebody asked and heard that it is not well."""
    return sum("Healthcheck failed" in line for line in server.output)


@pytest.mark.timeout(300)
async def test_a_server_goes_on_by_itself_once_there_is_room(tmp_path: Path, busybox: Path):
    """Full, it stays ready and alive; nothing is restarted before 64 MiB are free; what was stored is there."""
    ready, alive = probes()
    (tmp_path / "data").mkdir()
    with small_disk(tmp_path / "data", "16m") as disk:
        server = RenderedNats(tmp_path, conf())
        server.start()
        bus = await Bus.connect(NatsSettings(url=server.url, user="aggregate", seed=seed("aggregate")), "aggregate")
        try:
            async with asyncio.timeout(patient(LIMIT_S)):
                await bus.ensure_streams(stream.name for stream in STREAMS)
            assert await store(bus, 1)
            fill(disk)

            async def is_full() -> bool:
                return not await store(bus, 2)

            await until(is_full, "nothing more is stored", LIMIT_S)
            assert any("no space left on device" in line for line in server.output)
            assert (server.healthy(START), server.healthy(ready), server.healthy(alive)) == (False, True, True)
            who = NatsSettings(url=server.url, user="backup", seed=seed("backup"))
            lines = await backup(who, tmp_path / "f", tmp_path / "taken", lambda *_: None)
            assert any(line.startswith("WINDOWS: ") for line in lines), "a backup only reads"
            async with watched([server], busybox), kubelet([server]) as restarted:
                enlarge(disk, "48m")
                asked = complaints(server)
                await until(lambda: complaints(server) > asked + 2, "the script has looked", LIMIT_S)
                assert not restarted, "there is less room than a start is worth"
                assert not await store(bus, 3), "there is room, and the stream is stuck"
                enlarge(disk, "96m")
                await until(lambda: restarted, "the script ends the server", LIMIT_S)
                await until(lambda: server.healthy(START), "its start-up probe passes", LIMIT_S)
                await until(lambda: store(bus, 4), "windows are stored again", LIMIT_S)
                seen = await counted(bus)
                assert (seen[0], seen[-1]) == (1, 4)
        finally:
            await bus.close()
            server.stop()


@pytest.mark.timeout(600)
async def test_three_servers_switch_jetstream_off_and_go_on_once_there_is_room(tmp_path: Path, busybox: Path):
    """Full, each stays ready and alive without JetStream: no start would help."""
    ready, alive = probes()
    with contextlib.ExitStack() as stack:
        folders = [tmp_path / f"{NAME}-cluster-{index}" / "data" for index in range(3)]
        for folder in folders:
            folder.mkdir(parents=True)
        disks = [stack.enter_context(small_disk(folder, "32m")) for folder in folders]
        cluster = stack.enter_context(tls_cluster.started(tmp_path, Authority()))
        async with tls_cluster.service(cluster, tmp_path) as bus:
            async with asyncio.timeout(patient(LIMIT_S)):
                await bus.ensure_streams(stream.name for stream in STREAMS)
            await until(lambda: tls_cluster.current(bus), "three copies of each stream", LIMIT_S)
            assert await store(bus, 1)
            for disk in disks:
                fill(disk)

            async def is_full() -> bool:
                return not await store(bus, 2)

            await until(is_full, "nothing more is stored", LIMIT_S)

            def off() -> list[RenderedNats]:
                return [server for server in cluster.servers if not server.healthy(OFF)]

            await until(lambda: len(off()) > 1, lambda: f"of three {len(off())} have no JetStream", LIMIT_S)
            for server in off():
                assert (server.healthy(START), server.healthy(ready), server.healthy(alive)) == (False, True, True)
            async with watched(cluster.servers, busybox), kubelet(cluster.servers) as restarted:
                for disk in disks:
                    enlarge(disk, "112m")
                await until(lambda: store(bus, 3), "windows are stored again", LIMIT_S)
                assert len(restarted) > 1
                seen = await counted(bus)
                assert (seen[0], seen[-1]) == (1, 3)
