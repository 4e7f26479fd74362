"""The demo's three films, made side by side."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from operate.simulation.demo.clips import FPS, film
from operate.simulation.demo.scene import BOTH_WAYS, INWARDS, OUTWARDS, Walker, length_s, plan

CAMERAS = {"gate-in": ("gate", INWARDS), "gate-out": ("gate", OUTWARDS), "hall": ("hall", BOTH_WAYS)}
"""The simulated cameras: each one's zone, and which way people walk there."""
SEED = 20_261_124


def plans(seed: int) -> dict[str, list[Walker]]:
    """Return who walks past each camera; the same for the same seed."""
    return {name: plan(seed + index, rows) for index, (name, (_, rows)) in enumerate(CAMERAS.items())}


async def make(folder: Path, walkers: dict[str, list[Walker]], seed: int, console: Console) -> dict[str, Path]:
    """Make each camera's film below `folder`: encoding and drawing leave Python's lock free for long stretches."""
    films = {name: folder / f"{name}.mp4" for name in walkers}
    pictures = sum(round(length_s(there) * FPS) for there in walkers.values())
    with _bar(console) as bar:
        task = bar.add_task("making three films", total=pictures)
        making = [
            asyncio.to_thread(film, films[name], there, seed + index, lambda done: bar.advance(task, done))
            for index, (name, there) in enumerate(walkers.items())
        ]
        await asyncio.gather(*making)
    console.print(f"made three films of {pictures / FPS / 3:.0f} s with people that never were")
    return films


def _bar(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True)
