"""A NATS micro service (NATS ADR-32): typed requests and answers. Requests to `$SRV` discover and monitor it.

It takes a request off the socket at once, queues it by its sender (the asker), and answers it in turn (ADR 15).
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import msgspec
import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.micro.request import Request, ServiceError
from nats.micro.service import Service, ServiceConfig
from prometheus_client import Counter

from proto.codec import ContractError, decode_on, encode_as
from proto.subjects import Subject
from services.bus.connection.client import REQUEST_INFO, keep_endpoints
from services.bus.connection.connection import IMPORTED, INBOXES, headers_of
from services.bus.service.fair_queue import Asker, FairQueue, TokenBucket
from services.kernel.log import get_logger

log = get_logger()

Fate = Literal["answered", "refused", "dropped", "outdated"]
"""The outcome of a request. `answered`: also with an error about the request. `refused`: too many requests wait, it is
too long, or the site has another lease holder now. `dropped`: for the same reasons, but without an answer. `outdated`:
it waited for so long that nobody waits for its answer."""
QUESTIONS = Counter(
    "moretta_bus_questions_total", "Questions to a micro service by what became of them", ["row", "outcome"]
)

LIMITS = 256, 128, 128, 32
"""Maximum numbers of waiting requests: in all, of an account, of a user, of a connection."""
LONGEST = 16_384
"""Maximum bytes of a request. A longer one is refused unread, since so many requests may wait."""
PATIENCE_S = 4.0
"""An asker that has waited longer for its turn has given up: NATS lets an answer pass for five seconds (ADR 35)."""
REFUSALS_PER_S = 50.0
"""Maximum number of refusals sent per second. Beyond that, a flood of requests gets no answers."""
_CROWDED = "429", "too many questions waiting; ask one after another"
_TOO_LONG = "413", f"a question has at most {LONGEST} bytes"
_ELSEWHERE = "503", "this site is no longer answered here; ask again"
_NAME = 64
"""Maximum characters of a name that the asker chose."""

Handle = Callable[[Msg], Awaitable[None]]


class _Info(Struct):
    """What the server says of an asker in another account, if the import says `share`; kept in memory only."""

    acc: str = ""
    user: str = ""
    server: str = ""
    id: int = 0


_INFO = msgspec.json.Decoder(_Info)


def asker_of(msg: Msg) -> Asker:
    """Return account, user and connection of the asker.

    For an asker in another account, these are the server's words (`client.request_info`). If they can't be read, the
    asker stays unnamed. For an asker in the same account the server says nothing, so the inbox's name decides. Of
    `_INBOX_user.connection.question` the first two parts count, of `_INBOX_user.question` the first.
    """
    if not msg.reply.startswith(IMPORTED):
        user, *rest = msg.reply.split(".")
        return "", user[:_NAME], rest[0][:_NAME] if len(rest) > 1 else ""
    try:
        info = _INFO.decode((msg.headers or {}).get(REQUEST_INFO, ""))
    except msgspec.DecodeError:
        info = _Info()
    return info.acc, info.user, f"{info.server} {info.id}"


@dataclass(frozen=True, slots=True)
class _Question:
    msg: Msg
    handle: Handle
    came: float
    """time.monotonic()"""


class Questions:
    """The requests that one micro service has received and not answered yet."""

    def __init__(self, row: str) -> None:
        self._row = row
        self._waiting: FairQueue[_Question] = FairQueue(*LIMITS)
        self._refusals_to_log = TokenBucket(REFUSALS_PER_S)
        self._answering: asyncio.Task[None] | None = None
        self._subjects: frozenset[str] = frozenset()
        for fate in get_args(Fate):
            QUESTIONS.labels(row, fate)

    def only(self, subjects: frozenset[str]) -> None:
        """Answer on these subjects only from now on, whatever waits."""
        self._subjects = subjects

    async def put(self, msg: Msg, handle: Handle) -> None:
        """Queue a request for `handle`, or refuse one; never wait for an answer."""
        question = _Question(msg, handle, time.monotonic())
        if len(msg.data) > LONGEST:
            await self._turn_away(msg, _TOO_LONG)
        elif (refused := self._waiting.put(asker_of(msg), question)) is not None:
            await self._turn_away(refused.msg, _CROWDED)
        if self._waiting and (self._answering is None or self._answering.done()):
            self._answering = asyncio.create_task(self._answer_all(), name=f"answer {self._row}")

    async def _turn_away(self, msg: Msg, why: tuple[str, str]) -> None:
        if not self._refusals_to_log.spend(time.monotonic()):
            self._count("dropped")
            return
        self._count("refused")
        # By headers only: clients of earlier versions would not know a new word in the reply (ADR 15).
        await Request(msg).respond_error(*why)

    async def _answer_all(self) -> None:
        while (question := self._waiting.take()) is not None:
            try:
                await self._answer(question)
            except Exception as error:  # the connection is closed
                log.warning("answer not sent", error=str(error) or type(error).__name__)

    async def _answer(self, question: _Question) -> None:
        if question.msg.subject not in self._subjects:
            await self._turn_away(question.msg, _ELSEWHERE)
        elif time.monotonic() - question.came > PATIENCE_S:
            self._count("outdated")
        else:
            self._count("answered")
            await question.handle(question.msg)

    def _count(self, fate: Fate) -> None:
        QUESTIONS.labels(self._row, fate).inc()

    async def stop(self, limit_s: float) -> None:
        """Drop what waits, and finish the answer in progress, within a limit in seconds."""
        self.only(frozenset())
        self._waiting.clear()
        if self._answering is not None and not self._answering.done():
            await asyncio.wait([self._answering], timeout=limit_s)
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)


_WAITING = 32
"""Maximum number of waiting `$SRV` requests; more are dropped. nats-py's own limit is half a million."""

Answer = Callable[[Any], Awaitable[Struct]]
"""Called with the request; returns the row's reply, or raises `Refusal`."""


class Refusal(Exception):
    """A refused request. Its answer holds the row's reply too, and ADR-32's headers mark an error. Codes are HTTP's."""

    def __init__(self, code: int, why: str, reply: Struct) -> None:
        self.code, self.why, self.reply = code, why, reply
        super().__init__(why)


@dataclass(frozen=True)
class Endpoint:
    """A subject that is answered: the row's subject with these tokens. Any client that asks gets the `metadata`."""

    name: str
    tokens: dict[str, str]
    metadata: dict[str, str]


class _InboxesOnly:
    """The client as nats-py's micro service sees it. A request that wants its answer outside an inbox gets none.

    An open server lets an answering service publish to any subject that a request names. Requests to endpoints are
    handed on to the queue; only endpoints have a queue group.
    """

    def __init__(self, client: Client, questions: Questions) -> None:
        self._client, self._questions = client, questions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def subscribe(self, subject: str, queue: str = "", cb: Callable[[Msg], Awaitable[None]] | None = None) -> Any:
        async def deliver(msg: Msg) -> None:
            if cb is not None and msg.reply.startswith(INBOXES):
                await cb(msg)

        async def ask(msg: Msg) -> None:
            if cb is not None and msg.reply.startswith(INBOXES):
                await self._questions.put(msg, cb)

        if queue:  # queued as fast as they come, so nats-py's own limit drops none
            return await self._client.subscribe(subject, queue=queue, cb=ask)
        return await self._client.subscribe(subject, cb=deliver, pending_msgs_limit=_WAITING)


class MicroService:
    """One instance of a row's service. It answers one request after another, fairly to all askers (`Questions`).

    nats-py subscribes again after a lost connection.
    """

    def __init__(self, client: Client, row: Subject, answer: Answer) -> None:
        self._client, self._row, self._answer = client, row, answer
        self._service: Service | None = None
        self._questions = Questions(row.message.__name__)

    async def offer(self, endpoints: Iterable[Endpoint]) -> None:
        """Answer at these endpoints, and at no others from now on."""
        service = await self._started()
        wanted = {self._row.subject(**one.tokens): one for one in endpoints}
        self._questions.only(frozenset(wanted))
        kept = {subject: one.metadata for subject, one in wanted.items()}
        there = await keep_endpoints(service, kept)
        for subject in [subject for subject in wanted if subject not in there]:
            one = wanted[subject]
            await service.add_endpoint(name=one.name, subject=subject, handler=self._respond, metadata=one.metadata)

    async def _started(self) -> Service:
        if self._service is None:
            about = self._row.service
            assert about is not None
            config = ServiceConfig(
                name=about.name,
                version=about.version,
                description=about.description,
                metadata={kind: message.__name__ for kind, message in self._messages().items()},
                queue_group=self._row.queue,
            )
            self._service = Service(cast("Client", _InboxesOnly(self._client, self._questions)), config)
            with contextlib.suppress(nats.errors.Error):  # its last step only waits until the server knows
                await self._service.start()
        return self._service

    def _messages(self) -> dict[str, type[Struct]]:
        assert self._row.reply is not None
        return {"request": self._row.message, "reply": self._row.reply}

    async def _respond(self, request: Request) -> None:
        """Answer one request. nats-py answers an exception raised here as an error, and counts it."""
        try:
            reply = await self._answer(self._question(request))
            # In a thread: encoding a large answer would block the event loop for a tenth of a second.
            data = await asyncio.to_thread(encode_as, self._row.encoding, reply)
            await request.respond(data, headers_of(self._row))
        except Refusal as refusal:
            data = encode_as(self._row.encoding, refusal.reply)
            await request.respond_error(str(refusal.code), refusal.why, data, headers_of(self._row))
        except ContractError as error:
            raise ServiceError("400", str(error)) from None
        except nats.errors.MaxPayloadError:
            why = "the answer is larger than NATS takes here; ask for less, or set its max_payload to 8MB"
            raise ServiceError("413", why) from None
        except Exception as error:
            log.exception("request not answered", subject=request.subject)
            raise ServiceError("500", f"{type(error).__name__}; the service's log says more") from None

    def _question(self, request: Request) -> Struct:
        return decode_on(self._row, request.subject, request.data)

    async def stop(self, limit_s: float = 1.5) -> None:
        """Take no more requests, and finish the answer in progress. No step exceeds the limit, none raises."""
        service, self._service = self._service, None
        if service is not None:
            with contextlib.suppress(Exception):  # fails on a lost connection; closing the connection ends the rest
                async with asyncio.timeout(limit_s):
                    await service.stop()
        await self._questions.stop(limit_s)
