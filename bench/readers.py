"""What a reader costs nats-server, and what a flood from some readers costs others.

`python -m bench.readers [READERS]...` starts a server with so many named readers (at least four), makes their mirrors,
publishes windows and waits for some of them in one reader's mirror; then three readers ask as fast as they can while
another asks one question after another.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil
from msgspec import structs
from nats.aio.client import Client
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.bus_cost import server_url, start_program
from operate.box.box import SERVER, nats_server
from operate.identities import Identities, nats_config
from proto.permissions import NAMED, READER
from proto.public import WindowV1
from proto.subjects import STREAMS, WINDOWS
from services.bus import Bus, Connection, NatsSettings
from services.bus.nkey import Seed
from services.kernel.log import LogSettings, configure

_WINDOWS, _ASKED, _FLOODERS = 300, 400, 3
_CONNECTIONS = 4
"""Connections of each flooding reader."""
_ASK = f"$JS.API.DIRECT.GET.{WINDOWS.stream}"
_SHA = "0" * 64


@dataclass(frozen=True)
class Found:
    """The measurements with one number of readers."""

    readers: int
    memory_mib: float
    disk_kib: float
    """A reader's share."""
    server_ms: float
    """The server's processor time for one window, in all copies."""
    store_ms: float
    late_ms: float
    """Until one reader's mirror has a window; p99."""
    quiet_ms: tuple[float, float]
    flooded_ms: tuple[float, float]
    """A question of another reader's, p50 and p99, alone and beside the flood."""
    flooded_store_ms: tuple[float, float]
    quiet_store_ms: tuple[float, float]


def window(number: int) -> WindowV1:
    """Return a window of usual size."""
    end = 1_795_537_200_000_000_000 + number * 1_200_000_000_000
    return WindowV1(
        site="bench", zone=f"z{number % 5}", profile="alerting", start=end - 1_200_000_000_000, end=end, persons=100,
        masked=70, unmasked=20, incorrect=5, unknown=5, rate=0.7368, interval=(0.6, 0.8), coverage=1.0,
        sampling_interval=(0.64, 0.81), cameras_ok=3, cameras_expected=3, model_sha256=_SHA, config_sha256=_SHA,
    )  # fmt: skip


async def measure(readers: int, folder: Path) -> Found:
    """Return the measurements with so many readers."""
    people = Identities.make(folder / "identities")
    seeds = {f"{NAMED}r{number}": Seed.new() for number in range(readers)}
    keys = people.public | {user: [seed.public] for user, seed in seeds.items()}
    async with server(folder, nats_config(-1, str(folder / "js"), keys)) as (url, process):
        bus = await Bus.connect(people.settings("aggregate", url), "aggregate")
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await bus.mirrors().turn()
        await asyncio.sleep(2)
        memory = process.memory_info().rss
        spent = sum(process.cpu_times()[:2])
        stored = [await _stored(bus, number) for number in range(_WINDOWS)]
        clients = [await reader(url, seed) for seed in [*seeds.values()][: _FLOODERS + 1]]
        late = [await _mirrored(bus, clients[-1], number) for number in range(_WINDOWS, _WINDOWS + 50)]
        took = sum(process.cpu_times()[:2]) - spent
        kept = [file for file in (folder / "js").rglob("*") if "SUBSCRIBERS_r" in str(file) and file.is_file()]
        disk = sum(file.stat().st_size for file in kept)
        quiet = [await _asked(clients[-1]) for _ in range(_ASKED)]
        quiet_store = [await _stored(bus, 1_000 + number) for number in range(200)]
        async with flood(url, [*seeds.values()][:_FLOODERS]):
            flooded = [await _asked(clients[-1]) for _ in range(_ASKED)]
            flooded_store = [await _stored(bus, 2_000 + number) for number in range(200)]
        for one in clients:
            await one.close()
        await bus.close()
    return Found(
        readers, memory / (1 << 20), disk / readers / 1024, 1e3 * took / (_WINDOWS + 50), median(stored), _p(late)[1],
        _p(quiet), _p(flooded), _p(flooded_store), _p(quiet_store),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def server(folder: Path, config: str) -> AsyncIterator[tuple[str, psutil.Process]]:
    """Run nats-server; yield its address and its process."""
    file = folder / "nats.conf"
    file.write_text(json.dumps(json.loads(config) | {"ports_file_dir": str(folder)}))
    program = await start_program(nats_server(), "-c", str(file), more=SERVER)
    try:
        yield await server_url(folder), psutil.Process(program.pid)
    finally:
        program.kill()
        await program.wait()


async def reader(url: str, seed: Seed) -> Client:
    """Return a reader's connection."""
    return (await Connection.open(NatsSettings(url=url, user=READER, seed=seed), "reader")).client


@contextlib.asynccontextmanager
async def flood(url: str, seeds: list[Seed]) -> AsyncIterator[None]:
    """Have these readers ask as fast as they can, each in a process that gives way to all others."""
    programs = [await start_program(sys.executable, "-P", "-m", "bench.readers", "ask", url, more={}) for _ in seeds]
    for program, seed in zip(programs, seeds, strict=True):
        assert program.stdin is not None
        assert program.stdout is not None
        psutil.Process(program.pid).nice(19)
        program.stdin.write(seed.reveal().encode() + b"\n")
        await program.stdout.readline()
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            await program.wait()


async def ask(url: str) -> None:
    """Ask as fast as the server answers, for ever; the seed comes on standard input, and a line says that it begins."""
    seed = Seed(sys.stdin.readline().strip())
    clients = [await reader(url, seed) for _ in range(_CONNECTIONS)]
    print(flush=True)
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.gather(*(one.request(_ASK, b'{"seq": 1}', timeout=5) for one in clients for _ in range(20)))


async def _stored(bus: Bus, number: int) -> float:
    before = time.perf_counter()
    await bus.store(WINDOWS, window(number))
    return 1e3 * (time.perf_counter() - before)


async def _asked(one: Client) -> float:
    before = time.perf_counter()
    await one.request(_ASK, b'{"seq": 1}', timeout=10)
    return 1e3 * (time.perf_counter() - before)


async def _mirrored(bus: Bus, one: Client, number: int) -> float:
    told = structs.replace(window(number), zone="late")
    before, sequence = time.perf_counter(), await bus.store(WINDOWS, told)
    while json.loads((await one.request(_ASK, json.dumps({"seq": sequence}).encode())).data or b"0") == 0:
        await asyncio.sleep(0.001)
    return 1e3 * (time.perf_counter() - before)


def _p(values: list[float]) -> tuple[float, float]:
    parts = quantiles(values, n=100)
    return parts[49], parts[98]


def table(found: list[Found]) -> Table:
    """Return the measurements as a table."""
    names = (
        "readers",
        "server's memory",
        "disk of each",
        "server's ms a window",
        "stored after",
        "mirrored after, p99",
    )
    more = ("asked alone, p50/p99", "beside 3 that flood", "stored alone, p50/p99", "beside 3 that flood")
    shown = Table(*names, *more, title="What readers cost nats-server")
    for one in found:
        pairs = (one.quiet_ms, one.flooded_ms, one.quiet_store_ms, one.flooded_store_ms)
        shown.add_row(
            str(one.readers), f"{one.memory_mib:.0f} MiB", f"{one.disk_kib:.0f} KiB", f"{one.server_ms:.2f}",
            f"{one.store_ms:.2f} ms", f"{one.late_ms:.1f} ms", *(f"{a:.2f}/{b:.2f} ms" for a, b in pairs),
        )  # fmt: skip
    return shown


def main(numbers: list[int]) -> None:
    """Measure each number of readers, and print the table."""
    configure("bench", LogSettings(level="error"))
    found = []
    for number in track(numbers, "readers"):
        with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
            found.append(asyncio.run(measure(number, Path(scratch))))
    Console(width=200).print(table(found))


if __name__ == "__main__" and sys.argv[1:2] == ["ask"]:
    asyncio.run(ask(sys.argv[2]))
elif __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [4, 10, 100])
