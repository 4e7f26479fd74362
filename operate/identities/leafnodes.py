"""Many sites: configures a site's NATS as a leaf of a hub, and the hub, from the one table (ADR 25). Pure.

Messages cross from account to account. Each time, a stream copies another stream:

    site:  MORETTA --> MORETTA_PUBLIC --> MORETTA_LEAF (no streams: the connection's own account)
    hub:   MORETTA_SITE_<leaf> (a leaf's own account) --> MORETTA_HUB

An account's imports list everything that it can ask for in the account before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operate.identities.readers import Streams, apart, back, exports, made, named, reserved
from operate.identities.server_config import MAX_CONNECTIONS, PublicKeys, ServerTls, permissions
from proto.permissions import JETSTREAM_API, SERVICE_API, Rights, inbox
from proto.subjects import ALERTS, CAMERAS, DELIVERIES, TABLE, WINDOWS, Stream, Subject, stream
from services.bus.stream_sizes import Sizes, sized

CROSSING: tuple[Subject, ...] = (WINDOWS, ALERTS, CAMERAS, DELIVERIES)
"""All rows of the table that leave a site (ADR 25)."""
HUB_STREAMS: tuple[Stream, ...] = tuple(stream(str(row.stream)) for row in CROSSING)
"""The models of a hub's common streams. All copies on the way there have the table's sizes."""
MAIN, PUBLIC, LEAF, HUB = "MORETTA", "MORETTA_PUBLIC", "MORETTA_LEAF", "MORETTA_HUB"
STREAMS_USER, LEAF_USER = "streams", "leaf"
"""The user that makes the streams of a crossing, and the user as which a site connects to the hub."""
_API, _REPLIES = JETSTREAM_API.removesuffix("."), "$JSC.R.>"
_NEVER = (
    "$KV.>",
    "$SYS.>",
    f"{SERVICE_API}.>",
    f"{_API}.>",
    "$JS.*.API.>",
    "$JS.EVENT.>",
    "$JS.ACK.>",
    "_MAIN.>",
    "_COPY.>",
)
_SPARE = 64 << 20
_MADE = ("CREATE", "UPDATE", "INFO")
_RECONNECT = "2s"
Config = dict[str, Any]


@dataclass(frozen=True)
class Link:
    """A leaf: its name, which is its JetStream domain too, and its sites."""

    name: str
    sites: tuple[str, ...]

    @property
    def account(self) -> str:
        """The leaf's account on the hub."""
        return f"MORETTA_SITE_{self.name}"

    @property
    def maker(self) -> str:
        """The user that makes the streams in that account."""
        return f"{STREAMS_USER}-{self.name}"

    @property
    def hops(self) -> tuple["Hop", "Hop", "Hop"]:
        """Three hops: from the site's streams to its copies, over the leaf connection, and into the hub's streams."""
        return (
            Hop(self, (MAIN, ""), (PUBLIC, "COPY_"), api="_MAIN", deliver="_COPY"),
            Hop(self, (PUBLIC, "COPY_"), (LEAF, "INTAKE_"), api=f"_ASK.{self.name}", deliver=f"_LEAF.{self.name}"),
            Hop(self, (self.account, "INTAKE_"), (HUB, ""), api=f"_SITE.{self.name}", deliver=f"_INTAKE.{self.name}"),
        )


@dataclass(frozen=True)
class Hop:
    """Streams of one account (the giver) copied into another's (the taker); each side is (account, stream prefix)."""

    link: Link
    giver: tuple[str, str]
    taker: tuple[str, str]
    api: str
    """The prefix of the giver's JetStream API in the taker's account."""
    deliver: str
    """The prefix of the subjects in the taker's account to which the giver's consumers may send."""

    def filters(self, row: Subject) -> list[str]:
        """Return a row's subjects for the link's sites."""
        return [row.wildcard(site=site) for site in self.link.sites]

    def asked(self, api: str) -> list[str]:
        """Return the API subjects that create consumers of these streams. Each subject names stream and filter."""
        return [
            f"{api}.CONSUMER.CREATE.{self.giver[1]}{row.stream}.*.{subject}"
            for row in CROSSING
            for subject in self.filters(row)
        ]

    @property
    def flow(self) -> list[str]:
        """The subjects of flow control: the giver asks whether the taker keeps up, and the taker answers on them."""
        return [f"$JS.FC.{self.giver[1]}{row.stream}.>" for row in CROSSING]

    def exports(self) -> list[Config]:
        """Return the giver's exports, for the taker and no other account."""
        to = [self.taker[0]]
        services = [{"service": subject, "accounts": to} for subject in (*self.asked(_API), *self.flow)]
        return [*services, {"stream": f"{self.deliver}.>", "accounts": to}]

    def imports(self) -> list[Config]:
        """Return the taker's imports, which match the giver's exports."""
        account = self.giver[0]
        pairs = zip(self.asked(_API), self.asked(self.api), strict=True)
        api = [{"service": {"account": account, "subject": theirs}, "to": ours} for theirs, ours in pairs]
        flow = [{"service": {"account": account, "subject": subject}} for subject in self.flow]
        return [*api, *flow, {"stream": {"account": account, "subject": f"{self.deliver}.>"}}]

    def sources(self, row: Subject) -> list[Config]:
        """Return a stream's `sources`."""
        external = {"api": self.api, "deliver": self.deliver}
        name = f"{self.giver[1]}{row.stream}"
        return [{"name": name, "filter_subject": one, "external": external} for one in self.filters(row)]


def leaf(
    config: Config, link: Link, urls: Sequence[str], seed: str, keys: PublicKeys, *, tls: ServerTls | None
) -> Config:
    """Return a site's configuration (see `server`) with a connection to the hub at `urls`.

    `seed` is the leaf's own. nats-server takes it only in the configuration, which is a secret from then on.
    `keys` are those of `STREAMS_USER`, which makes the copies.
    """
    inside, over, _ = link.hops
    accounts = config["accounts"]
    jetstream = config["jetstream"]
    limit = _bytes() + _SPARE
    return config | {
        "jetstream": jetstream | {"domain": link.name, "max_file_store": jetstream["max_file_store"] + limit},
        "accounts": accounts
        | {
            MAIN: accounts[MAIN] | {"exports": [*accounts[MAIN]["exports"], *inside.exports()]},
            PUBLIC: {
                "jetstream": _limits(limit),
                "users": _users(keys[STREAMS_USER], _maker(STREAMS_USER, inside.taker[1])),
                "imports": inside.imports(),
                "exports": over.exports(),
            },
            LEAF: {"users": [], "imports": over.imports()},
        },
        "leafnodes": {"reconnect": _RECONNECT, "no_advertise": True, "remotes": [_remote(urls, seed, tls)]},
    }


def _remote(urls: Sequence[str], seed: str, tls: ServerTls | None) -> Config:
    """Return the connection to the hub. MORETTA_LEAF gives and takes nothing else: these denials are a second lock."""
    denied = [*sorted({_below(row) for row in TABLE}), *_NEVER]
    remote: Config = {"urls": list(urls), "account": LEAF, "nkey": seed, "deny_imports": denied, "deny_exports": denied}
    return remote | ({"tls": tls.block()} if tls else {})


def hub(
    listen: str,
    leaf_listen: str,
    store: str,
    keys: PublicKeys,
    leaves: Mapping[Link, Sequence[str]],
    *,
    room: int = 0,
    tls: ServerTls | None = None,
    sizes: Sizes | None = None,
    readers: Streams | None = None,
) -> Config:
    """Return a hub's configuration, without a secret in it.

    `leaves` holds the public keys with which each leaf connects. Disk is reserved for at least `room` leaves. `sizes`
    gives the common streams that are larger than in the table, `readers` the streams of named readers.
    """
    each = _bytes() + _SPARE
    reader_accounts = apart(keys, readers or {}, CROSSING)
    maker = _maker(STREAMS_USER, "")
    users = _users(keys[STREAMS_USER], Rights((*maker.publish, *made(reader_accounts)), maker.subscribe))
    last = [link.hops[-1] for link in leaves]
    on_disk, in_memory = reserved(len(named(keys)))
    accounts: Config = {
        HUB: {
            "jetstream": True,
            "users": users,
            "imports": [*back(reader_accounts), *(one for hop in last for one in hop.imports())],
            "exports": exports(reader_accounts),
        },
        **{one.account: one.block(HUB, () if one.is_removed else keys[one.user]) for one in reader_accounts},
        **{link.account: _site(link, keys, found, each) for link, found in leaves.items()},
    }
    block = {"tls": tls.block()} if tls else {}
    return {
        "listen": listen,
        "max_payload": 8 << 20,
        # The server soon disconnects a client that does not read its answers or subscriptions (ADR 35).
        "max_pending": 32 << 20,
        "write_deadline": "2s",
        "max_connections": MAX_CONNECTIONS,
        "jetstream": {
            "store_dir": store,
            "domain": "hub",
            "sync_interval": "always",
            "strict": True,
            "max_memory_store": _SPARE + in_memory,
            "max_file_store": each * (max(room, len(leaves)) + 1) + _bytes(sizes) - _bytes() + on_disk,
        },
        "accounts": accounts,
        "leafnodes": {"listen": leaf_listen, "no_advertise": True, **block},
        **block,
    }


def _site(link: Link, keys: PublicKeys, found: Sequence[str], limit: int) -> Config:
    """Return a leaf's account on the hub. A stolen leaf reaches nothing beyond this account."""
    _, over, last = link.hops
    come = Rights(publish=(f"{over.deliver}.>", _REPLIES), subscribe=(*over.asked(over.api), *over.flow))
    leaves = [user | {"allowed_connection_types": ["LEAFNODE"]} for user in _users(found, come)]
    return {
        "jetstream": _limits(limit),
        "users": [*leaves, *_users(keys[link.maker], _maker(link.maker, over.taker[1]))],
        "exports": last.exports(),
    }


def _below(row: Subject) -> str:
    return f"{'.'.join(row.pattern.split('.')[:3])}.>"


def _users(keys: Sequence[str], rights: Rights) -> list[Config]:
    return [{"nkey": key, "permissions": permissions(rights)} for key in keys]


def _maker(user: str, prefix: str) -> Rights:
    made = [f"{_API}.STREAM.{verb}.{prefix}{row.stream}" for row in CROSSING for verb in _MADE]
    return Rights(publish=tuple(made), subscribe=(inbox(user),))


def _limits(size: int) -> Config:
    """Return an account's limits, so that the other side can fill no more than its own part."""
    return {"max_memory": 1, "max_file": size, "max_streams": len(CROSSING), "max_consumers": 64}


def _bytes(sizes: Sizes | None = None) -> int:
    return sum(one.max_bytes for one in sized(sizes or {}, HUB_STREAMS))


def copies(link: Link) -> list[Config]:
    """Return the streams of a site's account MORETTA_PUBLIC."""
    return [_stream(row, link.hops[0].taker[1], link.hops[0].sources(row)) for row in CROSSING]


def intake(link: Link) -> list[Config]:
    """Return the streams of a leaf's account on the hub."""
    return [_stream(row, link.hops[1].taker[1], link.hops[1].sources(row)) for row in CROSSING]


def merged(links: Iterable[Link], sizes: Sizes | None = None) -> list[Config]:
    """Return the hub's streams of all sites, named as a site's. They also republish each stored message on its subject.

    They take from each leaf only the subjects of its own sites, whatever it sent.
    """
    hops = [link.hops[-1] for link in links]
    return [
        _stream(row, "", [one for hop in hops for one in hop.sources(row)])
        | {"max_bytes": model.max_bytes, "republish": {"src": _below(row), "dest": _below(row)}}
        for row, model in zip(CROSSING, sized(sizes or {}, HUB_STREAMS), strict=True)
    ]


def _stream(row: Subject, prefix: str, sources: list[Config]) -> Config:
    """Return a stream like its model in the table, but on disk: a copy in memory would lose its place."""
    model: Stream = stream(str(row.stream))
    return {
        "name": f"{prefix}{model.name}",
        "description": model.purpose,
        "storage": "file",
        "retention": "limits",
        "discard": "old",
        "max_age": int((model.max_age_s or 0) * 1_000_000_000),
        "max_bytes": model.max_bytes,
        "max_msgs_per_subject": model.per_subject,
        "sources": sources,
        "num_replicas": 1,
    }
