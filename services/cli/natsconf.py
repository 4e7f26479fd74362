"""The embedded nats-server's configuration, from the one table. Pure."""

import json
from collections.abc import Mapping

from proto.permissions import ACCOUNTS, Rights, rights_of, user_of
from proto.subjects import STREAMS, Account, Identity

_MIB = 1 << 20
_SPARE = 64 * _MIB


def nats_config(port: int, store: str, passwords: Mapping[str, str]) -> str:
    """Return a configuration for one loopback server: JetStream in `store`, one user per identity and account.

    NATS's configuration language takes JSON. `passwords` are by user name; port -1 takes a free one.
    """
    accounts: dict[str, object] = {}
    for account in ("MAIN", "FRAMES"):
        users = [_user(identity, account, passwords) for identity, where in ACCOUNTS.items() if account in where]
        accounts[account] = {"jetstream": account == "MAIN", "users": users}
    config = {
        "listen": f"127.0.0.1:{port}",
        "max_payload": 8 * _MIB,
        # A frozen worker must not keep its share of the frames for minutes (design §6).
        "ping_interval": "2s",
        "ping_max": 2,
        "write_deadline": "1s",
        "max_pending": 32 * _MIB,
        # A pause that was confirmed, and a window that was published, outlive a power cut.
        "jetstream": {"store_dir": store, "sync_interval": "always", **_limits()},
        "accounts": accounts,
    }
    return json.dumps(config, indent=1)


def _limits() -> dict[str, int]:
    """Return JetStream's limits: what the table's streams reserve, and a little more."""
    sums = {"memory": _SPARE, "file": _SPARE}
    for stream in STREAMS:
        sums[stream.storage] += stream.max_bytes
    return {"max_memory_store": sums["memory"], "max_file_store": sums["file"]}


def _user(identity: Identity, account: Account, passwords: Mapping[str, str]) -> dict[str, object]:
    user = user_of(identity, account)
    return {"user": user, "password": passwords[user], "permissions": _permissions(rights_of(identity, account))}


def _permissions(rights: Rights) -> dict[str, object]:
    publish = {"allow": list(rights.publish), "deny": list(rights.not_publish)} if rights.publish else {"deny": ">"}
    permissions: dict[str, object] = {"publish": publish, "subscribe": {"allow": list(rights.subscribe)}}
    if rights.answers:
        permissions["allow_responses"] = {"max": 1, "expires": "5s"}
    return permissions
