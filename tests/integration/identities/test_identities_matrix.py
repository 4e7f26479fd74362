"""Every identity against every subject and all of JetStream's API, on a real server, beside what the table says."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import nats.js.errors
import pytest
from golden import BY_TYPE
from identity_matrix import (
    MIRRORS,
    OWNER,
    SEEDS,
    admin,
    against_the_table,
    client,
    concrete,
    make_streams,
    rows,
    shape,
    with_admin,
)
from msgspec import structs
from nats.aio.client import Client
from nats_process import NatsProcess
from on_bus import entered, settled
from patience import patient, until

from operate.identities import Identities, nats_config
from proto.permissions import ACCOUNTS, user_of
from proto.subjects import CAMERA_LEASES, PAUSE_STATE, REPLICAS, STREAMS, TABLE, WINDOWS, Identity
from services.bus import Bus
from services.leases import Leases

PEOPLE = Identities(Path("nowhere"), SEEDS)
service = partial(entered, PEOPLE)


@pytest.fixture(name="locked", scope="module")
def _locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsProcess]:
    keys = {user: [seed.public] for user, seed in SEEDS.items()}
    folder = tmp_path_factory.mktemp("matrix")

    def config(port: int, store: str) -> str:
        return with_admin(nats_config(port, store, keys, readers={"acme": MIRRORS}))

    server = NatsProcess(folder, whole=config)
    server.start()
    yield server
    server.stop()


@pytest.fixture(name="streams")
async def _streams(locked: NatsProcess) -> None:
    await make_streams(locked)


@pytest.mark.usefixtures("streams")
async def test_everybody_may_what_the_table_says_and_nothing_else(locked: NatsProcess):
    """Each user, each subject of both accounts, each call of JetStream's API on each stream; `-s` shows the sums."""
    wrong = await against_the_table(locked)
    assert not wrong, "True: denied against the table; False: allowed against it"


COPY = {"name": "COPY", "subjects": ["copy"], "sources": [{"name": "SIGHTINGS"}]}
"""What a stolen identity would like best: sightings, repeated into its own inbox."""


def written(identity: Identity) -> list[str]:
    return [concrete(row) for row in TABLE if row.account == "MORETTA" and identity in row.publishers]


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("identity", [identity for identity in ACCOUNTS if identity != OWNER])
async def test_nobody_has_the_server_give_an_order(locked: NatsProcess, identity: Identity):
    """The server sends what it delivers wherever it is told to, to JetStream's API too: so who reads can't choose it.

    Each identity stores an order wherever it may write, and has everything that it may read sent to the order's place.
    """
    before, user = await shape(locked), user_of(identity, "MORETTA")
    places = ["$JS.API.STREAM.CREATE.COPY", "$JS.API.STREAM.UPDATE.WINDOWS", "$JS.API.STREAM.DELETE.WINDOWS"]
    order = json.dumps({**COPY, "republish": {"src": ">", "dest": f"_INBOX_{user}.>"}}).encode()
    async with client(locked, user) as (plain, _):
        for subject in written(identity):
            await plain.publish(subject, order, reply=plain.new_inbox())
        await settled(plain)
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
        await settled(plain)
    assert await shape(locked) == before


@pytest.mark.usefixtures("streams")
async def test_an_answer_among_the_windows_stops_nobody(locked: NatsProcess):
    """What is left: an answer of JetStream's can be sent to a subject. Aggregate can't read it, and stores the next."""
    window = BY_TYPE[WINDOWS.message]
    bus = await Bus.connect(PEOPLE.settings("aggregate", locked.url), "aggregate")
    async with client(locked, "operator") as (plain, denied):
        await plain.publish("$JS.API.STREAM.INFO.WINDOWS", b"", reply=WINDOWS.of(window))
        await settled(plain)
        assert not denied
    try:

        async def planted() -> bool:
            return (await bus.streams.end_of(WINDOWS, WINDOWS.of(window)))[0] > 0

        await until(planted, "the answer is stored")
        async with asyncio.timeout(patient(20)):
            assert await bus.store_once(WINDOWS, window, is_done=lambda _: False)
            assert not await bus.store_once(WINDOWS, window, is_done=lambda _: False)
        assert [one.message for one in await bus.history(WINDOWS, site=window.site, zone=window.zone)] == [window]
    finally:
        await bus.close()


async def plant(server: NatsProcess, *subjects: str) -> None:
    """As who may read in MORETTA: have an answer of JetStream's stored on each subject."""
    async with client(server, "operator") as (plain, denied), admin(server) as one:
        for subject in subjects:
            await plain.publish("$JS.API.STREAM.INFO.WINDOWS", b"", reply=subject)
        await settled(plain)
        assert not denied
        for subject in subjects:
            await until(lambda subject=subject: is_answer(one, subject), "the answer is stored", ignoring=NOT_YET)


NOT_YET = (nats.js.errors.NotFoundError,)


async def is_answer(one: Client, subject: str) -> bool:
    """Whether a subject ends with an answer of JetStream's."""
    stream = await one.jetstream().find_stream_name_by_subject(subject)
    return b"io.nats" in (await one.jetstream().get_last_msg(stream, subject)).data


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
        async with asyncio.timeout(patient(20)):
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
    """The subscriber's account has no subject but its own: whatever is answered, nothing is stored in MORETTA."""
    places = [concrete(row) for row in TABLE if row.stream] + ["$JS.API.STREAM.DELETE.DEAD", "$KV.SILENCES.v1.x"]
    async with client(locked, "subscriber") as (plain, denied), admin(locked) as one:
        before = {info.config.name: info.state.last_seq for info in await one.jetstream().streams_info()}
        for place in places:
            await plain.publish("$JS.API.STREAM.INFO.WINDOWS", b"", reply=place)
            await plain.publish("$JS.API.STREAM.MSG.GET.WINDOWS", b'{"seq": 1}', reply=place)
            await plain.publish("moretta.v1.stats.cannes", b"{}", reply=place)
            await plain.publish("$SRV.PING", b"", reply=place)
        await settled(plain)
        # Its own answer comes behind all of these, and MORETTA has seen them when it does.
        assert (await plain.request("$JS.API.STREAM.INFO.WINDOWS", b"", timeout=patient(10))).data
        assert {info.config.name: info.state.last_seq for info in await one.jetstream().streams_info()} == before
        assert not denied


@pytest.mark.usefixtures("streams")
async def test_what_is_tried_above_would_work_for_whoever_may(locked: NatsProcess):
    """With the right to both write and read by direct get, the same order is carried out: the attack is a real one."""
    async with admin(locked) as one:
        await one.jetstream().publish("$KV.SILENCES.v1.x", json.dumps(COPY).encode())
        await one.publish("$JS.API.DIRECT.GET.KV_SILENCES.$KV.SILENCES.v1.x", b"", reply="$JS.API.STREAM.CREATE.COPY")
        await settled(one)

        async def carried_out() -> bool:
            return "COPY" in await shape(locked)

        await until(carried_out, "the order is carried out")
        await one.jetstream().delete_stream("COPY")
