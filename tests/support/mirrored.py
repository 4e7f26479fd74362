"""Readers' mirrors on a real server: made and filled as aggregate does it, and how far they are."""

import contextlib
import json
from pathlib import Path

from golden import BY_TYPE
from identity_matrix import SEEDS
from msgspec import structs
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from on_bus import entered
from readers import Readers

from operate.identities import Identities
from proto.public import WindowV1
from proto.subjects import STREAMS, WINDOWS, Identity
from services.aggregate.mirrors.keeper import Mirrors
from services.bus import Bus

WINDOW: WindowV1 = BY_TYPE[WindowV1]


async def make(server: Readers) -> None:
    """Make MORETTA's streams, most of them on disk, and the readers'."""
    async with owner(server) as bus:
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await Mirrors(bus).turn()


def owner(server: Readers, identity: Identity = "aggregate") -> contextlib.AbstractAsyncContextManager[Bus]:
    """A bus with an identity's rights: aggregate publishes windows and makes streams, ingest publishes cameras."""
    return entered(Identities(Path("nowhere"), SEEDS), server, identity)


async def publish(server: Readers, *zones: str) -> None:
    """Publish a window of each of these zones."""
    async with owner(server) as bus:
        for zone in zones:
            await bus.store(WINDOWS, structs.replace(WINDOW, zone=zone))


def zones_of(messages: list[Msg]) -> list[str]:
    return [json.loads(msg.data)["zone"] for msg in messages]


async def state(js: JetStreamContext, stream: str = "WINDOWS") -> int:
    return (await js.stream_info(stream)).state.messages


async def has(js: JetStreamContext, stream: str, messages: int) -> bool:
    return await state(js, stream) == messages


async def reached(js: JetStreamContext, stream: str, sequence: int) -> bool:
    """Whether the last message of a stream is this one; its first ones may be gone."""
    return (await js.stream_info(stream)).state.last_seq == sequence
