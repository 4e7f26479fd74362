"""What statistics of streams tell of people: on two real servers, one whose cameras saw nobody and one with a crowd.

The list of what is asked is made of the table of rights (proto.permissions): every statistic that an identity may ask
for is asked for as that identity, on both servers.
"""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from golden import BY_TYPE
from identity_matrix import ACCOUNTS, MIRRORS, client, user_of
from msgspec import structs
from patience import until
from readers import Readers, make_mirrors

from proto.codec import encode
from proto.permissions import rights_of
from proto.public import CameraV1, WindowV1
from proto.sightings import CODES, CameraEventV1, PassageV1, SightingsV1, SightingV1, TickV1
from proto.subjects import CAMERA_EVENTS, CAMERAS, PASSAGES, SIGHTINGS, STREAMS, TICKS, WINDOWS, Identity
from proto.types import Verdict
from services.aggregate import stream_retention
from services.bus import Bus, NatsSettings
from services.kernel.settings import Secret

SECOND, AT = 1_000_000_000, 1_800_000_000_000_000_000
PICTURES, FACES, PASSED = 3_000, 20, 400
"""Ten minutes of a camera at five pictures a second; in a crowd each picture has so many faces."""
WATCHED: list[Identity] = ["notify", "operator", "backup", "subscriber", "page"]
"""Ingest and inference hold the pictures themselves, and aggregate decides from what was seen in them."""
STATISTIC = re.compile(r"^(\$JS\.API)\.(?:STREAM\.INFO\.)?(\w+)$")
PASSING = re.compile(
    r'"(?:created|moretta\.original|ts|first_ts|last_ts|leader|active|inflight)":\s*"?[^",}]+"?'
    r'|"(?:(?:first|last)_)?seq":1\d{15}\b'
)
"""Moments, when a stream was made and a message stored, with leases' numbers (ADR 6), the server's random name; and for
how long a mirror has heard nothing, and which questions are being answered."""
pytestmark = pytest.mark.xdist_group("statistics")


def sightings(sequence: int, faces: int) -> SightingsV1:
    box = (0.1, 0.1, 0.2, 0.2)
    seen = [SightingV1(box, CODES["masked"], 0.9, 0.9) for _ in range(faces)]
    return structs.replace(BY_TYPE[SightingsV1], sequence=sequence, at=AT + sequence * SECOND // 5, faces=seen)


def passage(number: int, verdict: Verdict = "masked") -> PassageV1:
    return structs.replace(BY_TYPE[PassageV1], stream_sequence=1_000 + number, code=CODES[verdict], index=0)


async def fill(server: Readers, *, crowd: bool) -> None:
    """Store what ten minutes leave: every picture, the ticks, a camera's state, a window; with a crowd its passages."""
    bus = await Bus.connect(NatsSettings(url=server.url, user="admin", password=Secret("admin")), "aggregate")
    await bus.ensure_streams([stream.name for stream in STREAMS])
    stream = bus.client.jetstream()
    publish = stream.publish_async
    for number in range(PICTURES):
        await publish(SIGHTINGS.of(one := sightings(number, FACES if crowd else 0)), encode(SIGHTINGS, one))
        if number % 5 == 0:
            await publish(TICKS.subject(site="cannes"), encode(TICKS, TickV1(site="cannes")))
    for row, message in (
        (CAMERA_EVENTS, BY_TYPE[CameraEventV1]),
        (CAMERAS, BY_TYPE[CameraV1]),
        (WINDOWS, BY_TYPE[WindowV1]),
    ):
        await publish(row.of(message), encode(row, message))
    for number in range(PASSED if crowd else 0):
        await publish(PASSAGES.of(one := passage(number)), encode(PASSAGES, one))
    await stream.publish_async_completed()
    await bus.close()


@contextmanager
def running(folder: Path) -> Iterator[Readers]:
    server = Readers(folder, monitored=True)
    server.start()
    yield server
    server.stop()


@pytest.fixture(name="scenes", scope="module")
def _scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Readers, Readers]]:
    """The server whose cameras saw nobody, and the one with a crowd."""
    with running(tmp_path_factory.mktemp("empty")) as empty, running(tmp_path_factory.mktemp("crowd")) as crowd:
        yield empty, crowd


def statistics(identity: Identity) -> list[str]:
    """Every subject by which an identity may ask for statistics of a stream; a reader may of its account, too."""
    if identity == "subscriber":
        return ["$JS.API.INFO", *(f"$JS.API.STREAM.INFO.{name}" for name in MIRRORS)]
    return [one for one in rights_of(identity, "MORETTA").publish if STATISTIC.match(one)]


async def answers(server: Readers, identity: Identity) -> dict[str, str]:
    """What the server answers an identity to each of them, without the moments."""
    async with client(server, user_of(identity, "MORETTA")) as (one, denied):
        found = {
            subject: (await one.request(subject, b"", timeout=20)).data.decode() for subject in statistics(identity)
        }
    assert not denied
    return {subject: PASSING.sub("", _sorted(answer)) for subject, answer in found.items()}


def _sorted(answer: str) -> str:
    """The answer with a stream's sources in order: the server has them in any."""
    read = json.loads(answer)
    for place in (read, read.get("config", {})):
        if "sources" in place:
            place["sources"].sort(key=lambda one: one["name"])
    return json.dumps(read, separators=(",", ":"))


async def test_no_statistic_that_may_be_asked_for_tells_a_crowd_from_nobody(scenes):
    """Of every identity that is watched: each answer is the same on both servers."""
    empty, crowd = scenes
    await fill(empty, crowd=False)
    await fill(crowd, crowd=True)
    for server in scenes:
        await make_mirrors(server)
        await until(lambda server=server: jsz(server)["CAMERAS"]["messages"] == 1, "the mirrors are full")
    for identity in WATCHED:
        here, there = await answers(empty, identity), await answers(crowd, identity)
        print(f"{identity}: {', '.join(subject.rpartition('.')[2] for subject in here)}")
        assert here
        assert here == there
    told = [jsz(one) for one in scenes]
    assert told[0]["SIGHTINGS"]["bytes"] * 3 < told[1]["SIGHTINGS"]["bytes"], "else this would prove nothing"
    assert [one["PASSAGES"]["messages"] for one in told] == [0, PASSED]


def jsz(server: Readers) -> dict[str, dict[str, int]]:
    """What the administrator reads at the monitoring port: it tells the two apart."""
    with urllib.request.urlopen(f"{server.monitor}/jsz?accounts=true&streams=true", timeout=20) as answer:
        accounts = json.loads(answer.read())["account_details"]
    return {one["name"]: one["state"] for account in accounts for one in account.get("stream_detail", [])}


@pytest.mark.parametrize("identity", WATCHED)
def test_nobody_else_may_ask_about_streams_that_grow_with_people(identity):
    """Nor about the whole account, whose bytes are the sum of all; nor, as NATS's own system, about connections."""
    asked = {STATISTIC.match(subject)[2] for subject in statistics(identity)}
    assert not asked & stream_retention.COARSE
    rights = rights_of(identity, "MORETTA")
    own = {"$JS.API.INFO"} if identity == "subscriber" else set()  # of an account with what is published alone
    told = {one for one in (*rights.publish, *rights.subscribe) if one.startswith("$SYS") or one.endswith("API.INFO")}
    assert told == own


def test_whoever_is_not_watched_sees_pictures_or_what_was_seen():
    """A new identity is watched, until somebody decides otherwise."""
    assert {*ACCOUNTS} - {*WATCHED} == {"ingest", "inference", "aggregate"}


def test_stored_messages_of_one_kind_are_equally_long_whatever_the_verdict():
    """A stream's bytes do not tell one verdict from another, by one message or by many."""
    verdicts = get_args(Verdict)
    assert len({len(encode(PASSAGES, passage(1, verdict))) for verdict in verdicts}) == 1
    faces = [
        [structs.replace(sightings(1, 1).faces[0], code=CODES[one]) for one in pair]
        for pair in product(verdicts, repeat=2)
    ]
    assert len({len(encode(SIGHTINGS, structs.replace(sightings(1, 0), faces=pair))) for pair in faces}) == 1


def test_a_month_of_metrics_about_streams_does_not_tell_a_crowd_from_nobody():
    """`moretta_stream_bytes`, each quarter of an hour of 30 days: nobody, or by day 20 faces in each picture.

    Of four cameras, with the streams as large as they are made. 32 faces in each picture all the time would fill
    SIGHTINGS to nine tenths, and that is told (docs/privacy.md).
    """
    sizes = [len(encode(SIGHTINGS, sightings(1_000_000, faces))) + 60 for faces in (0, 20)]
    limits = {stream.name: stream.max_bytes for stream in STREAMS}
    kept_s = {stream.name: stream.max_age_s for stream in STREAMS}
    pictures = int(4 * 5 * kept_s["SIGHTINGS"])
    told = set()
    for quarter in range(30 * 96):
        by_day = 32 <= quarter % 96 < 80
        for size in (sizes[0], sizes[by_day]):
            told.add(stream_retention.shown("SIGHTINGS", pictures * size, limits["SIGHTINGS"]))
        people = 4 * 20 * 60 * int(kept_s["PASSAGES"] / 3_600) * by_day
        told.add(
            stream_retention.shown("PASSAGES", people * (len(encode(PASSAGES, passage(1))) + 60), limits["PASSAGES"])
        )
        told.add(stream_retention.shown("DRIFT", 4 * 16 * (200 + 400 * by_day), limits["DRIFT"]))
    assert told == {0}
