"""Durable consumption: a message is acknowledged after the handler's output is out, never before (design §3)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from prometheus_client import Counter

from proto.codec import ContractError, decode
from proto.subjects import Subject
from services.bus.follow import nanoseconds
from services.log import get_logger

log = get_logger()

HANDLED = Counter("moretta_bus_consumed_total", "Consumed messages by what became of them", ["row", "outcome"])

_FETCH_S = 5.0
_ACK_WAIT_S = 30.0
_PAUSE_S = 0.5


class Retry(Exception):
    """A handler asks for the message again after `delay_s` seconds."""

    def __init__(self, delay_s: float, why: str = "") -> None:
        self.delay_s = delay_s
        super().__init__(why)


class Dead(Exception):
    """A handler gives a message up for good; the reason goes to the dead subject."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a handler knows about a consumed message beside the message. `time` is the server's, in ns."""

    subject: str
    sequence: int
    time: int
    attempt: int


Handler = Callable[[Any, Delivery], Awaitable[None]]
Bury = Callable[[str, bytes, str], Awaitable[None]]
"""Called with subject, bytes and reason; returns once the dead message is stored."""


class Consumer:
    """A durable pull consumer of one row. The handler gets one message at a time.

    With `in_flight` 1 a message that waits for its retry holds all that follow. With more, the others go on, and it is
    the handler that keeps what order it needs.
    """

    def __init__(
        self, js: JetStreamContext, row: Subject, durable: str, handler: Handler, bury: Bury, *, in_flight: int = 1
    ) -> None:
        self._js, self._row, self._durable, self._handler, self._bury = js, row, durable, handler, bury
        self._in_flight = in_flight

    async def run(self, subject: str) -> None:
        """Consume through reconnects and a stream that has to be made again, until cancelled or closed for good.

        Python 3.11's `wait_for`, inside nats-py, may lose a cancellation: a closed connection ends it in any case.
        """
        while not self._js._nc.is_closed:  # noqa: SLF001 - the context offers no other way to its connection
            try:
                await self._session(subject)
            except Exception as error:
                log.warning("consuming again", durable=self._durable, error=str(error) or type(error).__name__)
            await asyncio.sleep(_PAUSE_S)

    async def _session(self, subject: str) -> None:
        config = api.ConsumerConfig(
            durable_name=self._durable,
            filter_subject=subject,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=_ACK_WAIT_S,
            max_ack_pending=self._in_flight,
            max_deliver=-1,
        )
        assert self._row.stream is not None
        await self._js.add_consumer(self._row.stream, config)
        pull = await self._js.pull_subscribe_bind(self._durable, self._row.stream)
        try:
            while True:
                try:
                    messages = await pull.fetch(1, timeout=_FETCH_S)
                except nats.errors.TimeoutError:
                    continue
                for msg in messages:
                    await self._handle(msg)
        finally:
            with contextlib.suppress(Exception):  # on a lost connection; it would take the place of a cancellation
                await pull.unsubscribe()

    async def _handle(self, msg: Msg) -> None:
        outcome = await self._outcome(msg)
        HANDLED.labels(self._row.message.__name__, outcome).inc()

    async def _outcome(self, msg: Msg) -> str:
        meta = msg.metadata
        delivery = Delivery(msg.subject, meta.sequence.stream, nanoseconds(meta.timestamp), meta.num_delivered)
        alive = asyncio.create_task(_keep_alive(msg), name=f"in progress {msg.subject}")
        try:
            await self._handler(decode(self._row, msg.data), delivery)
        except Retry as retry:
            await msg.nak(delay=retry.delay_s)
            return "retried"
        except (Dead, ContractError) as error:
            await self._bury(msg.subject, msg.data, str(error))
            await msg.term()
            return "dead"
        except Exception:
            log.exception("a consumer's handler failed; it will be asked again", subject=msg.subject)
            await msg.nak(delay=min(60.0, 2.0 ** min(meta.num_delivered, 6)))
            return "failed"
        finally:
            alive.cancel()
        await msg.ack_sync()
        return "done"


async def _keep_alive(msg: Msg) -> None:
    """Tell the server that a slow handler is still at it, or it would hand the message out twice."""
    while True:
        await asyncio.sleep(_ACK_WAIT_S / 3)
        await msg.in_progress()
