"""What readers cost nats-server, and what a flood from some of them costs others.

`python -m bench.readers [READERS]...` starts a server in which so many accounts have mirrors (0 for none), `subscriber`
among them, publishes windows and waits for some of them in `subscriber`'s mirror; then up to three of the others ask
as fast as they can while `subscriber` asks one question after another, in turns with quiet.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

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

_WINDOWS, _ASKED, _PUBLISHED, _FLOODERS = 300, 500, 100, 3
_ROUNDS = 4
"""Quiet and flood take turns so often; each has `_ASKED` questions and `_PUBLISHED` windows a round."""
_IDLE_S = 5
_CONNECTIONS = 4
"""Connections of each flooding reader."""
_ASK = f"$JS.API.DIRECT.GET.{WINDOWS.stream}"
_SHA = "0" * 64
_MIB = 1 << 20
Times = tuple[float, float]
"""p50 and p99 in milliseconds."""


@dataclass(frozen=True)
class Beside:
    """A question of another reader's, and a window of aggregate's, alone and beside the flood."""

    asked: Times
    asked_flooded: Times
    stored: Times
    stored_flooded: Times


@dataclass(frozen=True)
class Found:
    """The measurements with one number of readers."""

    readers: int
    memory_mib: float
    memory_end_mib: float
    """The server's memory before the first window, and after the last one."""
    disk_kib: float
    """A reader's share; 0 without readers."""
    idle_ms: float
    """The server's processor time for one second in which nothing is published."""
    server_ms: float
    """The server's processor time for one window, in all copies."""
    stored: Times
    mirrored: Times | None
    """Until one reader's mirror has a window."""
    beside: Beside | None
    """None without anybody who could flood."""


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
    seeds = {f"{NAMED}r{number}": Seed.new() for number in range(max(0, readers - 1))}
    keys = people.public | {user: [seed.public] for user, seed in seeds.items()}
    async with server(folder, nats_config(-1, str(folder / "js"), keys)) as (url, process):
        bus = await Bus.connect(people.settings("aggregate", url), "aggregate")
        try:
            await bus.ensure_streams(stream.name for stream in STREAMS)
            if readers:
                await bus.mirrors().turn()
            await asyncio.sleep(2)  # the mirrors find their originals
            return await _measured(readers, bus, (url, process, folder), [people.seeds[READER], *seeds.values()])
        finally:
            await bus.close()


async def _measured(readers: int, bus: Bus, there: tuple[str, psutil.Process, Path], seeds: list[Seed]) -> Found:
    """Return the measurements at a server: its address, its process and its folder."""
    url, process, folder = there
    before = sum(process.cpu_times()[:2])
    await asyncio.sleep(_IDLE_S)
    memory, spent = process.memory_info().rss, sum(process.cpu_times()[:2])
    stored = [await _stored(bus, number) for number in range(_WINDOWS)]
    await asyncio.sleep(1)  # the mirrors, too
    took, end = sum(process.cpu_times()[:2]) - spent, process.memory_info().rss
    kept = [file for file in (folder / "js").rglob("*") if "SUBSCRIBERS" in str(file) and file.is_file()]
    disk = sum(file.stat().st_size for file in kept)
    one = await reader(url, seeds[0])
    try:
        late = [await _mirrored(bus, one, number) for number in range(_WINDOWS, _WINDOWS + 50)] if readers else []
        beside = await _beside(bus, one, url, seeds[1 : 1 + _FLOODERS]) if readers > 1 else None
    finally:
        await one.close()
    return Found(
        readers, memory / _MIB, end / _MIB, disk / max(1, readers) / 1024, 1e3 * (spent - before) / _IDLE_S,
        1e3 * took / _WINDOWS, _p(stored), _p(late) if late else None, beside,
    )  # fmt: skip


async def _beside(bus: Bus, one: Client, url: str, seeds: list[Seed]) -> Beside:
    """Return what another reader and aggregate wait for, alone and beside the flood of these readers, in turns."""
    found: dict[bool, tuple[list[float], list[float]]] = {False: ([], []), True: ([], [])}
    for number in range(2 * _ROUNDS):
        is_flooded = bool(number % 2)
        asked, stored = found[is_flooded]
        async with flood(url, seeds) if is_flooded else contextlib.nullcontext():
            asked += [await _asked(one) for _ in range(_ASKED)]
            stored += [await _stored(bus, 1_000 * (number + 1) + each) for each in range(_PUBLISHED)]
    return Beside(_p(found[False][0]), _p(found[True][0]), _p(found[False][1]), _p(found[True][1]))


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


def _p(values: list[float]) -> Times:
    parts = quantiles(values, n=100)
    return parts[49], parts[98]


def tables(found: list[Found]) -> Iterator[Table]:
    """Return the measurements as tables: what readers cost, and what a flood costs others."""
    names = (
        "readers",
        "server's memory",
        "at the end",
        "disk of each",
        "server's ms a second, idle",
        "and a window",
        "stored",
        "mirrored",
    )
    costs = Table(*names, title="What readers cost nats-server; times are p50/p99")
    for one in found:
        costs.add_row(
            str(one.readers), f"{one.memory_mib:.0f} MiB", f"{one.memory_end_mib:.0f} MiB", f"{one.disk_kib:.0f} KiB",
            f"{one.idle_ms:.1f}", f"{one.server_ms:.2f}", _said(one.stored),
            _said(one.mirrored) if one.mirrored else "-",
        )  # fmt: skip
    pairs_of = ("readers", "asked alone", "beside the flood", "times", "stored alone", "beside the flood", "times")
    others = Table(*pairs_of, title=f"What a flood of {_FLOODERS} readers costs others; p50/p99, in turns")
    for one in found:
        if (seen := one.beside) is not None:
            pairs = ((seen.asked, seen.asked_flooded), (seen.stored, seen.stored_flooded))
            cells = [text for quiet, loud in pairs for text in (_said(quiet), _said(loud), _ratio(quiet, loud))]
            others.add_row(str(one.readers), *cells)
    yield from (costs, others)


def _said(times: Times) -> str:
    return f"{times[0]:.2f}/{times[1]:.2f} ms"


def _ratio(quiet: Times, loud: Times) -> str:
    return f"{loud[0] / quiet[0]:.2f}/{loud[1] / quiet[1]:.2f}"


def main(numbers: list[int]) -> None:
    """Measure each number of readers, and print the tables."""
    configure("bench", LogSettings(level="error"))
    found = []
    for number in track(numbers, "readers"):
        with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
            found.append(asyncio.run(measure(number, Path(scratch))))
    for one in tables(found):
        Console(width=200).print(one)


if __name__ == "__main__" and sys.argv[1:2] == ["ask"]:
    asyncio.run(ask(sys.argv[2]))
elif __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [0, 1, 4, 10])
