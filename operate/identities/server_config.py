"""nats-server's configuration, from the one table: accounts, users by their public keys, and their rights. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from operate.identities.readers import Streams, apart, back, exports, made, named, reserved
from proto.permissions import ACCOUNTS, APART, Rights, rights_of, user_of
from proto.subjects import STREAM_OWNER, Account, Identity
from services.bus.stream_sizes import Sizes, sized

_MIB = 1 << 20
_SPARE = 64 * _MIB
_PAGE: Identity = "page"
MAX_CONNECTIONS = 10_000
"""Connections of one server, including those that have not authenticated yet."""
_OWN = {"max_subscriptions": 10_000}
"""Limit of one connection of a service. Ingest has an inbox for each frame on its way, one per camera at a time. The
other services have a few subscriptions for each site. It is an account's limit: nats-server takes a server-wide limit
only at a start, an account's also at a reload."""
PublicKeys = Mapping[str, Sequence[str]]
"""The public keys with which each user connects: two while a new key replaces the old one."""


class ServerTls(Struct, frozen=True, forbid_unknown_fields=True):
    """Certificate, key and CA file of the server; its clients need a certificate from that CA."""

    cert_file: str
    key_file: str
    ca_file: str

    def block(self) -> dict[str, object]:
        """Return the configuration's block `tls`."""
        files = {"cert_file": self.cert_file, "key_file": self.key_file, "ca_file": self.ca_file}
        return {**files, "verify": True, "min_version": "1.2", "timeout": 5}


class WebSocket(Struct, frozen=True, forbid_unknown_fields=True):
    """The read-only listener for browsers, from pages of these origins (ADR 35).

    If it is open, browsers connect as the page, without a key.
    """

    listen: str
    origins: list[str]
    is_open: bool = False

    def block(self, keys: PublicKeys, tls: ServerTls | None) -> dict[str, object]:
        """Return the configuration's block `websocket`; without TLS it is for loopback or for a proxy with TLS."""
        config: dict[str, object] = {"listen": self.listen, "allowed_origins": self.origins}
        config |= {"no_auth_user": _keys_of(user_of(_PAGE, "MORETTA"), keys)[0]} if self.is_open else {}
        return config | ({"tls": tls.block() | {"verify": False}} if tls else {"no_tls": True})


def users() -> list[tuple[Identity, Account]]:
    """Return every user as identity and account."""
    return [(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]


def nats_config(
    port: int,
    store: str,
    keys: PublicKeys,
    *,
    host: str = "127.0.0.1",
    tls: ServerTls | None = None,
    websocket: WebSocket | None = None,
    sizes: Sizes | None = None,
    readers: Streams | None = None,
) -> str:
    """Return the text of a server's configuration (see `server`); NATS's configuration language takes JSON."""
    config = server(f"{host}:{port}", store, keys, tls=tls, websocket=websocket, sizes=sizes, readers=readers)
    return json.dumps(config, indent=1)


def server(
    listen: str,
    store: str,
    keys: PublicKeys,
    *,
    tls: ServerTls | None = None,
    websocket: WebSocket | None = None,
    sizes: Sizes | None = None,
    readers: Streams | None = None,
) -> dict[str, object]:
    """Return a configuration: JetStream in `store`, one user per identity and account, no secret in it.

    `keys` are by user name; KeyError if a user has none. Port -1 takes a free port. `sizes` gives the streams that are
    larger than in the table, `readers` the streams of named readers.
    """
    config: dict[str, Any] = {
        "listen": listen,
        "max_payload": 8 * _MIB,
        "max_connections": MAX_CONNECTIONS,
        # A frozen worker must not keep its share of the frames for minutes.
        "ping_interval": "2s",
        "ping_max": 2,
        "write_deadline": "1s",
        "max_pending": 32 * _MIB,
        # strict: JetStream's API must not take an answer, which has other fields, for an order (ADR 20).
        # sync_interval: a confirmed pause and a published window must survive a power cut.
        "jetstream": {
            "store_dir": store,
            "sync_interval": "always",
            "strict": True,
            **limits(sizes or {}, len(named(keys))),
        },
        "accounts": _accounts(keys, readers or {}),
    }
    config |= {"tls": tls.block()} if tls else {}
    return _with_websocket(config, websocket.block(keys, tls)) if websocket else config


def _with_websocket(config: dict[str, Any], block: dict[str, object]) -> dict[str, object]:
    """Return the configuration with the block `websocket`, through which only readers may connect."""
    for account in config["accounts"].values():
        account["users"] = [{"allowed_connection_types": ["STANDARD"]} | user for user in account["users"]]
    return config | {"websocket": block}


def _accounts(keys: PublicKeys, streams: Streams) -> dict[str, object]:
    readers = apart([*(user_of(one, "MORETTA") for one in APART), *keys], streams)
    main = {
        "jetstream": True,
        "users": _users("MORETTA", keys, made(readers)),
        "exports": exports(readers),
        "imports": back(readers),
        "limits": dict(_OWN),
    }
    own = {one.account: one.block("MORETTA", () if one.is_removed else _keys_of(one.user, keys)) for one in readers}
    frames = {"jetstream": False, "users": _users("MORETTA_FRAMES", keys, []), "limits": dict(_OWN)}
    return {"MORETTA": main, **own, "MORETTA_FRAMES": frames}


def _users(account: Account, keys: PublicKeys, more: Sequence[str]) -> list[dict[str, object]]:
    """Return an account's users; `more` is what the streams' owner may publish beside the table."""
    found = []
    for identity, where in users():
        if where == account and identity not in APART:
            rights = rights_of(identity, where)
            beside = more if identity == STREAM_OWNER else ()
            own = Rights((*rights.publish, *beside), rights.subscribe)
            found += [_user(own, key) for key in _keys_of(user_of(identity, where), keys)]
    return found


def _keys_of(user: str, keys: PublicKeys) -> Sequence[str]:
    if not keys[user]:
        raise KeyError(user)
    return keys[user]


def limits(sizes: Sizes, readers: int = 0) -> dict[str, int]:
    """Return JetStream's limits: what the table's streams reserve in these sizes, and the mirrors of named readers."""
    on_disk, in_memory = reserved(readers)
    sums = {"memory": _SPARE + in_memory, "file": _SPARE + on_disk}
    for stream in sized(sizes):
        sums[stream.storage] += stream.max_bytes
    return {"max_memory_store": sums["memory"], "max_file_store": sums["file"]}


def _user(rights: Rights, key: str) -> dict[str, object]:
    return {"nkey": key, "permissions": permissions(rights)}


def permissions(rights: Rights) -> dict[str, object]:
    """Return a user's block `permissions`; what it does not name is denied."""
    return {"publish": {"allow": list(rights.publish)}, "subscribe": {"allow": list(rights.subscribe)}}
