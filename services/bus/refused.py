"""Subscriptions that the server refuses: asked for again, since the rights of a new version may come a moment later.

NATS tells of a refusal once and forgets it: whoever subscribes before the server has its new configuration would wait
in silence for ever (ADR 29).
"""

import asyncio
import contextlib
import re

import nats.errors
from nats.aio.client import Client

_REFUSED = re.compile(r"permissions violation for subscription to \"([^\"\s]+)", re.IGNORECASE)
_AGAIN_S = 2.0
_CANCEL_S = 0.5


class Refused:
    """What a client may not subscribe at present."""

    def __init__(self, client: Client, again_s: float = _AGAIN_S) -> None:
        self._client, self._again_s = client, again_s
        self._heard: set[str] = set()
        self._asked: set[str] = set()
        self._asking: asyncio.Task[None] | None = None

    @property
    def subjects(self) -> frozenset[str]:
        """The subjects that are refused, as far as is known."""
        return frozenset(self._heard | self._asked)

    def heard(self, text: str) -> None:
        """Take in what the server said; from then on it is asked again for what it refused, until it doesn't."""
        if (found := _REFUSED.search(text)) is None:
            return
        # nats-py tells it in small letters, and some subjects have others.
        ours = {one.subject for one in self._client._subs.values()}  # noqa: SLF001 - nats-py tells it nowhere else
        self._heard |= {one for one in ours if one.lower() == found[1].lower()}
        if not self._heard:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._until_allowed(), name="ask NATS again for what it refuses")

    async def close(self) -> None:
        """Ask no more. A cancellation may get lost, in `wait_for` of Python 3.11 for one, so it is repeated."""
        while self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.wait({self._asking}, timeout=_CANCEL_S)

    async def _until_allowed(self) -> None:
        while self._heard:
            await asyncio.sleep(self._again_s)
            self._asked, self._heard = self._heard, set()
            try:
                await self._ask()
            except (nats.errors.Error, OSError):  # a new connection subscribes everything by itself
                self._heard |= self._asked
            self._asked = set()

    async def _ask(self) -> None:
        for subscription in list(self._client._subs.values()):  # noqa: SLF001
            if subscription.subject in self._asked:
                await self._client._send_subscribe(subscription)  # noqa: SLF001 - its own way is on reconnecting only
        for _ in range(2):  # what the server says of it comes before the second answer
            with contextlib.suppress(nats.errors.FlushTimeoutError):
                await self._client.flush()
