"""Every identity against every subject and all of JetStream's API, on a real server, beside what the table says.

What is expected is worked out here from the table's rows, not from the permissions that are made of them.
"""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nats.js.errors
import pytest
from golden import BY_TYPE
from msgspec import structs
from nats.aio.client import Client
from nats_process import NatsProcess
from rich.console import Console
from rich.table import Table

from proto.permissions import ACCOUNTS, SERVICES, user_of
from proto.subjects import CAMERA_LEASES, PAUSE_STATE, REPLICAS, STREAMS, TABLE, WINDOWS, Account, Identity, Subject
from services.bus import Bus
from services.bus.nkey import Seed
from services.identities import Identities, nats_config
from services.leases import Leases

USERS = [(identity, account) for identity, accounts in ACCOUNTS.items() for account in accounts]
SEEDS = {user_of(*user): Seed.new() for user in USERS}
OWNER = "aggregate"
_DENIED = re.compile(r'violation for (publish|subscription) to "([^"]+)"(?: using queue "([^"]+)")?', re.IGNORECASE)
Probe = tuple[str, str, str]
"""publish or subscribe, a subject, a queue group or nothing."""
every_user = pytest.mark.parametrize(("identity", "account"), USERS, ids=list(SEEDS))


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

    def probe(self, kind: str, subject: str, may: bool, queue: str = "") -> None:
        self.tried.append((kind, subject, queue))
        if may:  # nats-py tells what was denied in small letters
            self.allowed.add((kind, subject.lower(), queue))

    def table(self) -> None:
        """The rows of both accounts, live; a tap beside a queue group is nobody's."""
        for row in TABLE:
            here = row.account == self.account
            self.probe("publish", concrete(row), here and self.identity in row.publishers)
            self.probe("subscription", row.wildcard(), here and self.identity in row.subscribers, row.queue or "")
            if row.queue:
                self.probe("subscription", row.wildcard(), may=False)
                self.probe("subscription", row.wildcard(), may=False, queue="spies")

    def jetstream(self, stream: str) -> None:
        """The API of one stream, with consumers of one's own and of the services."""
        main = self.account == "MAIN"
        reads = main and any(self.identity in row.subscribers for row in rows(stream))
        writes = main and any(self.identity in row.publishers for row in rows(stream))
        owns = main and self.identity == OWNER
        consumes = reads and owns
        api, asks = "$JS.API.STREAM.{}." + stream, (reads and not owns) or (writes and "LEASES" in stream)
        apart = self.identity == "subscriber"
        for prefix, here in (("$JS.API.STREAM", not apart), ("moretta.api.STREAM", apart)):
            self.probe("publish", f"{prefix}.INFO.{stream}", here and (reads or writes or owns))
            self.probe("publish", f"{prefix}.MSG.GET.{stream}", here and asks)
        for verb in ("CREATE", "UPDATE"):
            self.probe("publish", api.format(verb), owns)
        for verb in ("DELETE", "PURGE", "MSG.DELETE", "SNAPSHOT", "RESTORE", "LEADER.STEPDOWN", "PEER.REMOVE"):
            self.probe("publish", api.format(verb), may=False)
        for subject in ("", ".x", *(f".{concrete(row)}" for row in rows(stream))):
            self.probe("publish", f"$JS.API.DIRECT.GET.{stream}{subject}", consumes)
        self.probe("publish", f"$JS.API.CONSUMER.CREATE.{stream}", consumes)
        for verb in ("NAMES", "LIST"):
            self.probe("publish", f"$JS.API.CONSUMER.{verb}.{stream}", may=False)
        for name in ("mine", *SERVICES):
            self.consumer(stream, name, consumes)

    def consumer(self, stream: str, name: str, may: bool) -> None:
        """A consumer by name: made for a while by the owner of the streams, pushed, and never acknowledged."""
        for verb in ("CREATE.{}.{}", "CREATE.{}.{}.x", "DELETE.{}.{}"):
            self.probe("publish", f"$JS.API.CONSUMER.{verb.format(stream, name)}", may)
        for verb in ("DURABLE.CREATE.{}.{}", "MSG.NEXT.{}.{}", "INFO.{}.{}", "LEADER.STEPDOWN.{}.{}", "PAUSE.{}.{}"):
            self.probe("publish", f"$JS.API.CONSUMER.{verb.format(stream, name)}", may=False)
        self.probe("publish", f"$JS.FC.{stream}.{name}.1", may)
        self.probe("publish", f"$JS.ACK.{stream}.{name}.1.2.3.4.5", may=False)

    def inboxes(self) -> None:
        """One's own to subscribe; those of whoever one answers to publish."""
        asks = {
            user_of(name, row.account)
            for row in TABLE
            if row.reply and row.account == self.account and self.identity in row.subscribers
            for name in row.publishers
        }
        for user in SEEDS:
            self.probe("publish", f"_INBOX_{user}.x", user in asks - {"subscriber"})
            self.probe("subscription", f"_INBOX_{user}.>", user == user_of(self.identity, self.account))
        for subject in ("_INBOX.>", "*.>"):
            self.probe("subscription", subject, may=False)
        self.probe("publish", "_INBOX.x", may=False)
        self.probe("publish", "_R_.x", "subscriber" in asks)

    def rest(self) -> None:
        """What is nobody's, and what micro services tell of themselves."""
        asks = [row for row in TABLE if row.service and row.account == self.account]
        may = any(self.identity in row.publishers for row in asks)
        answers = any(self.identity in row.subscribers for row in asks)
        for verb in ("PING", "INFO", "STATS"):
            self.probe("publish", f"$SRV.{verb}", may)
            self.probe("subscription", f"$SRV.{verb}", answers)
            self.probe("publish", f"$SRV.{verb}.other", may=False)
        for subject in (
            *("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.CREATE.COPY"),
            *("$JS.API.ACCOUNT.PURGE.MAIN", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.SERVER.REMOVE"),
            *("$KV.OTHER.x", "$KV.LEASES.v2.x", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.MAIN.CONNZ", "$O.x.C.y"),
            *("moretta", "moretta.v1.other", "moretta.v2.windows.x.x", "$JSC.R.x", "$NRG.x"),
        ):
            self.probe("publish", subject, may=False)
        for subject in (">", "moretta.>", "moretta.v1.>", "$JS.>", "$JS.API.>", "$JS.EVENT.>", "$JS.ACK.>", "$KV.>"):
            self.probe("subscription", subject, may=False)
        for subject in ("$SYS.>", "$SYS.ACCOUNT.>", "$SRV.>", "moretta.v1.*.*.*", "moretta.v1.*.*.*.*", "$KV.*.>"):
            self.probe("subscription", subject, may=False)


def case(identity: Identity, account: Account) -> Case:
    one = Case(identity, account)
    one.table()
    for stream in STREAMS:
        one.jetstream(stream.name)
    one.inboxes()
    one.rest()
    return one


def with_admin(config: str) -> str:
    """One more user in MAIN, who sees whatever became of the streams."""
    whole = json.loads(config)
    whole["accounts"]["MAIN"]["users"].append({"user": "admin", "password": "admin"})
    return json.dumps(whole)


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    keys = {user: [seed.public] for user, seed in SEEDS.items()}
    folder = tmp_path_factory.mktemp("matrix")
    server = NatsProcess(folder, whole=lambda port, store: with_admin(nats_config(port, store, keys)))
    server.start()
    yield server
    server.stop()


@contextlib.asynccontextmanager
async def client(server: NatsProcess, user: str) -> AsyncIterator[tuple[Client, set[Probe]]]:
    """A plain client of one user, and what it was denied: the server says so later, on the same connection."""
    one, denied = Client(), set()

    async def error(found: Exception) -> None:
        if said := _DENIED.search(str(found)):
            denied.add(("publish" if said[1] == "publish" else "subscription", said[2].lower(), said[3] or ""))

    one._public_nkey = SEEDS[user].public
    prefix = f"_INBOX_{user}".encode()
    await one.connect(server.url, signature_cb=SEEDS[user].sign, inbox_prefix=prefix, error_cb=error)
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


@pytest.fixture(name="streams")
async def _streams(locked: NatsProcess) -> None:
    async with admin(locked) as one:
        for stream in STREAMS:
            with contextlib.suppress(nats.js.errors.BadRequestError):
                await one.jetstream().add_stream(
                    name=stream.name, subjects=list(stream.subjects), storage="memory", allow_direct=True
                )


async def shape(server: NatsProcess) -> dict[str, object]:
    """What streams there are, and how they are made."""
    async with admin(server) as one:
        return {info.config.name: info.config.as_dict() for info in await one.jetstream().streams_info()}


async def denied_of(server: NatsProcess, one: Case) -> set[Probe]:
    """Try everything; returns what the server refused."""
    async with client(server, user_of(one.identity, one.account)) as (plain, denied):
        for kind, subject, queue in one.tried:
            if kind == "publish":
                await plain.publish(subject, b"", reply=plain.new_inbox())
            else:
                await plain.subscribe(subject, queue=queue)
        await settle(plain)
    return denied


async def settle(plain: Client) -> None:
    """Wait until the server has judged all that was sent (nats-py's first PING overtakes what is buffered)."""
    await plain.flush()
    await plain.flush()


def counted(one: Case, denied: set[Probe]) -> list[str]:
    """A line of the printed table: what was tried, allowed, denied; and how that differs from what was expected."""
    tried = {(kind, subject.lower(), queue) for kind, subject, queue in one.tried}
    numbers = [
        len({p for p in probes if p[0] == kind})
        for kind in ("publish", "subscription")
        for probes in (tried, tried - denied, denied)
    ]
    return [user_of(one.identity, one.account), *map(str, numbers), str(len((tried - denied) ^ one.allowed))]


@pytest.mark.usefixtures("streams")
async def test_everybody_may_what_the_table_says_and_nothing_else(locked: NatsProcess):
    """Each user, each subject of both accounts, each call of JetStream's API on each stream; `-s` shows the sums."""
    before = await shape(locked)
    names = ("user", "publish: tried", "allowed", "denied", "subscribe: tried", "allowed", "denied", "not as expected")
    table, wrong = Table(*names, title="identities against the table"), {}
    for identity, account in USERS:
        one = case(identity, account)
        denied = await denied_of(locked, one)
        tried = {(kind, subject.lower(), queue) for kind, subject, queue in one.tried}
        wrong |= {(user_of(identity, account), *probe): probe in denied for probe in (tried - denied) ^ one.allowed}
        table.add_row(*counted(one, denied))
    Console(width=120).print(table)
    assert not wrong, "True: denied against the table; False: allowed against it"
    assert await shape(locked) == before, "no stream was made, changed or lost"


COPY = {"name": "COPY", "subjects": ["copy"], "sources": [{"name": "SIGHTINGS"}]}
"""What a stolen identity would like best: sightings, repeated into its own inbox."""


def written(identity: Identity) -> list[str]:
    return [concrete(row) for row in TABLE if row.account == "MAIN" and identity in row.publishers]


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("identity", [identity for identity in ACCOUNTS if identity != OWNER])
async def test_nobody_has_the_server_give_an_order(locked: NatsProcess, identity: Identity):
    """The server sends what it delivers wherever it is told to, to JetStream's API too: so who reads can't choose it.

    Each identity stores an order wherever it may write, and has everything that it may read sent to the order's place.
    """
    before, user = await shape(locked), user_of(identity, "MAIN")
    places = ["$JS.API.STREAM.CREATE.COPY", "$JS.API.STREAM.UPDATE.WINDOWS", "$JS.API.STREAM.DELETE.WINDOWS"]
    order = json.dumps({**COPY, "republish": {"src": ">", "dest": f"_INBOX_{user}.>"}}).encode()
    async with client(locked, user) as (plain, _):
        for subject in written(identity):
            await plain.publish(subject, order, reply=plain.new_inbox())
        await settle(plain)
        for place, stream in itertools.product(places, STREAMS):
            for row in rows(stream.name):
                get = json.dumps({"last_by_subj": concrete(row)}).encode()
                await plain.publish(f"$JS.API.DIRECT.GET.{stream.name}.{concrete(row)}", b"", reply=place)
                await plain.publish(f"$JS.API.DIRECT.GET.{stream.name}", get, reply=place)
                await plain.publish(f"$JS.API.STREAM.MSG.GET.{stream.name}", get, reply=place)
            config = {"deliver_subject": place, "ack_policy": "none"}
            body = json.dumps({"stream_name": stream.name, "config": config}).encode()
            await plain.publish(f"$JS.API.CONSUMER.CREATE.{stream.name}", body, reply=plain.new_inbox())
            for subject in written(identity):
                await plain.publish(subject, order, reply=place)
        await settle(plain)
    assert await shape(locked) == before


@pytest.mark.usefixtures("streams")
async def test_an_answer_among_the_windows_stops_nobody(locked: NatsProcess):
    """What is left: an answer of JetStream's can be sent to a subject. Aggregate can't read it, and stores the next."""
    window = BY_TYPE[WINDOWS.message]
    people = Identities(Path("nowhere"), SEEDS)
    bus = await Bus.connect(people.settings("aggregate", locked.url), "aggregate")
    async with client(locked, "operator") as (plain, denied):
        await plain.publish("$JS.API.STREAM.INFO.WINDOWS", b"", reply=WINDOWS.of(window))
        await settle(plain)
        assert not denied
    try:
        async with asyncio.timeout(20):
            while (await bus.streams.end_of(WINDOWS, WINDOWS.of(window)))[0] == 0:
                await asyncio.sleep(0.05)
            assert await bus.store_once(WINDOWS, window, is_done=lambda _: False)
            assert not await bus.store_once(WINDOWS, window, is_done=lambda _: False)
        assert [one.message for one in await bus.history(WINDOWS, site=window.site, zone=window.zone)] == [window]
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def service(server: NatsProcess, identity: Identity) -> AsyncIterator[Bus]:
    bus = await Bus.connect(Identities(Path("nowhere"), SEEDS).settings(identity, server.url), identity)
    try:
        yield bus
    finally:
        await bus.close()


async def plant(server: NatsProcess, *subjects: str) -> None:
    """As who may read in MAIN: have an answer of JetStream's stored on each subject."""
    async with client(server, "operator") as (plain, denied), admin(server) as one:
        for subject in subjects:
            await plain.publish("$JS.API.STREAM.INFO.WINDOWS", b"", reply=subject)
        await settle(plain)
        assert not denied
        async with asyncio.timeout(20):
            for subject in subjects:
                stream = await one.jetstream().find_stream_name_by_subject(subject)
                while b"io.nats" not in (await one.jetstream().get_last_msg(stream, subject)).data:
                    await asyncio.sleep(0.05)


@pytest.mark.usefixtures("streams")
async def test_an_answer_before_the_first_window_is_passed_over(locked: NatsProcess):
    """Statistics and daily reports begin with a subject's first message: none may stop them for 400 days."""
    window = structs.replace(BY_TYPE[WINDOWS.message], zone="fresh")
    async with service(locked, "aggregate") as bus, service(locked, "notify") as asking:
        await plant(locked, WINDOWS.of(window))
        for one in (bus, asking):
            assert await one.first(WINDOWS, site=window.site, zone="fresh") is None
        await bus.store(WINDOWS, window)
        for one in (bus, asking):
            first = await one.first(WINDOWS, site=window.site, zone="fresh")
            assert first is not None
            assert first.message == window


@pytest.mark.usefixtures("streams")
async def test_an_answer_behind_a_pause_ends_it_for_nobody(locked: NatsProcess):
    """Who starts then is paused still, and the next order is recorded on top of the last one."""
    state = BY_TYPE[PAUSE_STATE.message]
    async with service(locked, "ingest") as bus:
        await bus.store(PAUSE_STATE, state)
        await plant(locked, PAUSE_STATE.of(state))
        last = await bus.last(PAUSE_STATE, site=state.site)
        assert last is not None
        assert last.message == state
        later = structs.replace(state, at=state.at + 1)
        async with asyncio.timeout(20):
            assert (await bus.streams.amend(PAUSE_STATE, last.subject, lambda _: later, message_id=None))[1] == later
        assert [one.message for one in await bus.history(PAUSE_STATE, site=state.site)] == [state, later]


@pytest.mark.usefixtures("streams")
async def test_an_answer_in_the_place_of_a_lease_takes_it_from_nobody(locked: NatsProcess):
    """To its holder the entry is one that is gone: both the lease and the presence are written anew."""
    async with service(locked, "aggregate") as owner, service(locked, "ingest") as bus:
        await owner.ensure_streams(["KV_LEASES_INGEST"])
        leases = Leases(bus, CAMERA_LEASES, REPLICAS, "me")
        assert await leases.take(("cannes", "gate-1"))
        await leases.announce()
        number = leases.held["cannes", "gate-1"].number
        place = CAMERA_LEASES.subject(site="cannes", camera="gate-1")
        await plant(locked, place, REPLICAS.subject(replica="me"))
        assert await leases.confirm(("cannes", "gate-1"))
        assert leases.held["cannes", "gate-1"].number > number
        await leases.announce()  # is told that its entry isn't there
        await leases.announce()
        assert [one.message.replica for one in await bus.history(REPLICAS)] == ["me"]


@pytest.mark.usefixtures("streams")
async def test_who_may_read_only_plants_nothing(locked: NatsProcess):
    """In the subscriber's account there is no subject but its own: whatever is answered, nothing is stored in MAIN."""
    places = [concrete(row) for row in TABLE if row.stream] + ["$JS.API.STREAM.DELETE.DEAD", "$KV.SILENCES.v1.x"]
    async with client(locked, "subscriber") as (plain, denied), admin(locked) as one:
        before = {info.config.name: info.state.last_seq for info in await one.jetstream().streams_info()}
        for place in places:
            await plain.publish("moretta.api.STREAM.INFO.WINDOWS", b"", reply=place)
            await plain.publish("moretta.api.STREAM.MSG.GET.WINDOWS", b'{"seq": 1}', reply=place)
            await plain.publish("moretta.v1.stats.cannes", b"{}", reply=place)
            await plain.publish("$SRV.PING", b"", reply=place)
        await settle(plain)
        # Its own answer comes behind all of these, and MAIN has seen them when it does.
        assert (await plain.request("moretta.api.STREAM.INFO.WINDOWS", b"", timeout=10)).data
        assert {info.config.name: info.state.last_seq for info in await one.jetstream().streams_info()} == before
        assert not denied


@pytest.mark.usefixtures("streams")
async def test_what_is_tried_above_would_work_for_whoever_may(locked: NatsProcess):
    """With the right to both write and read by direct get, the same order is carried out: the attack is a real one."""
    async with admin(locked) as one:
        await one.jetstream().publish("$KV.SILENCES.v1.x", json.dumps(COPY).encode())
        await one.publish("$JS.API.DIRECT.GET.KV_SILENCES.$KV.SILENCES.v1.x", b"", reply="$JS.API.STREAM.CREATE.COPY")
        await settle(one)
        async with asyncio.timeout(20):
            while "COPY" not in await shape(locked):
                await asyncio.sleep(0.05)
        await one.jetstream().delete_stream("COPY")
