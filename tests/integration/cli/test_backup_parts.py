"""Parts of a stream on their way to a server that is not heard of yet: operate.backup.snapshots."""

import asyncio

import nats.errors
import pytest

from operate.backup import snapshots as sut


async def test_a_part_waits_until_somebody_takes_it(bus, monkeypatch):
    """In a cluster our server may hear of who takes parts a moment after we do; it is not taken twice."""
    client, taken = bus.client, []

    async def take(message):
        taken.append(message.data)
        await message.respond(b"taken")

    handing = asyncio.create_task(sut._handed(client, "parts.one", b"a part", 5.0))
    await asyncio.sleep(0.3)
    assert not handing.done()
    await client.subscribe("parts.one", cb=take)
    answer = await handing
    assert (answer.data, taken) == (b"taken", [b"a part"])
    monkeypatch.setattr(sut, "_UNHEARD_S", 0.01)
    with pytest.raises(nats.errors.NoRespondersError):
        await sut._handed(client, "parts.two", b"a part", 5.0)
