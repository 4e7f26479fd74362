"""A NATS micro service (NATS ADR-32): typed questions and answers, found and watched by asking `$SRV`."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import nats.errors
from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.micro.request import Request, ServiceError
from nats.micro.service import Service, ServiceConfig

from proto.codec import ContractError, decode_on, encode_as
from proto.subjects import Subject
from services.bus.connection import INBOXES, headers_of
from services.bus.questions import Questions
from services.kernel.log import get_logger

log = get_logger()

_WAITING = 32
"""So many wait to be told who answers (`$SRV`); more are dropped. nats-py's own limit is half a million."""

Answer = Callable[[Any], Awaitable[Struct]]
"""Called with the question; returns the row's reply, or raises `Refusal`."""


class Refusal(Exception):
    """A question that gets the row's reply too, marked as an error by the headers of ADR-32. Codes are HTTP's."""

    def __init__(self, code: int, why: str, reply: Struct) -> None:
        self.code, self.why, self.reply = code, why, reply
        super().__init__(why)


@dataclass(frozen=True)
class Endpoint:
    """What is answered: the row's subject with these tokens. `metadata` is told to whoever asks."""

    name: str
    tokens: dict[str, str]
    metadata: dict[str, str]


class _InboxesOnly:
    """The client as nats-py's micro service sees it: what wants its answer elsewhere than in an inbox gets none.

    An open server lets whoever answers publish wherever the question says. Questions to endpoints, which alone have a
    queue group, are handed on.
    """

    def __init__(self, client: Client, questions: Questions) -> None:
        self._client, self._questions = client, questions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def subscribe(self, subject: str, queue: str = "", cb: Callable[[Msg], Awaitable[None]] | None = None) -> Any:
        async def tell(msg: Msg) -> None:
            if cb is not None and msg.reply.startswith(INBOXES):
                await cb(msg)

        async def ask(msg: Msg) -> None:
            if cb is not None and msg.reply.startswith(INBOXES):
                await self._questions.put(msg, cb)

        if queue:  # filed as fast as they come, so nats-py's own limit drops none
            return await self._client.subscribe(subject, queue=queue, cb=ask)
        return await self._client.subscribe(subject, cb=tell, pending_msgs_limit=_WAITING)


class MicroService:
    """One instance of a row's service, which answers one question after another, fairly to all who ask (`Questions`).

    nats-py subscribes anew after a lost connection.
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
        for old in list(service._endpoints):  # noqa: SLF001 - nats-py has no way to take an endpoint back
            if old._subject not in wanted or old._metadata != wanted[old._subject].metadata:  # noqa: SLF001
                service._endpoints.remove(old)  # noqa: SLF001
                await old._stop()  # noqa: SLF001
        there = {old._subject for old in service._endpoints}  # noqa: SLF001
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
        """Answer one question. What is raised here nats-py answers as an error, and counts."""
        try:
            reply = await self._answer(self._question(request))
            # Elsewhere: a large answer would keep the loop from everything else for a tenth of a second.
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
            log.exception("a question could not be answered", subject=request.subject)
            raise ServiceError("500", f"{type(error).__name__}; the service's log says more") from None

    def _question(self, request: Request) -> Struct:
        return decode_on(self._row, request.subject, request.data)

    async def stop(self, limit_s: float = 1.5) -> None:
        """Take no more questions, and finish the answer in hand; no step takes longer than the limit, none raises."""
        service, self._service = self._service, None
        if service is not None:
            with contextlib.suppress(Exception):  # closing the connection ends what a lost one cannot
                async with asyncio.timeout(limit_s):
                    await service.stop()
        await self._questions.stop(limit_s)
