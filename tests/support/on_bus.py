"""A connection to a test's server, for as long as it is needed, and the wait until the server knows what it sent."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from nats.aio.client import Client
from nats_process import NatsProcess

from operate.identities import Identities
from proto.subjects import Account, Identity
from services.bus import Bus, NatsSettings


@contextlib.asynccontextmanager
async def entered(
    people: Identities, server: NatsProcess, identity: Identity, account: Account = "MORETTA"
) -> AsyncIterator[Bus]:
    """The bus of one of these people, with its own key."""
    bus = await Bus.connect(people.settings(identity, server.url), identity, account)
    try:
        yield bus
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def connected(url: str, service: str, account: Account = "MORETTA", **settings: Any) -> AsyncIterator[Bus]:
    """A service's bus, or that of a test in its place."""
    bus = await Bus.connect(NatsSettings(url=url, **settings), service, account)
    try:
        yield bus
    finally:
        await bus.close()


async def settled(one: Bus | Client) -> None:
    """Wait until the server has judged all that was sent: subscriptions, messages, what it refuses."""
    client = one.client if isinstance(one, Bus) else one
    await client.flush()  # nats-py's first PING overtakes what is buffered
    await client.flush()
