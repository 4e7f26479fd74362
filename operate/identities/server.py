"""nats-server's configuration, from the one table: accounts, users by their public keys, and their rights. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operate.identities.readers import DOORS, apart, exports, imports
from proto.permissions import ACCOUNTS, APART, Rights, rights_of, user_of
from proto.subjects import Account, Identity
from services.bus.sizes import Sizes, sized

_MIB = 1 << 20
_SPARE = 64 * _MIB
_PAGE: Identity = "page"
MAX_CONNECTIONS = 10_000
"""Of one server, those that have not said yet who they are among them."""
_OWN = {"max_subscriptions": 10_000}
"""Of a connection of a service: ingest has an inbox for each frame that is on its way, one of a camera at a time, and
the others a few for each site. Not for the whole server: nats-server takes such a limit at a start alone, an account's
at a reload."""
PublicKeys = Mapping[str, Sequence[str]]
"""The public keys by which a user comes in: two while one takes the other's place."""


@dataclass(frozen=True)
class Tls:
    """Certificate, key and trust store of the server; with `verify` its clients need a certificate of that store."""

    cert_file: str
    key_file: str
    ca_file: str
    verify: bool = True

    def block(self) -> dict[str, object]:
        """Return the configuration's `tls`."""
        files = {"cert_file": self.cert_file, "key_file": self.key_file, "ca_file": self.ca_file}
        return {**files, "verify": self.verify, "min_version": "1.2", "timeout": 5}


@dataclass(frozen=True)
class WebSocket:
    """Where browsers come in, to read alone, from pages of these origins; open: as the page, without a key (ADR 35)."""

    listen: str
    origins: list[str]
    is_open: bool = False

    def block(self, keys: PublicKeys, tls: Tls | None) -> dict[str, object]:
        """Return the configuration's `websocket`; without TLS it is for loopback, and for a proxy that speaks TLS."""
        config: dict[str, object] = {"listen": self.listen, "allowed_origins": self.origins}
        config |= {"no_auth_user": _keys_of(user_of(_PAGE, "MAIN"), keys)[0]} if self.is_open else {}
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
    tls: Tls | None = None,
    websocket: WebSocket | None = None,
    sizes: Sizes | None = None,
) -> str:
    """Return the text of a server's configuration (see `server`); NATS's configuration language takes JSON."""
    return json.dumps(server(f"{host}:{port}", store, keys, tls=tls, websocket=websocket, sizes=sizes), indent=1)


def server(
    listen: str,
    store: str,
    keys: PublicKeys,
    *,
    tls: Tls | None = None,
    websocket: WebSocket | None = None,
    sizes: Sizes | None = None,
) -> dict[str, object]:
    """Return a configuration: JetStream in `store`, one user per identity and account, no secret in it.

    `keys` are by user name; KeyError if one has none. Port -1 takes a free one. `sizes` are of streams that are larger
    than the table has them.
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
        # Strict: no answer, which has other fields, is taken for an order of JetStream's API (ADR 20).
        # A pause that was confirmed, and a window that was published, outlive a power cut.
        "jetstream": {"store_dir": store, "sync_interval": "always", "strict": True, **limits(sizes or {})},
        "accounts": _accounts(keys),
    }
    config |= {"tls": tls.block()} if tls else {}
    return _with_door(config, websocket.block(keys, tls)) if websocket else config


def _with_door(config: dict[str, Any], block: dict[str, object]) -> dict[str, object]:
    """Return it with the block `websocket`, by which nobody else comes in than who reads."""
    for account in config["accounts"].values():
        account["users"] = [{"allowed_connection_types": ["STANDARD"]} | user for user in account["users"]]
    return config | {"websocket": block}


def _accounts(keys: PublicKeys) -> dict[str, object]:
    everybody = [*(user_of(one, "MAIN") for one in APART), *keys]
    readers = {one: rights_of(one.identity, "MAIN") for one in apart(everybody)}
    given = exports({one.account: rights for one, rights in readers.items()})
    own = {
        one.account: {
            "limits": one.limits,
            "users": [_user(rights, key) | DOORS for key in _keys_of(one.user, keys)],
            "imports": imports(rights, "MAIN"),
        }
        for one, rights in readers.items()
    }
    return {
        "MAIN": {"jetstream": True, "users": _users("MAIN", keys), "exports": given, "limits": dict(_OWN)},
        **own,
        "FRAMES": {"jetstream": False, "users": _users("FRAMES", keys), "limits": dict(_OWN)},
    }


def _users(account: Account, keys: PublicKeys) -> list[dict[str, object]]:
    return [
        _user(rights_of(identity, where), key)
        for identity, where in users()
        if where == account and identity not in APART
        for key in _keys_of(user_of(identity, where), keys)
    ]


def _keys_of(user: str, keys: PublicKeys) -> Sequence[str]:
    if not keys[user]:
        raise KeyError(user)
    return keys[user]


def limits(sizes: Sizes) -> dict[str, int]:
    """Return JetStream's limits: what the table's streams reserve in these sizes, and a little more."""
    sums = {"memory": _SPARE, "file": _SPARE}
    for stream in sized(sizes):
        sums[stream.storage] += stream.max_bytes
    return {"max_memory_store": sums["memory"], "max_file_store": sums["file"]}


def _user(rights: Rights, key: str) -> dict[str, object]:
    return {"nkey": key, "permissions": permissions(rights)}


def permissions(rights: Rights) -> dict[str, object]:
    """Return a user's block `permissions`; what it does not name is denied."""
    return {"publish": {"allow": list(rights.publish)}, "subscribe": {"allow": list(rights.subscribe)}}
