"""`moretta nats streams`: makes a site's streams and those that bring windows to a hub, or tells what it would do.

It makes the streams of the side that the folder belongs to. Streams lose messages only with `shrink` (ADR 29).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.errors
from msgspec import structs
from nats.aio.client import Client
from nats.js.errors import APIError

from operate.identities import IdentityFolder, KeptHub
from operate.identities.leafnodes import CROSSING, STREAMS_USER, Config, Link, copies, intake, merged
from operate.identities.readers import apart
from operate.nats.apply import is_hub
from operate.nats.copy_lag import late
from proto.permissions import JETSTREAM_API, NAMED, READERS_API, named_account
from proto.subjects import STREAM_OWNER
from services.aggregate.mirrors.configuration import made_for, no_longer
from services.aggregate.mirrors.keeper import consumers, exceeding, remove, remove_consumers, remove_old
from services.aggregate.mirrors.lag import info, marked
from services.bus import Connection, NatsSettings, StreamConflict
from services.bus.nkey import Seed
from services.bus.stream_sizes import sized
from services.bus.streams.stream_config import Made, ask, config_of, ensure
from services.kernel.log import redact
from services.kernel.settings import SettingsError
from services.kernel.tls import CertificateError

_COMMAND = "moretta nats streams"
_TIMEOUT_S = 5.0
_AT_ONCE = 16
"""So many connections a plan has at a time."""
Work = tuple[str, str, list[Config]]
"""A user of the server, what JetStream's API begins with for it, and the streams that it makes."""


@dataclass(frozen=True)
class How:
    """Options: copies of each stream, whether to only tell what would be done, whether to make streams smaller too.

    Without `replicas`, a new stream gets one copy, and an existing stream keeps its number of copies.
    """

    replicas: int | None = None
    plan: bool = False
    shrink: bool = False


async def make(folder: Path, base: NatsSettings, how: How, *, elsewhere: bool = True) -> list[str]:
    """Make or update the streams of a site's or a hub's folder; return lines to print. A plan tells of copies behind.

    `base` holds TLS settings and the server's URL; unless it is `elsewhere`, the URL is the folder's. SettingsError if
    the folder is neither a site's nor a hub's, or the server refuses or does not answer.
    """
    address, work = _hub(folder) if is_hub(folder) else _site(folder)
    settings = base if elsewhere else structs.replace(base, url=address)
    if how.plan:
        return await _planned([_make(settings, folder, one, how) for one in work])
    return [line for one in work for line in await _make(settings, folder, one, how)]


async def end_consumers(folder: Path, base: NatsSettings, reader: str, *, elsewhere: bool = True) -> list[str]:
    """Remove all consumers of a named reader, as after its key was stolen; return lines to print. See `make`.

    SettingsError also if the folder has no such reader.
    """
    kept = KeptHub.open(folder) if is_hub(folder) else IdentityFolder.open(folder)
    if reader not in kept.readers:
        there = ", ".join(kept.readers) or "none"
        raise SettingsError(_COMMAND, [("--end-consumers", f"{folder} has no reader {reader!r}; there are: {there}")])
    user, state = (STREAMS_USER, kept.hub) if isinstance(kept, KeptHub) else (STREAM_OWNER, kept.server)
    settings = base if elsewhere else structs.replace(base, url=state.url)
    api = f"{READERS_API}{named_account(f'{NAMED}{reader}')}."
    async with _asking(settings, folder, user) as client:
        found = await consumers(client, api, state.readers[reader])
        await remove_consumers(client, api, found)
    return [f"{reader}: consumer {one.name} of {one.stream} removed" for one in found] or [f"{reader}: no consumer"]


async def _planned(work: list[Coroutine[Any, Any, list[str]]]) -> list[str]:
    """Look at all of it at once, since each look at a copy that is behind takes a while; return lines to print."""
    lines, turns = list[str](), asyncio.Semaphore(_AT_ONCE)

    async def looked(one: Coroutine[Any, Any, list[str]]) -> list[str]:
        async with turns:
            return await one

    for result in await asyncio.gather(*map(looked, work), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        lines += result
    return lines


def _site(folder: Path) -> tuple[str, list[Work]]:
    """Return a site's streams: the table's, in the folder's sizes, and a leaf's copies.

    The table's are left out if the seed of the identity that makes them is elsewhere.
    """
    server, work = IdentityFolder.open(folder).server, list[Work]()
    if (folder / f"{STREAM_OWNER}.nk").exists():
        work.append((STREAM_OWNER, JETSTREAM_API, [config_of(stream, 1) for stream in sized(server.streams)]))
    if server.leaf is not None:
        work.append((STREAMS_USER, JETSTREAM_API, copies(Link(server.leaf.sites[0], tuple(server.leaf.sites)))))
    if not work:
        why = f"{folder} has neither {STREAM_OWNER}.nk, with which a site's streams are made, nor a leaf"
        raise SettingsError(_COMMAND, [("DIR", why)])
    return server.url, work


def _hub(folder: Path) -> tuple[str, list[Work]]:
    hub = KeptHub.open(folder).hub
    return hub.url, [
        *((link.maker, JETSTREAM_API, intake(link)) for link in hub.links),
        (STREAMS_USER, JETSTREAM_API, merged(hub.links, hub.streams)),
        *((STREAMS_USER, *made_for(one.account, one.rows)) for one in apart(hub.keys, hub.readers, CROSSING)),
    ]


async def _make(base: NatsSettings, folder: Path, work: Work, how: How) -> list[str]:
    user, api, configs = work
    wanted = [_copied(config, how.replicas) for config in configs]
    async with _asking(base, folder, user) as client:
        others = await _others(client, api, configs, how) if api != JETSTREAM_API else []
        others += await _consumers(client, api, configs, how) if api != JETSTREAM_API else []
        if api != JETSTREAM_API and not how.plan:
            await remove_old(client, api, [one["name"] for one in configs])
        if api != JETSTREAM_API:
            wanted = [await marked(client, one) for one in wanted]
        did = [await ensure(client, one, shrink=how.shrink, plan=how.plan, api=api) for one in wanted]
        there = [one.name for one in did if not one.is_new] if how.plan else []
        copying = await _behind(client, api, there)
    return [*_lines(user, api, did, how), *others, *copying]


@contextlib.asynccontextmanager
async def _asking(base: NatsSettings, folder: Path, user: str) -> AsyncIterator[Client]:
    """Connect as a user of the folder; what the server refuses or does not answer becomes SettingsError."""
    seed = Seed((folder / f"{user}.nk").read_text(encoding="utf-8"))
    connection = await _connected(structs.replace(base, user=user, password=None, seed=seed))
    try:
        yield connection.client
    except (StreamConflict, APIError) as error:
        why = getattr(error, "description", None) or str(error)
        raise SettingsError(_COMMAND, [("", f"{redact(base.url)} as {user}: {why}")]) from None
    except (nats.errors.Error, TimeoutError) as error:
        todo = "the server must run with this folder's nats.conf"
        why = f"{redact(base.url)} as {user}: {error or type(error).__name__}; {todo}"
        raise SettingsError(_COMMAND, [("", why)]) from None
    finally:
        await connection.close()


def _copied(config: Config, replicas: int | None) -> Config:
    """Return a stream's configuration with this number of copies; None leaves the number out."""
    left_out = {"num_replicas"} if replicas in (None, 1) else {"num_replicas", "persist_mode"}  # with copies: synced
    rest = {name: value for name, value in config.items() if name not in left_out}
    return rest if replicas is None else rest | {"num_replicas": replicas}


def _lines(user: str, api: str, did: list[Made], how: How) -> Iterator[str]:
    news = " to be made" if how.plan else " made"
    there = f" in {api.split('.')[1]}" if api != JETSTREAM_API else ""
    yield f"{user}{there}: {', '.join(one.name + (news if one.is_new else '') for one in did) or 'nothing'}"
    for one in did:
        yield from (f"  {difference.in_words(shrink=how.shrink)}" for difference in one.found)


async def _others(client: Client, api: str, configs: list[Config], how: How) -> list[str]:
    """Return a line for each stream that a reader is to have no more.

    It is removed with `shrink`, and in any case if the reader was removed, which has no streams at all.
    """
    found = no_longer((await ask(client, f"{api}STREAM.NAMES")).get("streams") or (), configs)
    removes = how.shrink or not configs
    if found and removes and not how.plan:
        await remove(client, api, found)
    does = ("to be removed" if how.plan else "removed") if removes else "--shrink removes it"
    return [f"  {name} is this reader's no longer, with its consumers: {does}" for name in found]


async def _consumers(client: Client, api: str, configs: list[Config], how: How) -> list[str]:
    """Return a line for each consumer that goes beyond a reader's limits; unless it is a plan, it is removed."""
    found = await exceeding(client, api, [one["name"] for one in configs])
    await remove_consumers(client, api, [] if how.plan else found)
    done = "to be removed" if how.plan else "removed"
    return [f"  consumer {one.name} of {one.stream}: {'; '.join(one.why)}: {done}" for one in found]


async def _behind(client: Client, api: str, names: list[str]) -> list[str]:
    """Return a line for each stream that does not keep up with what it copies."""
    found = await late(lambda name: info(client, api, name), names)
    return [f"  {name} is behind: {why}" for name, phrases in found.items() for why in phrases]


async def _connected(settings: NatsSettings) -> Connection:
    heard: list[str] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await Connection.connect(settings, str(settings.user), on_error=heard.append)
    except TimeoutError:
        reason = next((one for one in reversed(heard) if one.startswith(("nats:", "[SSL"))), "".join(heard[-1:]))
        raise SettingsError(
            _COMMAND, [("", f"{redact(settings.url)} as {settings.user}: {reason or 'no answer'}")]
        ) from None
    except CertificateError as error:
        raise SettingsError(_COMMAND, [(error.field, error.why)]) from None
