"""Many sites on real servers: what crosses, what a curious hub and a stolen leaf can do, and outages."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats.errors
import nats.js.errors
import pytest
from authority import Authority, Volume
from golden import BY_TYPE
from leaf_sites import HubPlace, Site, Thief
from msgspec import structs
from nats.aio.client import Client
from nats_process import NatsProcess
from patience import patient, until

from operate.identities import ServerTls
from operate.identities.leafnodes import CROSSING
from operate.nats import streams as nats_streams
from operate.orders import OperatorFile
from proto.codec import encode
from proto.subjects import CAMERAS, DELIVERIES, STREAMS, TABLE, WINDOWS, Subject
from services.bus import Bus, NatsSettings
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError, load

STORED = [row for row in TABLE if row.stream]
Stored = list[tuple[str, bytes]]
CATCH_UP_S = 120
"""A hub tries again in its own time: up to about 45 s were seen."""


def text(row: Subject, which: str) -> bytes:
    return f"{row.message.__name__} {which}".encode()


def concrete(row: Subject, site: str = "cannes") -> str:
    return row.wildcard(site=site).replace("*", "x")


async def store(site: Site, *rows: Subject, which: str = "one") -> None:
    """Store a message on each row, as services do; the payload names the row."""
    async with site.admin("MORETTA") as one:
        for row in rows:
            await one.jetstream().publish(concrete(row, site.name), text(row, which))


async def read(place: HubPlace | Site, account: str, stream: str) -> Stored:
    """Return all of a stream, in order."""
    found: Stored = []
    async with place.admin(account) as one:
        js = one.jetstream()
        last = (await js.stream_info(stream)).state.last_seq
        for sequence in range(1, last + 1):
            with contextlib.suppress(nats.js.errors.NotFoundError):
                message = await js.get_msg(stream, sequence)
                found.append((str(message.subject), message.data or b""))
    return found


async def until_has(place: HubPlace | Site, account: str, stream: str, count: int) -> None:
    """Wait until a stream, which may not be there yet, holds so many messages."""
    async with place.admin(account) as one:

        async def has() -> bool:
            return (await one.jetstream().stream_info(stream)).state.messages >= count

        await until(has, f"{count} in {stream}", CATCH_UP_S, every_s=0.2, ignoring=NOT_YET)


NOT_YET = (nats.js.errors.NotFoundError, nats.js.errors.ServiceUnavailableError, nats.errors.Error)


async def shape(site: HubPlace | Site, account: str = "MORETTA") -> dict[str, object]:
    """What streams there are, how they are made, and how far they are."""
    async with site.admin(account) as one:
        infos = await one.jetstream().streams_info()
        return {info.config.name: (info.config.as_dict(), info.state.last_seq) for info in infos}


class SitesAndHub:
    """Two sites and their hub."""

    def __init__(
        self, folder: Path, scheme: str = "nats", tls: ServerTls | None = None, nice: ServerTls | None = None
    ) -> None:
        self.hub = HubPlace(folder, tls)
        url = f"{scheme}://127.0.0.1:{self.hub.leaf_port}"
        self.cannes, self.nice = Site(folder, "cannes", url, tls), Site(folder, "nice", url, nice)
        self.hub.join({"cannes": self.cannes.public, "nice": self.nice.public})
        self.all = (self.hub, self.cannes, self.nice)

    async def begin(self) -> None:
        for place in self.all:
            place.start()
        for place in (self.cannes, self.nice, self.hub):  # a hub that finds nothing to copy tries again in its own time
            await place.make()


@pytest.fixture(name="sites")
def _sites(tmp_path: Path) -> Iterator[SitesAndHub]:
    sites = SitesAndHub(tmp_path)
    yield sites
    for place in sites.all:
        place.server.stop()


async def test_what_is_public_reaches_the_hub_and_nothing_else(sites: SitesAndHub):
    """Everything of two sites, stored before and after: four rows arrive, once, and are told live."""
    await sites.begin()
    for site in (sites.cannes, sites.nice):
        await store(site, *STORED)
    for row in CROSSING:
        await until_has(sites.hub, "MORETTA_HUB", str(row.stream), 2)
    async with sites.hub.admin("MORETTA_HUB") as one:
        live = await one.subscribe("moretta.>")
        await one.flush()
        await store(sites.cannes, *STORED, which="two")
        received = {(message.subject, message.data) for message in [await live.next_msg(60) for _ in CROSSING]}
    assert received == {(concrete(row), text(row, "two")) for row in CROSSING}
    for row in CROSSING:
        found = await read(sites.hub, "MORETTA_HUB", str(row.stream))
        ones = {(concrete(row, site), text(row, "one")) for site in ("cannes", "nice")}
        kept = ones if row is not CAMERAS else {one for one in ones if one[0] != concrete(row)}
        assert len(found) == len(kept) + 1
        assert set(found) == kept | {(concrete(row), text(row, "two"))}
    before = await shape(sites.cannes, "MORETTA_PUBLIC")
    for place in sites.all:
        await place.make()
    assert await shape(sites.cannes, "MORETTA_PUBLIC") == before, "made again, they stay as they are"
    for place in sites.all:
        lines = await nats_streams.make(
            place.kept.folder, NatsSettings(url=place.server.url), nats_streams.How(plan=True)
        )
        assert not [line for line in lines if "becomes" in line]


async def test_a_subscriber_reads_at_the_hub_as_at_a_site(sites: SitesAndHub):
    """With the settings that the hub's folder has. It reads a copy of its own, which the hub fills in its own time."""
    await sites.begin()
    window = structs.replace(BY_TYPE[WINDOWS.message], site="cannes")
    async with sites.cannes.admin("MORETTA") as one:
        await one.jetstream().publish(WINDOWS.of(window), encode(WINDOWS, window))
    await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 1)
    settings = load(sites.hub.kept.folder / "subscriber.yaml", OperatorFile).nats
    bus = await Bus.connect(structs.replace(settings, url=sites.hub.server.url), "subscriber")
    try:
        found = await until(lambda: bus.history(WINDOWS), "the window in the copy of the reader", CATCH_UP_S)
        assert [stored.message for stored in found] == [window]
    finally:
        await bus.close()


@pytest.fixture(name="over_tls")
def _over_tls(tmp_path: Path) -> Iterator[SitesAndHub]:
    """The hub and cannes have certificates of one authority, nice of another."""

    def files(name: str, authority: Authority) -> ServerTls:
        volume = Volume(tmp_path / name, pem=authority.issue("127.0.0.1"), ca=ours.pem)
        return ServerTls(volume.pem, volume.pem, volume.ca)

    ours, theirs = Authority(), Authority()
    sites = SitesAndHub(tmp_path, "tls", files("ours", ours), files("theirs", theirs))
    yield sites
    for place in sites.all:
        place.server.stop()


async def test_a_leaf_over_tls_shows_a_certificate(over_tls: SitesAndHub):
    """cannes comes in; nice, whose certificate the hub's authority didn't issue, does not."""
    await over_tls.begin()
    for site in (over_tls.nice, over_tls.cannes):
        await store(site, WINDOWS)
    await until_has(over_tls.hub, "MORETTA_HUB", "WINDOWS", 1)
    assert await read(over_tls.hub, "MORETTA_HUB", "WINDOWS") == [(concrete(WINDOWS), text(WINDOWS, "one"))]

    output = over_tls.hub.server.output
    await until(lambda: any("TLS leafnode handshake error" in line for line in output), "nice is refused")


async def test_what_is_wrong_with_making_streams_is_reported(sites: SitesAndHub, monkeypatch: pytest.MonkeyPatch):
    """Neither keys nor a leaf, no server, another server: one line each."""
    monkeypatch.setattr(nats_streams, "_TIMEOUT_S", 2)
    sites.cannes.start()
    hub, site, url = sites.hub.kept.folder, sites.cannes.kept.folder, sites.cannes.server.url
    with pytest.raises(SettingsError, match=r"as streams-cannes: nats: 'Authorization Violation'"):
        await nats_streams.make(hub, NatsSettings(url=url), nats_streams.How())
    with pytest.raises(SettingsError, match=r"nats://127\.0\.0\.1:1 as aggregate: "):
        await nats_streams.make(site, NatsSettings(url="nats://127.0.0.1:1"), nats_streams.How())
    sites.cannes.kept.update(structs.replace(sites.cannes.kept.server, leaf=None))
    (site / "aggregate.nk").unlink()
    with pytest.raises(SettingsError, match=r"has neither aggregate\.nk, .*, nor a leaf"):
        await nats_streams.make(site, NatsSettings(url=url), nats_streams.How())


CALLS = (
    *("INFO", "STREAM.NAMES", "STREAM.LIST", "ACCOUNT.PURGE.MORETTA"),
    *(f"STREAM.{verb}.%s" for verb in ("CREATE", "UPDATE", "INFO", "DELETE", "PURGE", "MSG.GET", "MSG.DELETE")),
    *(f"STREAM.{verb}.%s" for verb in ("SNAPSHOT", "RESTORE")),
    *("DIRECT.GET.%s", "DIRECT.GET.%s.x", "CONSUMER.CREATE.%s", "CONSUMER.CREATE.%s.spy", "CONSUMER.LIST.%s"),
    *("CONSUMER.DURABLE.CREATE.%s.spy", "CONSUMER.MSG.NEXT.%s.spy", "CONSUMER.CREATE.%s.spy.>"),
)
PREFIXES = ("$JS.API", "$JS.cannes.API", "_ASK.cannes", "_MAIN", "_COPY", "$JS.hub.API")
NAMES = [*(stream.name for stream in STREAMS), *(f"COPY_{row.stream}" for row in CROSSING)]


def asked(row: Subject, subject: str) -> str:
    return f"_ASK.cannes.CONSUMER.CREATE.COPY_{row.stream}.spy.{subject}"


class Curious:
    """A hub whose operator has taken every restriction away, and looks at all that comes."""

    def __init__(self, client: Client) -> None:
        self.client, self.heard, self._asked = client, [], {}
        """What came: subject, payload."""

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, server: NatsProcess) -> AsyncIterator["Curious"]:
        one = cls(Client())
        await one.client.connect(server.url, user="spy", password="spy")
        try:
            await one.client.subscribe(">", cb=one._hear)
            await one.client.subscribe("_LEAF.cannes.spy", cb=one._hear)
            await one.client.flush()
            yield one
        finally:
            await one.client.close()

    async def _hear(self, message) -> None:
        self.heard.append((message.subject, message.data))

    async def ask(self, subject: str, body: dict[str, object], reply: str = "") -> None:
        place = reply or f"answers.{len(self._asked)}"
        self._asked[place] = subject
        await self.client.publish(subject, json.dumps(body | {"description": "spy"}).encode(), reply=place)

    @property
    def answered(self) -> dict[str, dict[str, object]]:
        return {self._asked[s]: json.loads(data) for s, data in self.heard if s.startswith("answers.") and data}


def bare_hub(leaf: str, leaf_port: int):
    """No JetStream, so that its API's subjects go through; one account, no permissions."""
    users = [{"nkey": leaf}, {"user": "spy", "password": "spy"}]

    def whole(port: int, _store: str) -> str:
        leafnodes = {"listen": f"127.0.0.1:{leaf_port}"}
        config = {"listen": f"127.0.0.1:{port}", "accounts": {"ALL": {"users": users}}, "leafnodes": leafnodes}
        return json.dumps(config)

    return whole


@pytest.fixture(name="spied")
def _spied(tmp_path: Path, sites: SitesAndHub) -> Iterator[tuple[Site, NatsProcess]]:
    """The site cannes, with a hub that is not what it was."""
    (tmp_path / "spying").mkdir()
    whole = bare_hub(sites.cannes.public, sites.hub.leaf_port)
    server = NatsProcess(tmp_path / "spying", whole=whole).start()
    sites.cannes.start()
    yield sites.cannes, server
    server.stop()


async def connected(spy: Curious) -> None:
    """The leaf is there: a consumer of the site's windows can be made, which is what a hub is for."""
    config = {
        "deliver_subject": "_LEAF.cannes.spy",
        "ack_policy": "none",
        "filter_subject": "moretta.v1.windows.cannes.*",
    }
    body = {"stream_name": "COPY_WINDOWS", "config": config | {"name": "spy"}, "action": ""}

    async def made() -> bool:
        await spy.client.publish(
            asked(WINDOWS, "moretta.v1.windows.cannes.*"), json.dumps(body).encode(), reply="answers.x"
        )
        await asyncio.sleep(0.2)
        return any(subject == "answers.x" and b'"error"' not in data for subject, data in spy.heard)

    spy._asked["answers.x"] = "first"
    await until(made, "a consumer can be made", CATCH_UP_S)


@contextlib.asynccontextmanager
async def tapped(site: Site) -> AsyncIterator[list[tuple[str, bytes]]]:
    """All that is said in the site's account MORETTA."""
    seen: list[tuple[str, bytes]] = []

    async def hear(message) -> None:
        seen.append((message.subject, message.data))

    async with site.admin("MORETTA") as one:
        await one.subscribe(">", cb=hear)
        await one.flush()
        yield seen
        await one.flush()


async def test_a_curious_hub_gets_what_is_public_and_changes_nothing(spied):
    """Every call of JetStream's API on every stream by every name, all subjects published and tapped."""
    site, server = spied
    await site.make()
    await store(site, *STORED)
    await until_has(site, "MORETTA_PUBLIC", "COPY_WINDOWS", 1)
    before = await shape(site)
    async with Curious.on(server) as spy, tapped(site) as seen:
        await connected(spy)
        for prefix, call, name in itertools.product(PREFIXES, CALLS, NAMES):
            body = {"config": {"deliver_subject": "_LEAF.cannes.spy", "ack_policy": "none"}, "stream_name": name}
            await spy.ask(f"{prefix}.{call % name if '%s' in call else call}", body | {"seq": 1, "name": name})
        for row, filtered in itertools.product(CROSSING, (concrete(DELIVERIES, "nice"), ">", "moretta.v1.*.cannes.*")):
            await spy.ask(asked(row, filtered), {"stream_name": f"COPY_{row.stream}", "config": {"name": "spy"}})
        for row in TABLE:
            await spy.client.publish(concrete(row), b"spy", reply="answers.row")
        for subject in (
            "_INBOX_aggregate.x",
            "$SRV.PING",
            "$KV.LEASES_INGEST.v1.camera.cannes.x",
            "$JS.ACK.WINDOWS.x.1.1.1.1.1",
        ):
            await spy.client.publish(subject, b"spy", reply="answers.row")
        spy._asked["answers.row"] = "row"
        await spy.client.flush()
        await asyncio.sleep(1)
        await store(site, *STORED, which="two")
        await until_has(site, "MORETTA_PUBLIC", "COPY_WINDOWS", 2)
        await connected(spy)
        await until(lambda: any(data == b"WindowV1 two" for _, data in spy.heard), "the second window", 30)
        received = [data for subject, data in spy.heard if not subject.startswith("answers.") and b"spy" not in data]
    assert set(spy.answered) == {"first"}
    assert set(received) <= {b"WindowV1 one", b"WindowV1 two", b""}, "of what it may ask for it asked for windows alone"
    assert b"WindowV1 two" in received
    assert not [data for _, data in seen if b"spy" in data], "nothing of the hub's is heard inside"
    after = await shape(site)
    assert {name: (made, last + len(STORED_IN[name])) for name, (made, last) in before.items()} == after


STORED_IN = {stream.name: [row for row in STORED if row.stream == stream.name] for stream in STREAMS}
ORDERS = (
    *("$JS.API.STREAM.DELETE.COPY_WINDOWS", "$JS.API.STREAM.PURGE.COPY_ALERTS", "$JS.API.STREAM.CREATE.NEW"),
    *(
        "$JS.API.STREAM.DELETE.WINDOWS",
        "_MAIN.CONSUMER.CREATE.WINDOWS.spy.moretta.v1.windows.cannes.*",
        "$KV.LEASES_INGEST.v1.x",
    ),
    *("_MAIN.CONSUMER.CREATE.ALERTS.spy.moretta.v1.alerts.cannes.x.x", "moretta.v1.control.cannes.pause", "_COPY.S.x"),
    *("moretta.v1.windows.cannes.x", "$JS.FC.WINDOWS.x.1", "_INBOX_aggregate.x", "moretta.v1.frames.cannes.x"),
)


async def order(spy: Curious, place: str) -> None:
    """Have stored windows and empty messages sent to a place by the site's server, and its answers too."""
    subject = asked(WINDOWS, "moretta.v1.windows.cannes.*").replace(".spy.", f".spy{abs(hash(place))}.")
    config = {"deliver_subject": place, "ack_policy": "none", "filter_subject": "moretta.v1.windows.cannes.*"}
    config |= {"idle_heartbeat": 100_000_000, "flow_control": True, "name": subject.split(".")[5]}
    await spy.client.publish(
        subject, json.dumps({"stream_name": "COPY_WINDOWS", "config": config}).encode(), reply=place
    )


async def test_a_hub_has_nothing_repeated_inside(spied):
    """A consumer delivers wherever the hub says, but in the account of the copies only, where nobody listens."""
    site, server = spied
    await site.make()
    await store(site, *STORED)
    for row in CROSSING:
        await until_has(site, "MORETTA_PUBLIC", f"COPY_{row.stream}", 1)
    before, copies = await shape(site), await shape(site, "MORETTA_PUBLIC")
    async with Curious.on(server) as spy, tapped(site) as seen:
        await connected(spy)
        for place in ORDERS:
            await order(spy, place)
        await asyncio.sleep(2)  # several heartbeats long
        await connected(spy)
        assert await shape(site) == before
        assert await shape(site, "MORETTA_PUBLIC") == copies
        assert not {subject for subject, _ in seen if subject.startswith(("moretta.", "$KV.", "_INBOX_agg"))}


CONTROL = b"NATS/1.0 100 FlowControl Request\r\n\r\n"
FORGED = b'{"forged": true}'


async def taken(thief: Thief, row: Subject, name: str) -> str:
    """Answer the hub's request for a consumer as a site does; returns where the hub waits for messages."""

    def request() -> tuple[str, str, bytes] | None:
        return next((one for one in thief.heard if f".COPY_{row.stream}." in one[0] and one[1]), None)

    found = await until(request, "the hub's request", CATCH_UP_S)
    wish = json.loads(found[2])["config"] | {"name": name}
    answer = {"type": "io.nats.jetstream.api.v1.consumer_create_response", "stream_name": f"COPY_{row.stream}"}
    answer |= {"name": name, "config": wish, "created": "2026-11-25T00:00:00Z", "num_pending": 0}
    answer |= {"delivered": {"consumer_seq": 0, "stream_seq": 0}, "ack_floor": {"consumer_seq": 0, "stream_seq": 0}}
    thief.send(found[1], json.dumps(answer).encode())
    await until(lambda: wish["deliver_subject"] in thief.interests, "the hub listens", CATCH_UP_S)
    return str(wish["deliver_subject"])


@pytest.mark.timeout(300)
async def test_a_stolen_leaf_writes_its_own_site_only(sites: SitesAndHub):
    """With the seed of cannes: windows of nice are forged, orders given, everything tapped; nice goes on."""
    await sites.begin()
    await store(sites.nice, *CROSSING)
    await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 1)
    sites.cannes.server.stop()
    async with Thief.come(sites.hub.leaf_port, sites.cannes.stolen, "cannes") as thief:
        for subject in (">", "moretta.>", "_LEAF.>", "_ASK.nice.>", "_SITE.>", "_INTAKE.>", "$JS.>"):
            thief.want(subject)
        place = await taken(thief, WINDOWS, "thief")
        for sequence, (site, body) in enumerate((("cannes", FORGED), ("nice", FORGED), ("cannes", FORGED)), 1):
            ack = f"$JS.ACK.COPY_WINDOWS.thief.1.{sequence}.{sequence}.1795631237520118590.0"
            thief.send(place, body, reply=f"{ack}@moretta.v1.windows.{site}.x", headers=b"NATS/1.0\r\nX: y\r\n\r\n")
        await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 3)
        for stream in ("WINDOWS", "INTAKE_ALERTS"):  # the hub answers control messages wherever they say
            thief.send(place, b"", reply=f"$JS.API.STREAM.DELETE.{stream}", headers=CONTROL)
        await store(sites.nice, *CROSSING, which="two")
        await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 4)
        heard = [one for one in thief.heard if not one[0].startswith(("_ASK.cannes.", "$JS.FC."))]
    assert not heard, "neither of the other site nor of the hub's other accounts"
    forged = (concrete(WINDOWS, "nice"), FORGED)
    assert forged in await read(sites.hub, "MORETTA_SITE_cannes", "INTAKE_WINDOWS"), "a leaf may say it of itself"
    both = await read(sites.hub, "MORETTA_HUB", "WINDOWS")
    assert [body for subject, body in both if subject == concrete(WINDOWS)] == [FORGED, FORGED]
    assert [body for subject, body in both if subject == forged[0]] == [text(WINDOWS, "one"), text(WINDOWS, "two")]
    assert set(await shape(sites.hub, "MORETTA_HUB")) == {str(row.stream) for row in CROSSING}
    assert "INTAKE_ALERTS" not in await shape(sites.hub, "MORETTA_SITE_cannes"), "it deleted its own account's"
    await sites.hub.make()
    assert "INTAKE_ALERTS" in await shape(sites.hub, "MORETTA_SITE_cannes")


async def as_client(place: HubPlace, seed: Seed) -> bytes:
    """What the server says to a plain client with this key."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.server.port)
    nonce = json.loads((await reader.readline()).removeprefix(b"INFO "))["nonce"]
    who = {"nkey": seed.public, "sig": seed.sign(nonce).decode(), "verbose": False}
    writer.write(b"CONNECT " + json.dumps(who).encode() + b"\r\nPING\r\n")
    try:
        async with asyncio.timeout(patient(20)):
            return await reader.readline()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


FORBIDDEN = (
    *(concrete(row, site) for row in TABLE for site in ("cannes", "nice")),
    *("_LEAF.nice.S.x", "_ASK.nice.CONSUMER.CREATE.COPY_WINDOWS.x.moretta.v1.windows.nice.*", "_INTAKE.cannes.S.x"),
    *("_INTAKE.nice.S.x", "$JS.API.STREAM.DELETE.INTAKE_WINDOWS", "$JS.hub.API.STREAM.DELETE.INTAKE_WINDOWS"),
    *("$JS.API.CONSUMER.CREATE.INTAKE_WINDOWS", "$SYS.REQ.SERVER.PING", "_INBOX_streams.x", "_INBOX_subscriber.x"),
)


async def test_a_stolen_leaf_publishes_nothing_itself(sites: SitesAndHub):
    """Each of these closes the connection, and nothing is stored; as a client it doesn't come in at all."""
    await sites.begin()
    sites.cannes.server.stop()
    before = [
        await shape(sites.hub, account) for account in ("MORETTA_HUB", "MORETTA_SITE_cannes", "MORETTA_SITE_nice")
    ]
    for subject in FORBIDDEN:
        async with Thief.come(sites.hub.leaf_port, sites.cannes.stolen, "cannes") as thief:
            thief.send(subject, FORGED, reply="_LEAF.cannes.answer")
            await until(lambda thief=thief: thief.errors and thief.over, subject)
            assert "Permissions Violation" in thief.errors[0]
    assert [
        await shape(sites.hub, account) for account in ("MORETTA_HUB", "MORETTA_SITE_cannes", "MORETTA_SITE_nice")
    ] == before
    assert b"Authorization Violation" in await as_client(sites.hub, sites.cannes.stolen)


async def publish(site: Site, count: int) -> None:
    """Store numbered windows as aggregate does, each acknowledged."""
    async with site.admin("MORETTA") as one:
        for number in range(count):
            await one.jetstream().publish(concrete(WINDOWS, site.name), b"%d" % number)


async def publish_on(site: Site, over: asyncio.Event, stored: list[tuple[float, float]]) -> None:
    """The same, ten a second until it is over; and keep when each began, and when it was acknowledged."""
    async with site.admin("MORETTA") as one:
        while not over.is_set():
            began = time.monotonic()
            await one.jetstream(timeout=patient(5)).publish(concrete(WINDOWS, site.name), b"%d" % len(stored))
            stored.append((began, time.monotonic()))
            await asyncio.sleep(0.1)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("outage_s", [5, pytest.param(30, marks=pytest.mark.long)])
@pytest.mark.first
async def test_a_lost_hub_costs_nothing(sites: SitesAndHub, outage_s: int):
    """The hub is killed and comes back: each window once and in order; the site's stores are acknowledged meanwhile."""
    await sites.begin()
    stored, over = list[tuple[float, float]](), asyncio.Event()
    storing = asyncio.create_task(publish_on(sites.cannes, over, stored))
    await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 20)
    sites.hub.server.kill()
    gone = time.monotonic()
    await asyncio.sleep(outage_s)
    await until(lambda: sum(began > gone for began, _ in stored) > 20, "a local store waits for no hub")
    during = len(stored)
    sites.hub.start()
    await until(lambda: len(stored) > during + 20, "stored after the outage, too")
    over.set()
    await storing
    await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", len(stored))
    numbered = [(concrete(WINDOWS), b"%d" % number) for number in range(len(stored))]
    assert await read(sites.hub, "MORETTA_HUB", "WINDOWS") == numbered


@pytest.mark.timeout(300)
async def test_a_killed_leaf_comes_back(sites: SitesAndHub):
    """The site's server is killed: windows before and after it arrive once and in order, and so do cameras' states."""
    await sites.begin()
    await publish(sites.cannes, 20)
    await store(sites.cannes, CAMERAS)
    await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 20)
    await until_has(sites.hub, "MORETTA_HUB", "CAMERAS", 1)
    sites.cannes.server.kill()
    sites.cannes.start()
    await sites.cannes.make()  # as aggregate does: CAMERAS was in memory
    await publish(sites.cannes, 20)
    await store(sites.cannes, CAMERAS, which="again")
    await until_has(sites.hub, "MORETTA_HUB", "WINDOWS", 40)
    twice = [(concrete(WINDOWS), b"%d" % number) for number in [*range(20), *range(20)]]
    assert await read(sites.hub, "MORETTA_HUB", "WINDOWS") == twice

    async def again() -> bool:
        return await read(sites.hub, "MORETTA_HUB", "CAMERAS") == [(concrete(CAMERAS), text(CAMERAS, "again"))]

    await until(again, "cameras' states arrive again", CATCH_UP_S, every_s=0.2)
