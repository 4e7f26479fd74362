"""Asks again for subscriptions that the server refuses: the rights of a new version may come a moment later.

NATS reports a refusal once and forgets it. A client that subscribes before the server has its new configuration would
wait in silence for ever (ADR 29).
"""

import asyncio
import contextlib
import re

import nats.errors
from nats.aio.client import Client

from services.bus.connection.client import subscribe_again, subscriptions_of

_REFUSED = re.compile(r"permissions violation for subscription to \"([^\"\s]+)", re.IGNORECASE)
_RETRY_S = 2.0
_CANCEL_S = 0.5


class RefusedSubjects:
    """The subjects that a client may not subscribe at present."""

    def __init__(self, client: Client, retry_s: float = _RETRY_S) -> None:
        self._client, self._retry_s = client, retry_s
        self._heard: set[str] = set()
        self._asked: set[str] = set()
        self._asking: asyncio.Task[None] | None = None

    @property
    def subjects(self) -> frozenset[str]:
        """The subjects that are refused, as far as is known."""
        return frozenset(self._heard | self._asked)

    def heard(self, text: str) -> None:
        """Read an error of the server. If it refuses a subscription, ask for that again until it is allowed."""
        if (found := _REFUSED.search(text)) is None:
            return
        # nats-py reports it in lower case, and some subjects have capital letters.
        ours = {one.subject for one in subscriptions_of(self._client)}
        self._heard |= {one for one in ours if one.lower() == found[1].lower()}
        if not self._heard:
            return
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._until_allowed(), name="ask NATS again for what it refuses")

    async def close(self) -> None:
        """Ask no more. The cancellation is repeated: it may get lost, for example in `wait_for` of Python 3.11."""
        while self._asking is not None and not self._asking.done():
            self._asking.cancel()
            await asyncio.wait({self._asking}, timeout=_CANCEL_S)

    async def _until_allowed(self) -> None:
        while self._heard:
            await asyncio.sleep(self._retry_s)
            self._asked, self._heard = self._heard, set()
            try:
                await self._ask()
            except (nats.errors.Error, OSError):  # a new connection subscribes everything by itself
                self._heard |= self._asked
            self._asked = set()

    async def _ask(self) -> None:
        for subscription in subscriptions_of(self._client):
            if subscription.subject in self._asked:
                await subscribe_again(self._client, subscription)
        for _ in range(2):  # a new refusal by the server comes before the second answer
            with contextlib.suppress(nats.errors.FlushTimeoutError):
                await self._client.flush()
