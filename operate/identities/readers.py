"""Readers' own NATS accounts: what MORETTA or a hub gives to each, what each gives back, and their limits. Pure.

NATS sends an answer, and what a consumer delivers, to any subject of the asker's account. In these accounts there are
no subjects but the asker's own (ADR 20). A reader has mirrors of the public streams there, and all of JetStream that
reads (ADR 45); the page, which many visitors share, asks for one stored message after another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proto.permissions import (
    APART,
    GIVEN,
    JETSTREAM_API,
    MIRRORING,
    NAMED,
    READER,
    READERS_API,
    Rights,
    asked_of,
    heard_by,
    looking,
    mirrored,
    named_account,
    origin,
    reading,
    user_of,
)
from proto.subjects import STATS, Identity, Subject
from services.aggregate.mirrors.configuration import EARLIER, room
from services.aggregate.mirrors.consumer_limits import MAX_UNACKNOWLEDGED

Bridge = dict[str, Any]
"""An entry of an account's exports or imports."""
Streams = Mapping[str, Sequence[str]]
"""The streams that each named reader reads, by the reader's name; a reader that is not there reads `GIVEN`.

None: the reader was removed. Its account stays, without a user, so that the copies in it can be deleted (ADR 45).
"""
DOORS = {"allowed_connection_types": ["STANDARD", "WEBSOCKET"]}
"""Connection types of readers. A leaf's connection is left out: it would bring another server's subscriptions."""
_KIB, _MIB = 1 << 10, 1 << 20
_READER = {"max_connections": 20, "max_subscriptions": 100, "max_payload": 4 * _KIB}
"""Limits of a reader's account: connections in all (in a whole cluster), subscriptions of each connection, bytes of a
question. If all subscriptions are to one inbox, the answering service writes each answer connections x subscriptions
times (ADR 35)."""
_PAGE = {"max_connections": 200, "max_subscriptions": 6, "max_payload": 16 * _KIB}
"""Limits of the page's account: many people may look, with five subscriptions each."""
_CONSUMERS = 32
"""The most consumers of one mirror."""
_SPARE, _COPIES = 3 * _MIB, 3
"""Room for consumers and for the stream of the version before, and the copies of a stream. An account's limit counts
each copy; and the limits of all accounts have to fit into the server's, which takes lower ones only at a start."""
_ANSWERED = "5s"
"""How long NATS remembers where an answer goes. Until then each question takes 0.9 KB of the server's memory."""
_VERBS = (
    *(f"STREAM.{verb}" for verb in ("CREATE.*", "UPDATE.*", "DELETE.*", "INFO.*", "NAMES")),
    *(f"CONSUMER.{verb}" for verb in ("LIST.*", "DELETE.*.*")),
)
"""What the maker of a reader's streams may ask of JetStream in the reader's account: it removes consumers, too."""
_VERBS_OF_REMOVED = ("STREAM.DELETE.*", "STREAM.NAMES")
"""And in the account of a reader that was removed."""
READERS_AT_ONCE = 8
"""JetStream's limits grow by so many readers, `subscriber` among them: a server takes lower ones only at a start."""


@dataclass(frozen=True)
class Apart:
    """A user in an account of its own, with the rights of an identity, and what the giving account gives it."""

    user: str
    identity: Identity
    account: str
    rows: tuple[Subject, ...]
    """What it hears."""
    asked: tuple[str, ...] = ()
    """What it asks in the giver's account, by the giver's names."""

    @property
    def is_removed(self) -> bool:
        """Whether nobody connects any more: an account whose streams are to be deleted."""
        return not self.rows

    @property
    def verbs(self) -> tuple[str, ...]:
        """What the maker of its streams may ask of JetStream there."""
        if self.is_removed:
            return _VERBS_OF_REMOVED
        return _VERBS if self.streams else ()

    @property
    def limits(self) -> dict[str, int]:
        """The account's block `limits`."""
        return dict(_READER if self.identity == READER else _PAGE)

    @property
    def rights(self) -> Rights:
        """Its user's rights, by the names that it has for them."""
        return reading(self.asked) if self.identity == READER else looking(self.rows, self.asked)

    @property
    def streams(self) -> list[str]:
        """The streams of which it has mirrors."""
        return [stream.name for stream in mirrored(self.rows)] if self.identity == READER else []

    @property
    def mirroring(self) -> list[str]:
        """What the server asks in the giver's account to fill the mirrors, and to say that it keeps up."""
        made = [f"{JETSTREAM_API}CONSUMER.CREATE.{stream}" for stream in self.streams]
        return [*made, *(f"$JS.FC.{stream}.>" for stream in self.streams)]

    @property
    def delivered(self) -> list[str]:
        """What comes from the giver's account: live messages, and those for the mirrors."""
        mirrors = [f"{MIRRORING}{self.account}.>"] if self.streams else []
        return [*(row.wildcard() for row in self.rows), *mirrors]

    def block(self, giver: str, keys: Iterable[str]) -> Bridge:
        """Return the account as the server's configuration has it, with a user for each of these keys."""
        allowed = {"publish": {"allow": list(self.rights.publish)}, "subscribe": {"allow": list(self.rights.subscribe)}}
        users: list[Bridge] = [{"nkey": key, "permissions": allowed} | DOORS for key in keys]
        found: Bridge = {"limits": self.limits, "users": users, "imports": self._imports(giver)}
        if self.verbs:
            services = [{"service": f"{JETSTREAM_API}{verb}", "accounts": [giver]} for verb in self.verbs]
            # Without limits nothing is reserved. A stream that is larger than a limit would not come back at a start.
            jetstream = True if self.is_removed else _jetstream()
            return found | {"jetstream": jetstream, "exports": services}
        return found | {"mappings": {one: origin(one) for one in self.asked if one != origin(one)}}

    def _imports(self, giver: str) -> list[Bridge]:
        """Return the imports. For statistics, NATS tells the answering service who asks: `Nats-Request-Info`."""
        found: list[Bridge] = []
        for subject in (*self.asked, *self.mirroring):
            shared = {"share": True} if subject == STATS.wildcard() else {}
            own = {"to": origin(subject)} if subject != origin(subject) else {}
            found.append({"service": {"account": giver, "subject": subject}, **own, **shared})
        return found + [{"stream": {"account": giver, "subject": subject}} for subject in self.delivered]


def apart(users: Iterable[str], streams: Streams, rows: tuple[Subject, ...] | None = None) -> list[Apart]:
    """Return the users that have their own account: identities of the table, and named readers with their `streams`.

    Readers that were removed come last.

    `rows` are all that a hub's readers hear; they ask nothing there. Default: what the table says.
    """
    given = list(users)
    known = [(user_of(one, "MORETTA"), one, account) for one, account in APART.items()]
    found = [one for one in known if one[0] in given]
    found += [(user, READER, named_account(user)) for user in given if user.startswith(NAMED)]
    gone = [(f"{NAMED}{name}", READER) for name, mine in streams.items() if not mine]
    removed = [Apart(user, identity, named_account(user), ()) for user, identity in gone]
    if rows is None:
        return [Apart(*one, _heard(one[0], heard_by(one[1]), streams), asked_of(one[1])) for one in found] + removed
    return [Apart(*one, _heard(one[0], rows, streams)) for one in found] + removed


def _heard(user: str, rows: tuple[Subject, ...], streams: Streams) -> tuple[Subject, ...]:
    """Return which of these rows a user hears: a named reader those of its streams, others all."""
    mine = streams.get(user.removeprefix(NAMED), GIVEN)
    return tuple(row for row in rows if row.stream in mine or not user.startswith(NAMED))


def named(users: Iterable[str]) -> list[str]:
    """Return the names of the named readers among these users."""
    return [user.removeprefix(NAMED) for user in users if user.startswith(NAMED)]


def streams_of(users: Iterable[str], known: Streams, rows: Iterable[Subject]) -> dict[str, list[str]]:
    """Return the streams of each named reader among these users, those of all `rows` where none are known.

    The state of an earlier version has none: a key that is renewed takes nothing, and `apply` tells what a file takes.
    """
    every = [stream.name for stream in mirrored(rows)]
    removed = {name: list(mine) for name, mine in known.items() if not mine}
    return {name: list(known.get(name, every)) for name in named(users)} | removed


def present(streams: Streams) -> dict[str, list[str]]:
    """Return the readers that were not removed, with their streams."""
    return {name: list(mine) for name, mine in streams.items() if mine}


def exports(readers: Iterable[Apart]) -> list[Bridge]:
    """Return the giver's exports to these accounts alone. Some questions get several answers."""
    asked: dict[str, list[str]] = {}
    filled: dict[str, list[str]] = {}
    delivered: dict[str, list[str]] = {}
    for one in readers:
        for found, subjects in ((asked, one.asked), (filled, one.mirroring), (delivered, one.delivered)):
            for subject in subjects:
                found.setdefault(subject, []).append(one.account)
    kind = {"response_type": "Stream", "threshold": _ANSWERED}
    return [
        *({"service": subject, **kind, "accounts": to} for subject, to in asked.items()),
        *({"service": subject, "accounts": to} for subject, to in filled.items()),
        *({"stream": subject, "accounts": to} for subject, to in delivered.items()),
    ]


def back(readers: Iterable[Apart]) -> list[Bridge]:
    """Return the giver's imports: JetStream's API of each reader's account, with which the mirrors are made."""
    return [
        {
            "service": {"account": one.account, "subject": f"{JETSTREAM_API}{verb}"},
            "to": f"{READERS_API}{one.account}.{verb}",
        }
        for one in readers
        for verb in one.verbs
    ]


def made(readers: Iterable[Apart]) -> list[str]:
    """Return what the maker of the mirrors may publish in the giver's account, beside its own rights.

    From these it knows which streams each reader's account has to have (`mirrors.configuration.readers_of`). The
    version before makes one more (ADR 29).
    """
    return [
        f"{READERS_API}{one.account}.{asked}"
        for one in readers
        if one.verbs
        for asked in ("STREAM.NAMES", "STREAM.DELETE.*", *_kept(one.streams))
    ]


def _kept(streams: Sequence[str]) -> Iterator[str]:
    """Yield what is asked of each of a reader's streams: to make it, and which consumers it has; to remove those."""
    yield from (f"STREAM.*.{name}" for name in (*streams, EARLIER) if streams)
    yield from (f"CONSUMER.{verb}" for name in streams for verb in (f"LIST.{name}", f"DELETE.{name}.*"))


def reserved(readers: int) -> tuple[int, int]:
    """Return the bytes on disk and in memory that JetStream keeps for readers, by steps of `READERS_AT_ONCE`."""
    places = -(-(readers + 1) // READERS_AT_ONCE) * READERS_AT_ONCE
    limits = _jetstream()
    return places * limits["max_file"], places * limits["max_memory"]


def _jetstream() -> dict[str, int]:
    """Return the limits of JetStream in a reader's account: its mirrors, and consumers of them."""
    on_disk, in_memory = room()
    streams = len(mirrored(heard_by(READER))) + 1  # and that of the version before
    return {
        "max_file": _COPIES * (on_disk + _SPARE),
        "max_memory": _COPIES * in_memory,
        "max_streams": streams,
        "max_consumers": _CONSUMERS,
        "max_ack_pending": MAX_UNACKNOWLEDGED,
    }
