"""Keeps up readers' streams: makes missing ones, and makes again what differs from its original (ADR 45).

The user that makes the streams of the giving account makes the readers' too. It finds the readers in its own rights,
for which it asks the server.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from proto.permissions import JETSTREAM_API, READERS_API, USER_INFO
from proto.subjects import Subject
from services.aggregate.mirrors.configuration import is_old, no_longer, readers_of, wanted
from services.aggregate.mirrors.consumer_limits import exceeded
from services.aggregate.mirrors.lag import Originals, info, is_of_another, marked
from services.bus import Bus
from services.bus.streams.stream_config import TIMEOUT_S, StreamConflict, ask, ensure
from services.kernel.log import get_logger

log = get_logger()

EVERY_S = 15.0
"""How soon a new reader has its mirrors, and a lost one is made again."""
State = Literal["served", "failed"]
Report = Callable[[Mapping[State, int]], None]
"""Called after each turn with the number of readers' accounts in each state."""
_RIGHTS = ""
"""What the question about our own rights is called among the accounts that failed."""
_BEHIND = "is behind its original"
_FLOODED_S = 30.0
"""How long an answer about a reader's consumers may take: they may be what JetStream's API is busy with."""
_NO_CONSUMERS = "no answer about its consumers; is nats.conf of this version? `moretta nats apply` brings it up"


class ReaderConsumer(NamedTuple):
    """A consumer of a reader's mirror, with what it has beyond the limits."""

    stream: str
    name: str
    why: list[str]


class Mirrors:
    """All readers' streams, as one that may make them sees them."""

    def __init__(self, bus: Bus) -> None:
        self._client, self._replicas = bus.client, bus.streams.replicas
        self.consumer_removed: list[Callable[[str], None]] = []
        """Called with the reader's account for each of its consumers that was removed."""
        self._compared: dict[str, tuple[Subject, ...]] = {}
        self._accounts: dict[str, tuple[Subject, ...]] = {}
        self._problems: dict[str, str] = {}
        self._without_limits: dict[str, str] = {}
        self._originals = Originals(self._client)
        self._wake = asyncio.Event()
        bus.reconnected.append(self._again)  # what is in memory did not survive the server

    @property
    def states(self) -> dict[State, int]:
        """Return how many readers' accounts had all their streams after the last turn, and how many did not.

        Without an answer about our own rights all known ones count as failed, and at least one.
        """
        if _RIGHTS in self._problems:
            return {"served": 0, "failed": len(self._accounts) or 1}
        served = [account for account, rows in self._accounts.items() if rows and account not in self._problems]
        return {"served": len(served), "failed": sum(bool(self._accounts.get(account)) for account in self._problems)}

    async def run(self, report: Report) -> None:
        """Keep them up, for ever."""
        while True:
            self._wake.clear()
            try:
                await self.turn()
            except (nats.errors.Error, OSError) as error:
                why = "no answer about our own rights; is nats.conf of this version? `moretta nats apply` brings it up"
                self._warn(_RIGHTS, f"{type(error).__name__}: {why}")
            report(self.states)
            try:
                async with asyncio.timeout(EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _again(self) -> None:
        """Look after all of them at once, and closely: the server may have lost what it had."""
        self._compared.clear()
        self._wake.set()

    async def turn(self) -> list[str]:
        """Look after each reader once; return the readers' accounts."""
        answer = await self._client.request(USER_INFO, b"", timeout=TIMEOUT_S)
        self._accounts = readers_of(answer.data)
        self._problems = {account: why for account, why in self._problems.items() if account in self._accounts}
        self._compared = {account: rows for account, rows in self._compared.items() if account in self._accounts}
        if self._accounts and await self._originals.look():
            self._compared.clear()
        for account, rows in self._accounts.items():
            try:
                await self._keep(account, rows)
                await self._keeps_up(account, {str(row.stream) for row in rows})
            except (StreamConflict, APIError, nats.errors.Error) as error:
                self._warn(account, getattr(error, "description", None) or str(error) or type(error).__name__)
        return list(self._accounts)

    async def _keeps_up(self, account: str, names: set[str]) -> None:
        """Tell whether all its mirrors do, as far as that can be said now."""
        behind = await self._originals.behind(f"{READERS_API}{account}.", names)
        if behind is not None:
            self._warn(account, f"{behind} {_BEHIND}")
        elif self._originals.is_due or not self._problems.get(account, "").endswith(_BEHIND):
            self._problems.pop(account, None)

    async def keep_limits(self) -> None:
        """Look after readers' consumers, for ever; apart from `run`, which a flood of theirs holds up."""
        while True:
            with contextlib.suppress(nats.errors.Error, OSError):  # `run` says that nobody answers
                await self.limit()
            await asyncio.sleep(EVERY_S)

    async def limit(self) -> None:
        """Look at all readers' consumers once, and remove those that go beyond a reader's limits."""
        accounts = readers_of((await self._client.request(USER_INFO, b"", timeout=TIMEOUT_S)).data)
        await asyncio.gather(*(self._limit(account, rows) for account, rows in accounts.items()))

    async def _limit(self, account: str, rows: tuple[Subject, ...]) -> None:
        api = f"{READERS_API}{account}."
        try:
            found = await exceeding(self._client, api, {str(row.stream) for row in rows})
            await remove_consumers(self._client, api, found)
        except nats.errors.TimeoutError:  # the server answers nothing to what one may not ask
            self._unlimited(account, _NO_CONSUMERS)
        except (APIError, nats.errors.Error, OSError) as error:
            self._unlimited(account, getattr(error, "description", None) or str(error) or type(error).__name__)
        else:
            self._without_limits.pop(account, None)
            self._removed(account, found)

    def _unlimited(self, account: str, why: str) -> None:
        if self._without_limits.get(account) != why:
            log.warning("reader's consumers not limited", account=account, error=why)
        self._without_limits[account] = why

    def _removed(self, account: str, found: Iterable[ReaderConsumer]) -> None:
        for one in found:
            why = "; ".join(one.why)
            log.warning("reader's consumer removed", account=account, stream=one.stream, consumer=one.name, reason=why)
            for callback in self.consumer_removed:
                callback(account)

    async def _keep(self, account: str, rows: tuple[Subject, ...]) -> None:
        api = f"{READERS_API}{account}."
        every = wanted(account, rows, self._replicas)
        there = set((await ask(self._client, f"{api}STREAM.NAMES")).get("streams") or ())
        if others := no_longer(there, every):
            log.info("reader's streams removed", account=account, streams=others)
            await remove(self._client, api, others)
        if is_new := self._compared.get(account) != rows:
            await remove_old(self._client, api, [one["name"] for one in every])
        for config in every:
            if is_new or config["name"] not in there:
                await ensure(self._client, await marked(self._client, config), api=api)
        self._compared[account] = rows

    def _warn(self, account: str, why: str) -> None:
        if self._problems.get(account) != why:
            log.warning("a reader is not served", account=account or None, error=why)
        self._problems[account] = why


async def remove_old(client: Client, api: str, names: Iterable[str]) -> list[str]:
    """Delete the mirrors that are out of step with their originals; return their names.

    The caller makes them again. APIError, and nothing is deleted, if an original can't be asked now. Each is compared
    once more before it is deleted: another replica that looks at the same moment may have made it again by then.
    """
    old = [name for name in names if await _is_old(client, api, name)]
    for name in old:
        if await _is_old(client, api, name):
            await remove(client, api, [name])
    return old


async def remove(client: Client, api: str, names: Iterable[str]) -> None:
    """Delete a reader's streams, as far as they are there."""
    for name in names:
        with contextlib.suppress(NotFoundError):
            await ask(client, f"{api}STREAM.DELETE.{name}")


async def exceeding(client: Client, api: str, streams: Iterable[str]) -> list[ReaderConsumer]:
    """Return the consumers of a reader's streams that go beyond its limits."""
    return [one for one in await consumers(client, api, streams) if one.why]


async def consumers(client: Client, api: str, streams: Iterable[str]) -> list[ReaderConsumer]:
    """Return the consumers of a reader's streams. A stream that is not there has none."""

    async def of(stream: str) -> list[ReaderConsumer]:
        with contextlib.suppress(NotFoundError):
            # One page: there are fewer than its 256.
            answer = await ask(client, f"{api}CONSUMER.LIST.{stream}", timeout=_FLOODED_S)
            every = answer.get("consumers") or ()
            return [ReaderConsumer(stream, one["name"], exceeded(one["config"])) for one in every]
        return []

    return [one for found in await asyncio.gather(*map(of, sorted(streams))) for one in found]


async def remove_consumers(client: Client, api: str, found: Iterable[ReaderConsumer]) -> None:
    """Remove consumers of a reader, as far as they are still there; all at once, since each may wait in a flood."""

    async def remove_one(one: ReaderConsumer) -> None:
        with contextlib.suppress(NotFoundError):
            await ask(client, f"{api}CONSUMER.DELETE.{one.stream}.{one.name}", timeout=_FLOODED_S)

    await asyncio.gather(*map(remove_one, found))


async def _is_old(client: Client, api: str, name: str) -> bool:
    try:
        ours = await info(client, api, name)
    except NotFoundError:
        return False
    theirs = await info(client, JETSTREAM_API, name)
    return is_old(ours["state"], theirs["state"]) or is_of_another(ours, theirs)
