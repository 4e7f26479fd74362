"""Starts the planter, a separate process that plants rows in every kind of place, and keeps it running."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from operate.box.child import Child, Program
from testbed.proof.planter import READY
from testbed.proof.story import StoryError
from testbed.proof.taps import PLANTER

_TIMEOUT_S = 60.0
_NOISE = 20_480


@dataclass(frozen=True)
class PlantingPlaces:
    """The places to plant in. `under` returns the command that traces the planter; `line` gets the planter's lines."""

    scratch: Path
    box: Path
    smtp_port: int
    sms: str
    under: Callable[[str], list[str]]
    line: Callable[[str, str], None]


@asynccontextmanager
async def planted(name: str, rows: Mapping[str, bytes], image: bytes, ground: PlantingPlaces) -> AsyncIterator[str]:
    """Plant a row in each place and the image in a file while the block runs; yield the URL of the metrics page."""
    listener = await asyncio.start_server(_swallow, "127.0.0.1", 0)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def line(text: str) -> None:
        ground.line(name, text)
        if text.startswith(READY) and not ready.done():
            ready.set_result(text.rsplit(maxsplit=1)[-1])

    file = _write(name, _plan(name, rows, image, ground) | {"listener": listener.sockets[0].getsockname()[1]}, ground)
    command = [*ground.under(name), sys.executable, "-P", "-m", "testbed.proof.planter", str(file)]
    child = Child(Program(name, lambda: command, dict(os.environ), _always, line))

    def ended(text: str) -> None:
        if not ready.done():
            ready.set_exception(StoryError(f"{text}; it said: " + " ".join(child.last_words)))

    running = asyncio.create_task(child.run(ended))
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            port = await ready
        yield f"http://127.0.0.1:{port}/metrics"
    except TimeoutError:
        raise StoryError(f"{name} planted nothing in {_TIMEOUT_S:g} s") from None
    finally:
        await child.stop()
        await running
        listener.close()


def _plan(name: str, rows: Mapping[str, bytes], image: bytes, ground: PlantingPlaces) -> dict[str, Any]:
    elsewhere = ground.scratch / f"{name}-elsewhere"
    elsewhere.mkdir()
    return {
        "rows": {place: row.hex() for place, row in rows.items()},
        "file": str(ground.box / f"{name}.bin"),
        "elsewhere": str(elsewhere / f"{name}.bin"),
        "image": {"file": str(ground.box / f"{name}.png"), "data": image.hex()},
        "cores": str(elsewhere),
        "smtp_port": ground.smtp_port,
        "sms": ground.sms,
        "sender": PLANTER,
    }


def _write(name: str, plan: dict[str, Any], ground: PlantingPlaces) -> Path:
    file = ground.scratch / f"{name}.json"
    file.write_text(json.dumps(plan))
    return file


def canary_image() -> bytes:
    """Return a small PNG that no camera shows, with noise behind it."""
    data = io.BytesIO()
    Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3)).save(data, "PNG")
    return data.getvalue() + os.urandom(_NOISE)


async def _always() -> bool:
    return True


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()
