"""nats-server's configuration for the Helm chart: whole, but with names in the place of keys and sites (ADR 28).

Helm puts in what an installation has of its own: public keys for `nkey`s that are a user's name, and sites for `{site}`
and `{leaf}`, once for each of them.
"""

import json
import sys
from pathlib import Path
from typing import Any

from operate.identities.leafnodes import HUB_STREAMS, LEAF_USER, STREAMS_USER, Link, hub, leaf
from operate.identities.server import server, users
from proto.permissions import READER, user_of
from proto.subjects import STREAMS

Config = dict[str, Any]
ACCOUNTS = "accounts.json"
SITE, LEAF, SEED = "{site}", "{leaf}", "{seed}"
STORE, LISTEN, LEAF_LISTEN = "/data", "0.0.0.0:4222", "0.0.0.0:7422"
_LINK = Link(LEAF, (SITE,))


def fragments() -> Config:
    """Return what the chart makes configurations of: a site's, what a leaf adds to it, and a hub's with one leaf.

    `streams` has the table's sizes, by which the chart knows what a larger one takes beside them.
    `leaf.max_file_store` is what the copies need besides; `hub.each` what a leaf needs, and the hub for itself.
    """
    return {"site": _site(), "leaf": _leaf(), "hub": _hub(), "streams": _sizes()}


def text() -> str:
    """Return the file's content."""
    return json.dumps(fragments(), indent=1) + "\n"


def _sizes() -> Config:
    """Return each stream's bytes, where they are, and whether a hub has it, too: there all are on the disk."""
    hubs = {one.name for one in HUB_STREAMS}
    return {one.name: {"bytes": one.max_bytes, "storage": one.storage, "hub": one.name in hubs} for one in STREAMS}


def _site() -> Config:
    names = [user_of(*one) for one in users()]
    return server(LISTEN, STORE, {name: [name] for name in names})


def _leaf() -> Config:
    nothing: Config = {"accounts": {"MAIN": {"exports": []}}, "jetstream": {"max_file_store": 0}}
    config = leaf(nothing, _LINK, [], SEED, {STREAMS_USER: [STREAMS_USER]}, tls=None)
    return config | {"exports": config["accounts"].pop("MAIN")["exports"]}


def _hub() -> Config:
    keys = {name: [name] for name in (STREAMS_USER, READER, _LINK.maker)}
    config = hub(LISTEN, LEAF_LISTEN, STORE, keys, {_LINK: [LEAF_USER]})
    each = config["jetstream"].pop("max_file_store") // 2  # one leaf's, and the hub's own
    main = config["accounts"].pop("HUB")
    site = config["accounts"].pop(_LINK.account)
    return {"server": config, "each": each, "hub": main, "site": site}


if __name__ == "__main__":
    out = Path(sys.argv[1]) / ACCOUNTS
    out.write_text(text(), encoding="utf-8")
    print(out)
