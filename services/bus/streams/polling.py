"""Reads a stream by requests for one message after another. All but the owner of the streams read this way (ADR 20).

With a consumer or a direct get, the server sends stored bytes, or an empty answer, to any subject that the request
names, even to JetStream's own API. The answer to STREAM.MSG.GET is wrapped in JSON, which nothing takes for an order.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import NotFoundError

from services.bus.connection.client import client_of
from services.bus.streams.ordered_consumer import LOST_S, Removed, Stored, nanoseconds, stored_of

_ALL = ">"
_POLL_S = 0.25
"""How often the stream is asked, since the server does not report an entry that expires."""


async def read(js: JetStreamContext, stream: str, filters: list[str], since: int = 0) -> AsyncGenerator[Stored, None]:
    """Yield what the stream holds of these subjects up to now, in order; with `since` (ns) only from then on."""
    info = await js.stream_info(stream)
    start = await _first_since(js, stream, since, info.state) if since else 1
    async for stored in _messages(js, info, filters, start):
        if isinstance(stored, Stored):
            yield stored


async def read_back(js: JetStreamContext, stream: str, filters: list[str], start: int = 1) -> list[Stored]:
    """Return what the stream holds of these subjects from a sequence on, up to now, in order."""
    found = _messages(js, await js.stream_info(stream), filters, start)
    return [stored async for stored in found if isinstance(stored, Stored)]


async def read_latest(js: JetStreamContext, stream: str, filters: list[str]) -> list[Stored]:
    """Return the last message that the stream holds of each of these subjects, in order."""
    found = []
    for one in filters:
        info = await js.stream_info(stream, subjects_filter=one)
        for subject in info.state.subjects or {}:
            with contextlib.suppress(NotFoundError):  # it has expired since
                found.append(_stored(await js.get_last_msg(stream, subject), info))
    return sorted((one for one in found if isinstance(one, Stored)), key=lambda stored: stored.sequence)


async def session(
    js: JetStreamContext, stream: str, filters: list[str], start: int, created: int
) -> AsyncGenerator[tuple[int, Stored | Removed | None], None]:
    """Yield messages as they come, each with the sequence to go on from. End when one may have been missed."""
    async with _arrival(js, filters) as arrived:
        asked = time.monotonic()
        while time.monotonic() - asked < LOST_S:
            arrived.clear()
            asked = time.monotonic()
            info = await js.stream_info(stream)
            if nanoseconds(info.created) != created:
                return
            async for sequence, stored in _numbered(js, info, filters, start):
                start = sequence + 1
                yield start, stored
            start = max(start, info.state.last_seq + 1)
            yield start, None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await arrived.wait()


@contextlib.asynccontextmanager
async def _arrival(js: JetStreamContext, filters: list[str]) -> AsyncIterator[asyncio.Event]:
    """Yield an event that every message on these subjects sets."""
    client, arrived = client_of(js), asyncio.Event()

    async def wake(_msg: Msg) -> None:
        arrived.set()

    subscriptions = [await client.subscribe(one, cb=wake) for one in filters]
    try:
        yield arrived
    finally:
        for subscription in subscriptions:
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()


async def _messages(
    js: JetStreamContext, info: api.StreamInfo, filters: list[str], start: int
) -> AsyncGenerator[Stored | Removed | None, None]:
    async for _, stored in _numbered(js, info, filters, start):
        yield stored


async def _numbered(
    js: JetStreamContext, info: api.StreamInfo, filters: list[str], start: int
) -> AsyncGenerator[tuple[int, Stored | Removed | None], None]:
    name, start, asked = str(info.config.name), max(1, start), _asked(info, filters)
    while start <= info.state.last_seq:
        found = [raw for one in asked if (raw := await _next(js, name, one, start)) is not None]
        if not found:
            return
        first = min(found, key=lambda raw: int(raw.seq or 0))
        start = int(first.seq or 0) + 1
        if start - 1 <= info.state.last_seq:
            yield start - 1, _stored(first, info)


def _asked(info: api.StreamInfo, filters: list[str]) -> list[str]:
    """Return the filters to ask with: one for all of the stream if they leave out nothing. Each costs a request."""
    subjects = info.config.subjects or []
    return [_ALL] if subjects and set(subjects) <= set(filters) else filters


async def _next(js: JetStreamContext, stream: str, subject: str, start: int) -> api.RawStreamMsg | None:
    try:
        return await js.get_msg(stream, seq=start, subject=subject, next=True)
    except NotFoundError:
        return None


async def _first_since(js: JetStreamContext, stream: str, since: int, state: api.StreamState) -> int:
    """Return the sequence of the first message stored from `since` on, or the one after the last."""
    low, high = max(1, state.first_seq), state.last_seq + 1
    while low < high:
        middle = (low + high) // 2
        raw = await _next(js, stream, _ALL, middle)
        if raw is None or nanoseconds(raw.time) >= since:
            high = middle
        else:
            low = int(raw.seq or 0) + 1
    return low


def _stored(raw: api.RawStreamMsg, info: api.StreamInfo) -> Stored | Removed | None:
    headers: dict[str, Any] | None = raw.headers
    at: datetime | None = raw.time
    return stored_of(
        str(raw.subject), raw.data or b"", headers, int(raw.seq or 0), nanoseconds(at), nanoseconds(info.created)
    )
