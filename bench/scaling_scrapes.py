"""What a Prometheus would read while `bench.scaling` runs: counters of ingest and inference, processor time."""

import asyncio
import time
from dataclasses import dataclass, field

import psutil

from bench.histogram import Samples, read
from bench.scale_stack import Stack
from bench.system import machine_s

FRAMES = "moretta_ingest_frames_total"
NAMES = (
    FRAMES,
    "moretta_ingest_workers",
    "moretta_inference_frames_total",
    "moretta_inference_sightings_lost_total",
    "moretta_aggregate_lag_seconds",
    "moretta_aggregate_dropped_messages_total",
)
BENCH = "bench"
"""What this process itself is called."""
Frames = dict[tuple[str, str], float]
"""Pictures by camera and outcome."""


@dataclass(frozen=True)
class Scrape:
    """All processes at one moment (unix s)."""

    at: float
    cpu_s: dict[str, float]
    """Processor time of each process so far, this one included."""
    rss: dict[str, int]
    """Memory of each process, bytes."""
    machine_s: float
    """Processor time of all work on the machine so far."""
    frames: dict[str, Frames] = field(default_factory=dict)
    """Of each process of ingest."""
    others: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of each process the other metrics, by name and, where it has them, outcome or reason."""


async def scrape(running: Stack) -> Scrape:
    """Read the metrics of all services that answer; one that ends or starts now has none."""
    names = [name for name in running.programs if name != "nats-server"]
    pages = await asyncio.gather(*(_page(running, name) for name in names))
    found = {name: page for name, page in zip(names, pages, strict=True) if page is not None}
    cpu, rss = _spent(running)
    frames = {name: _frames(page) for name, page in found.items() if name.startswith("ingest")}
    return Scrape(time.time(), cpu, rss, machine_s(), frames, {name: _others(page) for name, page in found.items()})


async def _page(running: Stack, name: str) -> Samples | None:
    try:
        return read(wanted(await running.page(name)))
    except OSError:
        return None


def wanted(text: str) -> str:
    """Return the lines of a /metrics page that are looked at; to parse all of them takes a core."""
    return "".join(line for line in text.splitlines(keepends=True) if line.startswith(NAMES))


def _spent(running: Stack) -> tuple[dict[str, float], dict[str, int]]:
    cpu, rss = {}, {}
    pids = {name: process.pid for name, process in running.programs.items()} | {BENCH: None}
    for name, pid in pids.items():
        try:
            one = psutil.Process(pid)
            times = one.cpu_times()
            cpu[name], rss[name] = times.user + times.system, one.memory_info().rss
        except psutil.Error:  # it has just ended
            continue
    return cpu, rss


def _frames(page: Samples) -> Frames:
    found = {}
    for (name, labels), value in page.values.items():
        if name == FRAMES:
            of = dict(labels)
            found[of["camera"], of["outcome"]] = value
    return found


def _others(page: Samples) -> dict[str, float]:
    found: dict[str, float] = {}
    for (name, labels), value in page.values.items():
        of = dict(labels)
        key = f"{name} {of.get('outcome') or of.get('reason') or ''}".strip()
        if name != FRAMES:
            found[key] = found.get(key, 0.0) + value
    return found
