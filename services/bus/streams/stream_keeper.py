"""Keeps up the streams that a service needs: makes them as the table says, and retries until they answer.

A lost stream is made again.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError, ServiceUnavailableError

from proto.subjects import STREAM_OWNER
from services.bus.connection.connection import Connection
from services.bus.stream_sizes import Sizes, sized
from services.bus.streams.errors import NO_ROOM, TRANSIENT, Missing, NoRoom
from services.bus.streams.stream_config import config_of, ensure
from services.kernel.log import get_logger

log = get_logger()

RETRY_S = 0.25


class Upkeep:
    """Makes streams, or waits until another service has made them."""

    def __init__(
        self, connection: Connection, js: JetStreamContext, replicas: int, sizes: Sizes, *, makes: bool
    ) -> None:
        """Prepare; with `makes` off another service makes the streams. `sizes` are those larger than in the table."""
        self._client, self._js, self._replicas, self._makes = connection.client, js, replicas, makes
        self._table = {one.name: one for one in sized(sizes)}
        self._wanted: set[str] = set()
        self._logged: set[str] = set()
        # A memory stream does not survive its server: make it again as soon as a server is back.
        connection.reconnected.append(self._again)

    async def ensure(self, names: Iterable[str]) -> None:
        """Make the streams of these names as the table says, or bring them up to it, now and whenever one is lost.

        A service that may not make streams waits until they exist.
        """
        self._wanted |= set(names)
        for name in sorted(self._wanted):
            await self.trying(lambda name=name: self._ensure_one(name))  # type: ignore[misc]

    async def _again(self) -> None:
        for name in sorted(self._wanted if self._makes else ()):
            try:
                await self._ensure_one(name)
            except Exception as error:
                log.warning("stream not recreated", stream=name, error=str(error))

    async def _ensure_one(self, name: str) -> None:
        if not self._makes:
            try:
                await self._js.stream_info(name)
            except NotFoundError:
                raise Missing(f"there is no stream {name} yet; {STREAM_OWNER} makes it") from None
            return
        try:
            made = await ensure(self._client, config_of(self._table[name], self._replicas))
        except ServiceUnavailableError:  # a leader is being elected
            raise
        except APIError as error:
            todo = f"; {self._needed()}" if error.err_code in NO_ROOM else ""
            raise NoRoom(f"the server makes no stream {name} as it should be: {error.description}{todo}") from None
        for one in made.found:
            if (text := str(one)) not in self._logged:
                log.info("stream differs from table", outcome=one.outcome, what=text)
            self._logged.add(text)

    async def trying(self, call: Callable[[], Any]) -> Any:
        """Return the result of the call; retry after errors that pass by themselves."""
        is_logged = False
        while True:
            try:
                return await call()
            except TRANSIENT as error:
                if not is_logged:
                    log.warning("JetStream not answering", error=str(error) or type(error).__name__)
                is_logged = True
                await asyncio.sleep(RETRY_S)
                if isinstance(error, NoStreamResponseError):
                    await self._again()  # the stream is gone, or could not be made when the server came back

    def _needed(self) -> str:
        """Return in words the limits that JetStream needs for all streams."""
        file, memory = (
            sum(one.max_bytes for one in self._table.values() if one.storage == kind) >> 20
            for kind in ("file", "memory")
        )
        return (
            f"all streams together need max_file_store {file} MB and max_memory_store {memory} MB, or the account as"
            f" much: `moretta nats apply` with `streams` in its file has the limits that go with sizes"
        )
