"""nats-server's complete configuration for the Helm chart, with placeholders for keys and sites (ADR 28).

Helm fills in the values of an installation. An `nkey` holds a user's name, and Helm replaces it with that user's public
key. Helm replaces `{site}` and `{leaf}` with sites, and repeats their parts once for each of them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from operate.identities.leafnodes import HUB_STREAMS, LEAF_USER, STREAMS_USER, Link, hub, leaf
from operate.identities.readers import READERS_AT_ONCE, reserved
from operate.identities.server_config import server, users
from proto.permissions import ACCOUNTS as IDENTITIES
from proto.permissions import APART, GIVEN, JETSTREAM_API, READER, READERS_API, heard_by, mirrored, user_of
from proto.subjects import STREAMS

Config = dict[str, Any]
ACCOUNTS = "accounts.json"
SITE, LEAF, SEED = "{site}", "{leaf}", "{seed}"
STORE, LISTEN, LEAF_LISTEN = "/data", "0.0.0.0:4222", "0.0.0.0:7422"
_LINK = Link(LEAF, (SITE,))


def fragments() -> Config:
    """Return the parts of the chart's configurations: a site's, a leaf's additions to it, and a hub's with one leaf.

    `streams` has the table's sizes; from them the chart knows the extra space of a larger stream.
    `leaf.max_file_store` is the extra space for copies. `hub.each` is the space for a leaf, and for the hub itself.
    `readers` is the space for readers, which grows by so many `at_once`, the streams that a reader with a name is
    `given`, and the subjects of each stream that it may have. `identities` each have a Secret.
    """
    parts = {"site": _site(), "leaf": _leaf(), "hub": _hub(), "streams": _sizes(), "readers": _readers()}
    return parts | {"identities": sorted(IDENTITIES)}


def text() -> str:
    """Return the file's content."""
    return json.dumps(fragments(), indent=1) + "\n"


def _sizes() -> Config:
    """Return each stream's bytes, its storage, and whether a hub has it, too. A hub's streams are all on disk."""
    hubs = {one.name for one in HUB_STREAMS}
    return {one.name: {"bytes": one.max_bytes, "storage": one.storage, "hub": one.name in hubs} for one in STREAMS}


def _readers() -> Config:
    on_disk, in_memory = reserved(0)
    found: Config = {"at_once": READERS_AT_ONCE, "file": on_disk, "memory": in_memory, "given": GIVEN}
    return found | {"streams": {one.name: _subjects(one.name) for one in mirrored(heard_by(READER))}}


def _subjects(stream: str) -> list[str]:
    """Return the subjects that are there for a reader of this stream alone, as the subscriber has them."""
    told = [row.wildcard() for row in heard_by(READER) if row.stream == stream]
    filled = [f"{JETSTREAM_API}CONSUMER.CREATE.{stream}", f"$JS.FC.{stream}.>"]
    kept = (f"STREAM.*.{stream}", f"CONSUMER.LIST.{stream}", f"CONSUMER.DELETE.{stream}.*")
    return [*told, *filled, *(f"{READERS_API}{APART[READER]}.{one}" for one in kept)]


def _site() -> Config:
    names = [user_of(*one) for one in users()]
    return server(LISTEN, STORE, {name: [name] for name in names})


def _leaf() -> Config:
    nothing: Config = {"accounts": {"MORETTA": {"exports": []}}, "jetstream": {"max_file_store": 0}}
    config = leaf(nothing, _LINK, [], SEED, {STREAMS_USER: [STREAMS_USER]}, tls=None)
    return config | {"exports": config["accounts"].pop("MORETTA")["exports"]}


def _hub() -> Config:
    keys = {name: [name] for name in (STREAMS_USER, READER, _LINK.maker)}
    config = hub(LISTEN, LEAF_LISTEN, STORE, keys, {_LINK: [LEAF_USER]})
    each = (config["jetstream"].pop("max_file_store") - reserved(0)[0]) // 2  # one leaf's, and the hub's own
    main = config["accounts"].pop("MORETTA_HUB")
    site = config["accounts"].pop(_LINK.account)
    return {"server": config, "each": each, "hub": main, "site": site}


if __name__ == "__main__":
    out = Path(sys.argv[1]) / ACCOUNTS
    out.write_text(text(), encoding="utf-8")
    print(out)
