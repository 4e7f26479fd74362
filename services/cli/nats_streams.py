"""`moretta nats-streams`: make the streams by which windows come from the sites to a hub, on whichever side this is."""

import asyncio
import json
from pathlib import Path
from typing import Any

import nats.errors
from msgspec import structs
from nats.aio.client import Client

from proto.permissions import JETSTREAM_API
from services.bus import Connection, NatsSettings
from services.bus.nkey import Seed
from services.certificates import CertificateError
from services.cli.nats_leaf import is_hub
from services.identities import Kept, KeptHub
from services.identities.leafnodes import STREAMS_USER, Config, Link, copies, intake, merged
from services.settings import SettingsError

_COMMAND = "moretta nats-streams"
_TIMEOUT_S = 5.0
_NOT_FOUND = 10059


async def make(folder: Path, base: NatsSettings | None, replicas: int) -> list[str]:
    """Make or update the streams of a site's or a hub's folder; returns a line for each account.

    `base` says where the server is and how TLS is spoken, if not at the folder's URL and without. SettingsError if the
    folder is of neither, or the server refuses or does not answer.
    """
    address, work = _hub(folder) if is_hub(folder) else _site(folder)
    settings = base or NatsSettings(url=address)
    return [await _make(settings, folder, user, configs, replicas) for user, configs in work]


def _site(folder: Path) -> tuple[str, list[tuple[str, list[Config]]]]:
    server = Kept.open(folder).server
    if server.leaf is None:
        why = f"{folder} has no leaf: moretta nats-config --out {folder} --update --leaf URL --site ID makes one"
        raise SettingsError(_COMMAND, [("--out", why)])
    return server.url, [(STREAMS_USER, copies(Link(server.leaf.sites[0], tuple(server.leaf.sites))))]


def _hub(folder: Path) -> tuple[str, list[tuple[str, list[Config]]]]:
    hub = KeptHub.open(folder).hub
    return hub.url, [*((link.maker, intake(link)) for link in hub.links), (STREAMS_USER, merged(hub.links))]


async def _make(base: NatsSettings, folder: Path, user: str, configs: list[Config], replicas: int) -> str:
    seed = Seed((folder / f"{user}.nk").read_text(encoding="utf-8"))
    connection = await _connected(structs.replace(base, user=user, password=None, seed=seed))
    try:
        did = [await ensure(connection.client, config | {"num_replicas": replicas}) for config in configs]
    except (nats.errors.Error, TimeoutError) as error:
        why = f"{base.url} as {user}: {error or type(error).__name__}; the server must run with this folder's nats.conf"
        raise SettingsError(_COMMAND, [("", why)]) from None
    finally:
        await connection.close()
    return f"{user}: {', '.join(did)}"


async def _connected(settings: NatsSettings) -> Connection:
    heard: list[str] = []
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await Connection.open(settings, str(settings.user), on_trouble=heard.append)
    except TimeoutError:
        said = next((one for one in reversed(heard) if one.startswith(("nats:", "[SSL"))), "".join(heard[-1:]))
        raise SettingsError(_COMMAND, [("", f"{settings.url} as {settings.user}: {said or 'no answer'}")]) from None
    except CertificateError as error:
        raise SettingsError(_COMMAND, [(error.field, error.why)]) from None


async def ensure(client: Client, config: Config) -> str:
    """Make a stream or bring it up to `config`; returns its name, with `made` if it was not there."""
    name = str(config["name"])
    found = await _ask(client, f"STREAM.INFO.{name}", {})
    is_new = found.get("error", {}).get("err_code") == _NOT_FOUND
    answer = await _ask(client, f"STREAM.{'CREATE' if is_new else 'UPDATE'}.{name}", config)
    if "error" in answer:
        raise SettingsError(_COMMAND, [(name, answer["error"].get("description", "refused"))])
    return f"{name} made" if is_new else name


async def _ask(client: Client, call: str, body: Config) -> dict[str, Any]:
    request = json.dumps(body).encode() if body else b""
    answer: dict[str, Any] = json.loads(
        (await client.request(f"{JETSTREAM_API}{call}", request, timeout=_TIMEOUT_S)).data
    )
    return answer
