"""What a reader is refused on a real server: how soon its client says so, in which words, and which calls time out."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import nats.errors
import nats.js.errors
import pytest
from mirrored import make
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig
from on_bus import settled
from patience import until
from readers import ACME, Ear, Readers, coming

pytestmark = [
    pytest.mark.filterwarnings("ignore:parameter .timeout. of type .float.:DeprecationWarning"),
]
SOON_S = 1.0
"""Within this time a client says that something was refused; nats.py itself waits five seconds for an answer."""
Act = Callable[[Ear, JetStreamContext], Awaitable[object]]
OTHER = StreamConfig(name="MINE", subjects=["my.x"])


@dataclass(frozen=True)
class Refused:
    """Something that a reader may not do, and what its client says to it."""

    act: Act
    said: str
    """Words of the error, which the server sends beside the call, or in its answer."""
    raised: type[Exception] | None = None
    """What the call itself raises; a TimeoutError where the server answers nothing."""


def of(kind: str, subject: str) -> str:
    return f'permissions violation for {kind} to "{subject}"'.lower()


_LATE, _NO = nats.errors.TimeoutError, nats.js.errors.BadRequestError
_WINDOW = "moretta.v1.windows.x.x"
REFUSED = {
    "publish": Refused(lambda one, _: one.client.publish(_WINDOW, b"{}"), of("publish", _WINDOW)),
    "publish, stored": Refused(lambda _, js: js.publish(_WINDOW, b"{}"), of("publish", _WINDOW), _LATE),
    "create": Refused(lambda _, js: js.add_stream(OTHER), of("publish", "$JS.API.STREAM.CREATE.MINE"), _LATE),
    "update": Refused(
        lambda _, js: js.update_stream(OTHER.evolve(name="WINDOWS")),
        of("publish", "$JS.API.STREAM.UPDATE.WINDOWS"), _LATE,
    ),
    "purge": Refused(lambda _, js: js.purge_stream("WINDOWS"), of("publish", "$JS.API.STREAM.PURGE.WINDOWS"), _LATE),
    "delete": Refused(lambda _, js: js.delete_stream("WINDOWS"), of("publish", "$JS.API.STREAM.DELETE.WINDOWS"), _LATE),
    "delete a message": Refused(
        lambda _, js: js.delete_msg("WINDOWS", 1), of("publish", "$JS.API.STREAM.MSG.DELETE.WINDOWS"), _LATE
    ),
    "subscribe to all": Refused(lambda one, _: one.client.subscribe(">"), of("subscription", ">")),
    "a consumer with too much": Refused(
        lambda _, js: js.add_consumer("WINDOWS", ConsumerConfig(durable_name="x", max_ack_pending=2_000)),
        "max ack pending", _NO,
    ),
    "a stream that is not public": Refused(
        lambda _, js: js.stream_info("SIGHTINGS"), "stream not found", nats.js.errors.NotFoundError
    ),
}  # fmt: skip


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Readers]:
    server = Readers(tmp_path_factory.mktemp("refusals"))
    server.start()
    asyncio.run(make(server))
    yield server
    server.stop()


@pytest.mark.alone
@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_is_told_within_a_second(server: Readers, name: str):
    """In words that name the subject; a call to which the server gives no answer ends with a time-out, later."""
    row = REFUSED[name]
    async with coming(server, ACME) as one:
        js = one.client.jetstream(timeout=0.5)  # what is refused is told beside the call, however long that waits
        call = asyncio.ensure_future(row.act(one, js))
        try:
            await until(lambda: told(one, call, row.said), lambda: f"{one.errors} {call}", SOON_S, every_s=0.005)
            if row.raised is None:
                await call
            else:
                with pytest.raises(row.raised):
                    await call
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)


def told(one: Ear, call: asyncio.Future[object], words: str) -> bool:
    """Whether the client has said it: to who listens for errors, or by the call's own error."""
    raised = call.done() and call.exception()
    return any(words in error.lower() for error in (*one.errors, str(raised)))


async def test_nothing_of_it_was_done(server: Readers):
    """The streams are as they were, and nobody heard a thing."""
    async with coming(server, ACME) as one, coming(server, "subscriber") as other:
        for ear in (one, other):
            await ear.client.subscribe("moretta.>", cb=ear.take)
            await settled(ear.client)
        js = one.client.jetstream(timeout=0.1)
        before = await names(js)
        for row in REFUSED.values():
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
                await row.act(one, js)
        assert await names(js) == before
        await settled(other.client)
        assert [*one.heard, *other.heard] == []


async def names(js: JetStreamContext) -> dict[str, int]:
    """The streams of the account and how many messages each has."""
    return {str(info.config.name): info.state.messages for info in await js.streams_info()}
