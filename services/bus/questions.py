"""Questions that wait for their answer: off the socket at once, filed by who asks, answered one by one (ADR 15)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, get_args

import msgspec
from msgspec import Struct
from nats.aio.msg import Msg
from nats.micro.request import Request
from prometheus_client import Counter

from services.bus.client import REQUEST_INFO
from services.bus.connection import IMPORTED
from services.bus.fair import Allowance, Asker, FairQueue
from services.kernel.log import get_logger

log = get_logger()

Fate = Literal["answered", "refused", "dropped", "outdated"]
"""Of a question: answered, if only with what is wrong with it; refused, since too many wait, or it is too long, or the
site has another holder now; dropped, for the same reasons, without a word; outdated: it waited for so long that nobody
waits for its answer."""
QUESTIONS = Counter(
    "moretta_bus_questions_total", "Questions to a micro service by what became of them", ["row", "outcome"]
)

LIMITS = 256, 128, 128, 32
"""So many questions wait at most: in all, of an account, of a user, of a connection."""
LONGEST = 16_384
"""Bytes; a longer question is refused unread, since so many wait."""
PATIENCE_S = 4.0
"""Who has waited for longer than that for a turn has given up: NATS lets an answer pass for five seconds (ADR 35)."""
REFUSALS_PER_S = 50.0
"""So many are told that their question is refused; the others a flood gets no answers for."""
_CROWDED = "429", "too many questions waiting; ask one after another"
_TOO_LONG = "413", f"a question has at most {LONGEST} bytes"
_ELSEWHERE = "503", "this site is no longer answered here; ask again"
_NAME = 64
"""Characters of a name that the asker chose."""

Handle = Callable[[Msg], Awaitable[None]]


class _Info(Struct):
    """What the server says of who asks from another account, where the import says `share`; kept in memory alone."""

    acc: str = ""
    user: str = ""
    server: str = ""
    id: int = 0


_INFO = msgspec.json.Decoder(_Info)


def asker_of(msg: Msg) -> Asker:
    """Return account, user and connection of who asks.

    From another account these are the server's words (`client.request_info`); of whom it says nothing that can be read,
    nobody in particular asks. Within the account there are none, and the inbox tells: of
    `_INBOX_user.connection.question` the first two parts, of `_INBOX_user.question` one.
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
    """What one micro service was asked and has not answered yet."""

    def __init__(self, row: str) -> None:
        self._row = row
        self._waiting: FairQueue[_Question] = FairQueue(*LIMITS)
        self._told = Allowance(REFUSALS_PER_S)
        self._answering: asyncio.Task[None] | None = None
        self._subjects: frozenset[str] = frozenset()
        for fate in get_args(Fate):
            QUESTIONS.labels(row, fate)

    def only(self, subjects: frozenset[str]) -> None:
        """Answer on these subjects alone from now on, whatever waits."""
        self._subjects = subjects

    async def put(self, msg: Msg, handle: Handle) -> None:
        """File a question for `handle`, or refuse one; never waits for an answer."""
        question = _Question(msg, handle, time.monotonic())
        if len(msg.data) > LONGEST:
            await self._turn_away(msg, _TOO_LONG)
        elif (refused := self._waiting.put(asker_of(msg), question)) is not None:
            await self._turn_away(refused.msg, _CROWDED)
        if self._waiting and (self._answering is None or self._answering.done()):
            self._answering = asyncio.create_task(self._answer_all(), name=f"answer {self._row}")

    async def _turn_away(self, msg: Msg, why: tuple[str, str]) -> None:
        if not self._told.spend(time.monotonic()):
            self._count("dropped")
            return
        self._count("refused")
        # By headers alone: a new word in the reply would be none to readers of before (ADR 15).
        await Request(msg).respond_error(*why)

    async def _answer_all(self) -> None:
        while (question := self._waiting.take()) is not None:
            try:
                await self._answer(question)
            except Exception as error:  # the connection is closed
                log.warning("an answer could not be sent", error=str(error) or type(error).__name__)

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
        """Forget what waits, and finish the answer in hand, with a limit in seconds."""
        self.only(frozenset())
        self._waiting.clear()
        if self._answering is not None and not self._answering.done():
            await asyncio.wait([self._answering], timeout=limit_s)
            self._answering.cancel()
            await asyncio.gather(self._answering, return_exceptions=True)
