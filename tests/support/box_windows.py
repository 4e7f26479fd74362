"""What readers of a box get from its first window on, and whether a power cut took any of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import nats.errors
import nats.js.errors
import yaml
from patience import patient, until

from proto.public import WindowV1
from proto.subjects import WINDOWS
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed

NOT_YET = (TimeoutError, OSError, nats.errors.Error, nats.js.errors.Error)
"""What a box says that is just starting."""


async def windows_of(data: Path) -> list[WindowV1]:
    """What was published by the box that keeps its numbers in a folder. A box in a container calls it otherwise."""
    identities = data / "identities"
    given = yaml.safe_load((identities / "subscriber.yaml").read_text())["nats"]
    settings = NatsSettings(url=given["url"], user=given["user"], seed=Seed((identities / "subscriber.nk").read_text()))
    async with asyncio.timeout(patient(5)):  # a client waits for a server that is gone, by the key of before
        bus = await Bus.connect(settings, "subscriber")
        try:
            return [stored.message for stored in await bus.history(WINDOWS)]
        finally:
            await bus.close()


async def more_windows(data: Path, known: Sequence[WindowV1], count: int = 3) -> list[WindowV1]:
    """Wait for so many windows beyond those that are known; returns all."""

    async def more() -> list[WindowV1] | None:
        found = await windows_of(data)
        return found if len(found) >= len(known) + count else None

    return await until(more, f"{count} windows more", 90, ignoring=NOT_YET)


async def assert_it_counts_on(data: Path, before: Sequence[WindowV1]) -> None:
    """People are counted again; what was published before is there as it was, and no window is there twice."""

    async def goes_on() -> list[WindowV1] | None:
        found = await windows_of(data)
        return found if any(one.end > before[-1].end and one.persons for one in found) else None

    after = await until(goes_on, "people are counted again", 120, ignoring=NOT_YET)
    assert [one for one in before if one not in after] == []
    assert [start for start, times in Counter((one.zone, one.start) for one in after).items() if times > 1] == []
