"""The listeners of the proof on a real server with the real rights, and the search of real processes' memory."""

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from nats.aio.client import Client
from nats_process import NatsProcess
from patience import until

from operate.identities import Identities, nats_config
from proto.subjects import FRAMES, FRAMES_QUEUE, KEYS, PASSAGES, SIGHTINGS, WINDOWS
from services.bus.connection.connection import Connection
from services.bus.connection.resubscribe import _RETRY_S
from testbed.proof.search import Search
from testbed.proof.secret import COMMON, FilmNeedles, Label
from testbed.proof.taps import Taps, users

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another process's memory")


@pytest.fixture(name="box")
def _box(tmp_path):
    """What a tap asks of a box: how to connect to a server with its identities' rights."""
    people = Identities.make(tmp_path / "identities")
    folder = tmp_path / "nats"
    folder.mkdir()
    server = NatsProcess(folder, whole=lambda port, store: nats_config(port, store, people.public)).start()
    yield SimpleNamespace(nats=lambda identity: people.settings(identity, server.url), server=server)
    server.stop()


@contextlib.asynccontextmanager
async def speaking(box, identity: str, account: str = "MORETTA"):
    """A client with the rights of an identity."""
    connection = await Connection.connect(box.nats(identity), f"speaks as {identity}", account)
    try:
        yield connection.client
    finally:
        await connection.close()


async def said(client: Client, subject: str, data: bytes, **headers: str) -> None:
    await client.publish(subject, data, headers=headers or None)
    await client.flush()


async def test_each_identity_hears_what_it_may_and_is_refused_the_rest(box):
    """Everything there is is refused to all; what is heard comes with its headers and whose ears they were."""
    heard: set[tuple[str, str]] = set()
    words: list[tuple[bytes, bytes]] = []

    def hear(user: str, subject: str, headers: bytes, data: bytes) -> None:
        heard.add((user, subject))
        words.append((headers, data))

    window = WINDOWS.subject(site="s", zone="z")
    async with Taps(box, hear) as taps, speaking(box, "aggregate") as aggregate:
        await until(lambda: all(tap.refused for tap in taps.all), "refusals")
        assert [tap.user for tap in taps.all] == [
            tap.user for tap in taps.all if any(">" in one for one in tap.refused)
        ]
        assert len(taps.all) == len(list(users())) == 10
        assert all(tap.asked > 1 for tap in taps.all)
        await said(aggregate, window, b"a window", Trace="a header")
        await said(aggregate, PASSAGES.subject(site="s"), b"a passage")
        await until(lambda: ("subscriber", window) in heard and ("aggregate", "moretta.v1.passages.s") in heard)
        await until(lambda: {user for user, subject in heard if subject == window} >= {"operator", "notify"})
        await asyncio.sleep(2 * _RETRY_S)
        denials = [line for line in box.server.output if 'Violation - Subject ">"' in line]
    assert len(denials) <= len(taps.all), "what is meant to be refused is not asked for again"
    assert not {user for user, subject in heard if "passages" in subject} & {"subscriber", "operator", "ingest"}
    assert (b"Trace: a header\n", b"a window") in words


async def test_frames_are_heard_only_by_who_joins_the_workers(box):
    """Before, no frame is taken from the worker; then some are, sealed as they are."""
    heard: list[str] = []
    frame = FRAMES.subject(site="s", camera="c")
    async with (
        Taps(box, lambda user, subject, *_: heard.append(f"{user} {subject}")) as taps,
        speaking(box, "ingest", "MORETTA_FRAMES") as ingest,
        speaking(box, "inference", "MORETTA_FRAMES") as worker,
    ):
        taken: list[bytes] = []

        async def take(msg) -> None:
            taken.append(msg.data)

        subscription = await worker.subscribe(frame, queue=FRAMES_QUEUE, cb=take)
        await worker.flush()
        await worker.flush()  # nats-py's first PING overtakes what is buffered
        for number in range(20):
            await said(ingest, frame, bytes([number]))
        await until(lambda: len(taken) == 20, "all frames at the worker")
        assert not any(frame in one for one in heard)
        for tap in taps.all:
            await tap.join()
        await taps.of("inference-frames").publish(KEYS.subject(site="s", worker="w"), b"may not")
        await subscription.unsubscribe()

        async def are_heard() -> bool:
            await said(ingest, frame, b"a frame")
            return heard.count(f"inference-frames {frame}") >= 5

        await until(are_heard, "frames", every_s=0.05)  # the worker may take some before the server knows that it left
        assert {one for one in heard if frame in one} == {f"inference-frames {frame}"}


async def test_a_tap_hears_again_after_the_server_was_killed(box):
    """With no hand: the proof kills the server, too."""
    heard: list[str] = []
    async with Taps(box, lambda user, subject, *_: heard.append(f"{user} {subject}")):
        box.server.kill()
        box.server.start()
        sighting = SIGHTINGS.subject(site="s", camera="c")
        async with speaking(box, "inference") as inference:

            async def is_heard() -> bool:
                await said(inference, sighting, b"a sighting")
                return f"aggregate {sighting}" in heard

            await until(is_heard, "what aggregate hears", every_s=0.05)
    assert not any(one == f"subscriber {sighting}" for one in heard)


ROWS = [os.urandom(32) for _ in range(60)]
HOLDER = """
import sys
rows = bytearray()
for start in range(0, len(sys.argv[1]), 2):
    rows.append(int(sys.argv[1][start : start + 2], 16))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(name="holding")
def _holding():
    """`holding(rows)`: a process with these bytes in its memory; returns its pid."""
    started: list[subprocess.Popen] = []

    def hold(rows: bytes) -> int:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, rows.hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process.pid

    yield hold
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def searching() -> Search:
    """Picture 1 has 40 rows, of which 10 are also another one's; picture 2 has three; and there is a packet."""
    labels = [*[Label("scaled", 1)] * 30, *[Label("scaled", COMMON)] * 10, *[Label("scaled", 2)] * 3]
    labels += [Label("packet", 7)] * 17
    return Search(FilmNeedles(dict(zip(ROWS, labels, strict=True))))


@ROOT
def test_a_process_is_named_for_each_row_in_its_memory(holding):
    """By its number, and by what the row is of; a canary is none, and a process that is gone has nothing."""
    search = searching()
    pid = holding(b"".join(ROWS[:3]) + search.rows["memory"][:64])
    gone = subprocess.Popen(["true"])
    gone.wait()
    search.memory("memory", [pid, gone.pid])
    place = search["memory"]
    assert (place.canary, place.count, place.missing) == (True, 1, [])
    assert list(place.hits) == [f"pid {pid} ({Path(sys.executable).name}): scaled"]
    assert place.verdict == "found"


@ROOT
def test_pictures_in_memory_are_counted_and_not_their_rows(holding):
    """A picture is one from sixteen rows of its own on; every packet counts; what is common to several is none."""
    search = searching()
    search.pictures_in_memory("memory-inference", holding(b"".join(ROWS)))
    assert sorted(search["memory-inference"].hits.values()) == [1, 1]
    assert {where.split(": ")[1] for where in search["memory-inference"].hits} == {"scaled", "packet"}
    assert search["memory-inference"].verdict == "within bounds"
    clean = searching()
    clean.pictures_in_memory("memory-inference", holding(b"".join(ROWS[30:43])))
    assert clean["memory-inference"].hits == {}


def test_memory_that_may_not_be_read_was_not_searched(monkeypatch):
    """It is told of each process."""

    def refused(_pid: int):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("testbed.proof.search.chunks", refused)
    search = searching()
    search.memory("memory", [os.getpid()])
    assert len(search["memory"].missing) == 1
    assert "Permission denied" in search["memory"].missing[0]
    assert search["memory"].verdict == "not searched"
