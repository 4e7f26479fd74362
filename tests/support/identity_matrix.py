"""Every identity against every subject and all of JetStream's API, on a real server, beside what the table says.

What is expected is worked out here from the table's rows, not from the permissions that are made of them.
"""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import nats.js.errors
from nats.aio.client import Client
from nats_process import NatsProcess
from on_bus import settled
from rich.console import Console
from rich.table import Table

from proto.permissions import ACCOUNTS, SERVICES, user_of
from proto.subjects import STREAMS, TABLE, Account, Identity, Subject
from services.bus.nkey import Seed

USERS = [(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]
NAMED = "subscriber-acme"
"""A reader with a name, who may what the subscriber may."""
SEEDS = {user: Seed.new() for user in [*(user_of(*user) for user in USERS), NAMED]}
READERS = {"subscriber", "page", NAMED}
"""Who is in an account of its own; their inboxes are called after the first."""
NATIVE = {"subscriber", NAMED}
"""Who has mirrors there, and all of JetStream's API that reads."""
MIRRORS = ("WINDOWS", "ALERTS", "RULES", "OPERATIONS", "CAMERAS", "DELIVERIES")
"""The streams of a reader's account."""
OWNER = "aggregate"
REPAIRED = {"WINDOWS", "ALERTS", "RULES", "OPERATIONS"}
KEPT = {"WINDOWS", "ALERTS", "RULES", "OPERATIONS", "DELIVERIES", "KV_SILENCES", "CONTROL", "AUDIT"}
_DENIED = re.compile(r'violation for (publish|subscription) to "([^"]+)"(?: using queue "([^"]+)")?', re.IGNORECASE)
Probe = tuple[str, str, str]
"""publish or subscribe, a subject, a queue group or nothing."""


def rows(stream: str) -> list[Subject]:
    return [row for row in TABLE if row.stream == stream]


def concrete(row: Subject) -> str:
    return row.wildcard().replace("*", "x")


@dataclass
class Case:
    """One user, and what the table lets it do."""

    identity: Identity
    account: Account
    allowed: set[Probe] = field(default_factory=set)
    tried: list[Probe] = field(default_factory=list)
    name: str = ""
    """The user's, if it is not the identity's own."""

    @property
    def user(self) -> str:
        return self.name or user_of(self.identity, self.account)

    @property
    def native(self) -> bool:
        """Whether it has mirrors."""
        return self.user in NATIVE

    def probe(self, kind: str, subject: str, may: bool, queue: str = "") -> None:
        self.tried.append((kind, subject, queue))
        if may:  # nats-py tells what was denied in small letters
            self.allowed.add((kind, subject.lower(), queue))

    def table(self) -> None:
        """The rows of both accounts, live; a tap beside a queue group is nobody's."""
        for row in TABLE:
            here = row.account == self.account
            own = self.native and row.pattern.startswith("moretta.")  # nobody else is there
            hears = own or (here and self.identity in row.subscribers)
            self.probe("publish", concrete(row), here and self.identity in row.publishers)
            self.probe("subscription", row.wildcard(), hears, row.queue or "")
            if row.queue:
                self.probe("subscription", row.wildcard(), may=own)
                self.probe("subscription", row.wildcard(), may=own, queue="spies")

    def jetstream(self, stream: str) -> None:
        """The API of one stream, with consumers of one's own and of the services."""
        main = self.account == "MORETTA"
        reads = main and any(self.identity in row.subscribers for row in rows(stream))
        writes = main and any(self.identity in row.publishers for row in rows(stream))
        owns = main and self.identity == OWNER
        consumes = self.native or (reads and owns)
        api, asks = "$JS.API.STREAM.{}." + stream, (reads and not owns) or (writes and "LEASES" in stream)
        backs_up, kept = self.identity == "backup", stream in KEPT
        watches = backs_up and (kept or "LEASES" in stream)
        self.probe("publish", api.format("INFO"), self.native or reads or writes or owns or watches)
        self.probe("publish", api.format("MSG.GET"), self.native or asks or (backs_up and main and stream in REPAIRED))
        self.probe("publish", f"_READER.MORETTA_SUBSCRIBERS.STREAM.CREATE.{stream}", owns and stream in MIRRORS)
        for verb in ("LIST.{}", "DELETE.{}.x"):
            self.probe(
                "publish", f"_READER.MORETTA_SUBSCRIBERS.CONSUMER.{verb.format(stream)}", owns and stream in MIRRORS
            )
        for verb in ("CREATE.{}", "CREATE.{}.x", "MSG.NEXT.{}.x", "INFO.{}.x"):
            self.probe("publish", f"_READER.MORETTA_SUBSCRIBERS.CONSUMER.{verb.format(stream)}", may=False)
        for place in ("_ORIGIN", "_MIRROR.MORETTA_SUBSCRIBERS"):
            self.probe("publish", f"{place}.STREAM.CREATE.{stream}", may=False)
            self.probe("publish", f"{place}.CONSUMER.CREATE.{stream}", may=False)
        for verb in ("CREATE", "UPDATE"):
            self.probe("publish", api.format(verb), owns)
        for verb in ("DELETE", "SNAPSHOT", "RESTORE"):
            self.probe("publish", api.format(verb), backs_up and kept)
        for way in ("ACK", "RESTORE"):
            self.probe("publish", f"$JS.SNAPSHOT.{way}.{stream}.x", backs_up and kept)
        self.probe("publish", api.format("MSG.DELETE"), backs_up and main and stream in REPAIRED)
        for verb in ("PURGE", "LEADER.STEPDOWN", "PEER.REMOVE"):
            self.probe("publish", api.format(verb), may=False)
        for subject in ("", ".x", *(f".{concrete(row)}" for row in rows(stream))):
            self.probe("publish", f"$JS.API.DIRECT.GET.{stream}{subject}", consumes)
        self.probe("publish", f"$JS.API.CONSUMER.CREATE.{stream}", consumes)
        for verb in ("NAMES", "LIST"):
            self.probe("publish", f"$JS.API.CONSUMER.{verb}.{stream}", may=self.native)
        for name in ("mine", *SERVICES):
            self.consumer(stream, name, consumes)

    def consumer(self, stream: str, name: str, may: bool) -> None:
        """A consumer by name: made for a while by the owner of the streams, pushed, and never acknowledged."""
        for verb in ("CREATE.{}.{}", "CREATE.{}.{}.x", "DELETE.{}.{}"):
            self.probe("publish", f"$JS.API.CONSUMER.{verb.format(stream, name)}", may)
        for verb in ("DURABLE.CREATE.{}.{}", "MSG.NEXT.{}.{}", "INFO.{}.{}", "LEADER.STEPDOWN.{}.{}", "PAUSE.{}.{}"):
            self.probe("publish", f"$JS.API.CONSUMER.{verb.format(stream, name)}", may=self.native)
        self.probe("publish", f"$JS.FC.{stream}.{name}.1", may)
        self.probe("publish", f"$JS.ACK.{stream}.{name}.1.2.3.4.5", may=self.native)

    def inboxes(self) -> None:
        """One's own to subscribe; those of whoever one answers to publish."""
        asks = {
            user_of(name, row.account)
            for row in TABLE
            if row.reply and row.account == self.account and self.identity in row.subscribers
            for name in row.publishers
        }
        for user in SEEDS:
            self.probe("publish", f"_INBOX_{user}.x", user in asks - READERS)
            self.probe(
                "subscription", f"_INBOX_{user}.>", user == ("subscriber" if self.user in READERS else self.user)
            )
        self.probe("subscription", "_INBOX.>", self.native)
        self.probe("subscription", "*.>", may=False)
        self.probe("publish", "_INBOX.x", may=False)
        self.probe("publish", "_R_.x", bool(asks & READERS))

    def rest(self) -> None:
        """What is nobody's, and what micro services tell of themselves."""
        asks = [row for row in TABLE if row.service and row.account == self.account]
        may = any(self.identity in row.publishers for row in asks)
        answers = any(self.identity in row.subscribers for row in asks)
        for verb in ("PING", "INFO", "STATS"):
            self.probe("publish", f"$SRV.{verb}", may)
            self.probe("subscription", f"$SRV.{verb}", answers)
            self.probe("publish", f"$SRV.{verb}.other", may=False)
        for subject in ("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"):
            self.probe("publish", subject, self.native)
        self.probe("publish", "$SYS.REQ.USER.INFO", self.user == OWNER)
        for subject in (
            *("$JS.API.STREAM.CREATE.COPY", "_READER.MORETTA_SUBSCRIBERS_other.STREAM.NAMES"),
            *("$JS.API.ACCOUNT.PURGE.MORETTA", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE"),
            *("$KV.OTHER.x", "$KV.LEASES_INGEST.v2.x", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.MORETTA.CONNZ"),
            *("$O.x.C.y", "moretta", "moretta.v1.other", "moretta.v2.windows.x.x", "$JSC.R.x", "$NRG.x"),
        ):
            self.probe("publish", subject, may=False)
        for subject in ("moretta.>", "moretta.v1.>", "moretta.v1.*.*.*", "moretta.v1.*.*.*.*", "my.>"):
            self.probe("subscription", subject, self.native)
        for subject in (">", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$JS.ACK.>", "$KV.>", "$KV.*.>", "_MIRROR.>"):
            self.probe("subscription", subject, may=False)
        for subject in ("$SYS.>", "$SYS.ACCOUNT.>", "$SRV.>", "_ORIGIN.>", "_READER.>"):
            self.probe("subscription", subject, may=False)


def case(identity: Identity, account: Account, name: str = "") -> Case:
    """What a user is to be tried with: an identity's own, or one of this name with its rights."""
    one = Case(identity, account, name=name)
    one.table()
    for stream in STREAMS:
        one.jetstream(stream.name)
    one.inboxes()
    one.rest()
    return one


def with_admin(config: str) -> str:
    """One more user in MORETTA, who sees whatever became of the streams."""
    whole = json.loads(config)
    whole["accounts"]["MORETTA"]["users"].append({"user": "admin", "password": "admin"})
    return json.dumps(whole)


@contextlib.asynccontextmanager
async def client(
    server: NatsProcess, user: str, open_door: str = "", seed: Seed | None = None
) -> AsyncIterator[tuple[Client, set[Probe]]]:
    """A plain client of one user, and what it was denied: the server says so later, on the same connection.

    By an open door, a websocket's address, it comes without a key. `seed` is that of a user who is not in the table.
    """
    one, denied = Client(), set()

    async def error(found: Exception) -> None:
        if said := _DENIED.search(str(found)):
            denied.add(("publish" if said[1] == "publish" else "subscription", said[2].lower(), said[3] or ""))

    prefix = f"_INBOX_{'subscriber' if user in READERS else user}".encode()
    if open_door:
        await one.connect(open_door, inbox_prefix=prefix, error_cb=error)
    else:
        key = seed or SEEDS[user]
        one._public_nkey = key.public
        await one.connect(server.url, signature_cb=key.sign, inbox_prefix=prefix, error_cb=error)
    try:
        yield one, denied
    finally:
        await one.close()


@contextlib.asynccontextmanager
async def admin(server: NatsProcess) -> AsyncIterator[Client]:
    one = Client()
    await one.connect(server.url, user="admin", password="admin")
    try:
        yield one
    finally:
        await one.close()


async def shape(server: NatsProcess) -> dict[str, object]:
    """What streams there are, and how they are made."""
    async with admin(server) as one:
        return {info.config.name: info.config.as_dict() for info in await one.jetstream().streams_info()}


async def denied_of(server: NatsProcess, one: Case, open_door: str = "", seed: Seed | None = None) -> set[Probe]:
    """Try everything; returns what the server refused."""
    async with client(server, one.user, open_door, seed) as (plain, denied):
        for kind, subject, queue in one.tried:
            if kind == "publish":
                await plain.publish(subject, b"", reply=plain.new_inbox())
            else:
                await plain.subscribe(subject, queue=queue)
        await settled(plain)
    return denied


def counted(one: Case, denied: set[Probe]) -> list[str]:
    """A line of the printed table: what was tried, allowed, denied; and how that differs from what was expected."""
    tried = {(kind, subject.lower(), queue) for kind, subject, queue in one.tried}
    numbers = [
        len({p for p in probes if p[0] == kind})
        for kind in ("publish", "subscription")
        for probes in (tried, tried - denied, denied)
    ]
    return [one.user, *map(str, numbers), str(len((tried - denied) ^ one.allowed))]


async def against_the_table(server: NatsProcess) -> dict[tuple[str, ...], bool]:
    """Try each user, each subject of both accounts, each call of JetStream's API on each stream; prints the sums.

    Returns what is not as expected: True if it is denied against the table. No stream is made or changed; whoever backs
    up comes last, and may remove what it puts back (ADR 32).
    """
    before = await shape(server)
    names = ("user", "publish: tried", "allowed", "denied", "subscribe: tried", "allowed", "denied", "not as expected")
    table, wrong = Table(*names, title="identities against the table"), {}
    cases = [*(case(*user) for user in USERS), case("subscriber", "MORETTA", NAMED)]
    for one in sorted(cases, key=lambda one: one.identity == "backup"):
        if one.identity == "backup":
            assert await shape(server) == before, "no stream was made, changed or lost"
        denied = await denied_of(server, one)
        tried = {(kind, subject.lower(), queue) for kind, subject, queue in one.tried}
        wrong |= {(one.user, *probe): probe in denied for probe in (tried - denied) ^ one.allowed}
        table.add_row(*counted(one, denied))
    Console(width=120).print(table)
    left = {name: config for name, config in before.items() if name not in KEPT}
    assert await shape(server) == left, "whoever backs up may remove what it puts back, and nothing else (ADR 32)"
    return wrong


async def make_streams(server: NatsProcess) -> None:
    """Make the table's streams as the admin, in memory, unless they are there."""
    async with admin(server) as one:
        for stream in STREAMS:
            with contextlib.suppress(nats.js.errors.BadRequestError):
                await one.jetstream().add_stream(
                    name=stream.name,
                    subjects=list(stream.subjects),
                    storage="memory",
                    allow_direct=True,
                    max_msgs_per_subject=stream.per_subject,  # what is kept beyond the table would stay
                )
