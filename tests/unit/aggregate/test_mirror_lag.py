"""Two looks at mirrors and their originals tell which mirror lacks messages, and which original was made anew."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import nats.errors
import pytest

from proto.permissions import JETSTREAM_API, READER, READERS_API, REPAIRED, heard_by, mirrored
from services.aggregate.mirrors import lag
from services.aggregate.mirrors.lag import AFTER_S, Originals, is_of_another

MIRRORS = f"{READERS_API}MORETTA_SUBSCRIBERS."
NAMES = [one.name for one in mirrored(heard_by(READER))]
NAME = next(name for name in NAMES if name in REPAIRED)
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
LONG_AGO = 86_400.0


@dataclass
class Stream:
    """A stream as the server tells of it: its age in seconds, its last message, and the removed ones."""

    last: int
    age_s: float = LONG_AGO
    deleted: list[int] = field(default_factory=list)

    def told(self, question: dict[str, Any]) -> dict[str, Any]:
        """The server's answer; it has the removed messages only for one who asks for them."""
        details = {"deleted": self.deleted} if self.deleted and question.get("deleted_details") else {}
        created = NOW - timedelta(seconds=self.age_s)
        return {"ts": NOW.isoformat(), "created": created.isoformat(), "state": {"last_seq": self.last} | details}


class Server:
    """A client whose requests about streams are answered from `streams`; None: nobody answers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.streams: dict[str, Stream | None] = {
            f"{api}STREAM.INFO.{name}": Stream(10) for api in (JETSTREAM_API, MIRRORS) for name in NAMES
        }

    def original(self, stream: Stream | None) -> None:
        self.streams[f"{JETSTREAM_API}STREAM.INFO.{NAME}"] = stream

    def mirror(self, stream: Stream) -> None:
        self.streams[f"{MIRRORS}STREAM.INFO.{NAME}"] = stream

    async def request(self, subject: str, payload: bytes, *, timeout: float) -> SimpleNamespace:
        """Answer as JetStream's API does."""
        stream = self.streams[subject]
        if stream is None:
            raise nats.errors.TimeoutError
        return SimpleNamespace(data=json.dumps(stream.told(json.loads(payload or b"{}"))).encode())


@pytest.fixture(name="server")
def _server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(lag, "time", SimpleNamespace(monotonic=lambda: server.now))
    return server


async def later(known: Originals, server: Server) -> bool:
    """Look once more after the time in which mirrors catch up."""
    server.now += AFTER_S
    return await known.look()


@pytest.fixture(name="known")
def _known(server: Server) -> Originals:
    return Originals(server)


@pytest.mark.parametrize(("has", "is_behind"), [(10, False), (9, True)])
async def test_a_mirror_has_what_its_original_had(server: Server, known: Originals, has: int, is_behind: bool):
    """One that lacks a message of the look before is told, though nothing was published since."""
    assert not await known.look()
    assert not known.is_due, "there was no look before"
    assert not await later(known, server)
    server.mirror(Stream(has))
    assert known.is_due
    assert await known.behind(MIRRORS, NAMES) == (NAME if is_behind else None)


async def test_a_message_of_just_now_may_be_missing(server: Server, known: Originals):
    """What was published since the look before is on its way."""
    await known.look()
    server.original(Stream(12))
    await later(known, server)
    assert await known.behind(MIRRORS, NAMES) is None


async def test_a_second_look_soon_says_nothing(server: Server, known: Originals):
    """Before `AFTER_S` is over nothing is due, and the first look still counts."""
    await known.look()
    server.now += AFTER_S / 2
    server.original(Stream(12))
    await known.look()
    assert not known.is_due
    server.now += AFTER_S / 2
    await known.look()
    assert known.is_due
    assert await known.behind(MIRRORS, NAMES) is None, "of the first look"


@pytest.mark.parametrize(("has", "is_behind"), [(8, False), (7, True)])
async def test_a_tail_that_was_removed_is_not_waited_for(server: Server, known: Originals, has: int, is_behind: bool):
    """`moretta repair` removed the last two: a mirror that was made since then ends before them."""
    server.original(Stream(10, deleted=[4, 9, 10]))
    server.mirror(Stream(has))
    await known.look()
    await later(known, server)
    assert await known.behind(MIRRORS, NAMES) == (NAME if is_behind else None)


@pytest.mark.parametrize("after_s", [0, AFTER_S])
@pytest.mark.parametrize("anew", [Stream(7), Stream(10, age_s=1), Stream(25, age_s=1)], ids=str)
async def test_an_original_that_was_made_anew(server: Server, known: Originals, anew: Stream, after_s: float):
    """A snapshot has its creation's time and fewer messages; another stream has another time. It is told once."""
    await known.look()
    server.original(anew)
    server.mirror(Stream(0))
    server.now += after_s
    assert await known.look()
    assert await known.behind(MIRRORS, NAMES) is None, "its mirror is made anew now"
    assert not await known.look()
    await later(known, server)
    assert await known.behind(MIRRORS, NAMES) == NAME


async def test_more_messages_make_no_other_stream(server: Server, known: Originals):
    """Neither does a repair, which leaves the last number as it is."""
    await known.look()
    server.original(Stream(12, deleted=[12]))
    assert not await later(known, server)
    assert not await later(known, server)


@pytest.mark.parametrize(("age_s", "is_behind"), [(AFTER_S - 1, False), (AFTER_S, True)])
async def test_a_mirror_that_was_just_made_is_not_behind(
    server: Server, known: Originals, age_s: float, is_behind: bool
):
    """It has all of its original to copy."""
    await known.look()
    await later(known, server)
    server.mirror(Stream(0, age_s=age_s))
    assert await known.behind(MIRRORS, NAMES) == (NAME if is_behind else None)


async def test_an_original_that_can_not_be_asked_is_known_as_before(server: Server, known: Originals):
    """It is not due meanwhile; what it was made into then is seen when it answers."""
    await known.look()
    server.original(None)
    server.mirror(Stream(0))
    assert not await later(known, server)
    assert await known.behind(MIRRORS, NAMES) is None
    server.original(Stream(7))
    assert await later(known, server)


@pytest.mark.parametrize(
    ("metadata", "is_other"),
    [
        ({"moretta.original": "2026-07-02T12:00:00Z", "_nats.level": "1"}, False),
        ({"moretta.original": "2026-07-01T12:00:00Z"}, True),
        ({"_nats.level": "1"}, False),  # of the version before
        (None, False),
    ],
)
def test_a_mirror_is_known_by_what_it_was_made_from(metadata: dict[str, str] | None, is_other: bool):
    """Not by its age: with a clock that was set back it is older than its original."""
    ours = {"created": "2026-07-01T13:00:00Z", "config": {"metadata": metadata}}
    assert is_of_another(ours, {"created": "2026-07-02T12:00:00Z"}) == is_other
