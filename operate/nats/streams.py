"""`moretta nats-streams`: make the streams of a site, and those by which windows come to a hub, or tell what is to do.

On whichever side this is. Nothing that a stream holds is lost but with `shrink` (ADR 29).
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nats.errors
from msgspec import structs
from nats.js.errors import APIError

from operate.identities import Kept, KeptHub
from operate.identities.leafnodes import STREAMS_USER, Config, Link, copies, intake, merged
from operate.nats.leaf import is_hub
from proto.subjects import STREAM_OWNER
from services.bus import Connection, NatsSettings, StreamConflict
from services.bus.making import Made, config_of, ensure
from services.bus.nkey import Seed
from services.bus.sizes import sized
from services.kernel.log import redact
from services.kernel.settings import SettingsError
from services.kernel.tls import CertificateError

_COMMAND = "moretta nats-streams"
_TIMEOUT_S = 5.0
Work = tuple[str, list[Config]]
"""A user of the server, and the streams that it makes."""


@dataclass(frozen=True)
class How:
    """How many copies of each stream, whether nothing is done but told, and whether streams are made smaller, too.

    Without `replicas` a new stream has one copy, and one that is there as many as it has.
    """

    replicas: int | None = None
    plan: bool = False
    shrink: bool = False


async def make(folder: Path, base: NatsSettings | None, how: How) -> list[str]:
    """Make or update the streams of a site's or a hub's folder; returns lines for people.

    `base` says where the server is and how TLS is spoken, if not at the folder's URL and without. SettingsError if the
    folder is of neither, or the server refuses or does not answer.
    """
    address, work = _hub(folder) if is_hub(folder) else _site(folder)
    settings = base or NatsSettings(url=address)
    return [line for user, configs in work for line in await _make(settings, folder, user, configs, how)]


def _site(folder: Path) -> tuple[str, list[Work]]:
    """Return a site's streams: the table's, in the folder's sizes, unless the key of who makes them is elsewhere, and a
    leaf's copies.
    """
    server, work = Kept.open(folder).server, list[Work]()
    if (folder / f"{STREAM_OWNER}.nk").exists():
        work.append((STREAM_OWNER, [config_of(stream, 1) for stream in sized(server.streams)]))
    if server.leaf is not None:
        work.append((STREAMS_USER, copies(Link(server.leaf.sites[0], tuple(server.leaf.sites)))))
    if not work:
        why = f"{folder} has neither {STREAM_OWNER}.nk, with which a site's streams are made, nor a leaf"
        raise SettingsError(_COMMAND, [("--out", why)])
    return server.url, work


def _hub(folder: Path) -> tuple[str, list[Work]]:
    hub = KeptHub.open(folder).hub
    return hub.url, [
        *((link.maker, intake(link)) for link in hub.links),
        (STREAMS_USER, merged(hub.links, hub.streams)),
    ]


async def _make(base: NatsSettings, folder: Path, user: str, configs: list[Config], how: How) -> list[str]:
    seed = Seed((folder / f"{user}.nk").read_text(encoding="utf-8"))
    connection = await _connected(structs.replace(base, user=user, password=None, seed=seed))
    wanted = [_copied(config, how.replicas) for config in configs]
    try:
        did = [await ensure(connection.client, one, shrink=how.shrink, plan=how.plan) for one in wanted]
    except (StreamConflict, APIError) as error:
        why = getattr(error, "description", None) or str(error)
        raise SettingsError(_COMMAND, [("", f"{redact(base.url)} as {user}: {why}")]) from None
    except (nats.errors.Error, TimeoutError) as error:
        todo = "the server must run with this folder's nats.conf"
        why = f"{redact(base.url)} as {user}: {error or type(error).__name__}; {todo}"
        raise SettingsError(_COMMAND, [("", why)]) from None
    finally:
        await connection.close()
    return list(_lines(user, did, how))


def _copied(config: Config, replicas: int | None) -> Config:
    """Return a stream with so many copies; without a number, with nothing said of them."""
    rest = {name: value for name, value in config.items() if name != "num_replicas"}
    return rest if replicas is None else rest | {"num_replicas": replicas}


def _lines(user: str, did: list[Made], how: How) -> Iterator[str]:
    news = " to be made" if how.plan else " made"
    yield f"{user}: {', '.join(one.name + (news if one.is_new else '') for one in did)}"
    for one in did:
        yield from (f"  {difference.told(shrink=how.shrink)}" for difference in one.found)


async def _connected(settings: NatsSettings) -> Connection:
    heard: list[str] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await Connection.open(settings, str(settings.user), on_trouble=heard.append)
    except TimeoutError:
        said = next((one for one in reversed(heard) if one.startswith(("nats:", "[SSL"))), "".join(heard[-1:]))
        raise SettingsError(
            _COMMAND, [("", f"{redact(settings.url)} as {settings.user}: {said or 'no answer'}")]
        ) from None
    except CertificateError as error:
        raise SettingsError(_COMMAND, [(error.field, error.why)]) from None
