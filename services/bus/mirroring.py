"""Keeps up readers' streams: makes those that are not there, and makes anew what has fallen out of step (ADR 45).

The user that makes the streams of the giving account makes the readers' too. It finds the readers in its own rights,
for which it asks the server.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from proto.permissions import JETSTREAM_API, READER, READERS_API, REPAIRED, USER_INFO, heard_by, mirrored
from services.bus.connection import Connection
from services.bus.making import TIMEOUT_S, StreamConflict, ask, ensure
from services.bus.mirrors import LATEST, accounts_of, is_old, wanted
from services.kernel.log import get_logger

log = get_logger()

EVERY_S = 15.0
"""How soon a new reader has its mirrors, and a lost one is made again."""
State = Literal["served", "failed"]
Tell = Callable[[Mapping[State, int]], None]
"""Called after each turn with the number of readers' accounts in each state."""
_RIGHTS = ""
"""What the question about our own rights is called among the accounts that failed."""


AFTER_S = 10.0
"""What an original had so long ago its mirrors have by now."""


class Behind(Exception):
    """A mirror lacks what its original had `AFTER_S` ago; the text says which, and how much."""


class _Original(NamedTuple):
    """A stream of the giver's account, as it was once."""

    created: str
    last: int


class Mirrors:
    """All readers' streams, as one that may make them sees them."""

    def __init__(self, connection: Connection, replicas: int) -> None:
        self._client, self._replicas = connection.client, replicas
        self._compared: set[str] = set()
        self._accounts: list[str] = []
        self._told: dict[str, str] = {}
        self._originals: dict[str, _Original] = {}
        self._looked = -AFTER_S
        """When the originals were so, in s of the monotonic clock."""
        self._wake = asyncio.Event()
        connection.reconnected.append(self._again)  # what is in memory did not survive the server

    @property
    def states(self) -> dict[State, int]:
        """Return how many readers' accounts had all their streams after the last turn, and how many did not.

        Without an answer about our own rights all known ones count as failed, and at least one.
        """
        if _RIGHTS in self._told:
            return {"served": 0, "failed": len(self._accounts) or 1}
        return {"served": len(self._accounts) - len(self._told), "failed": len(self._told)}

    async def run(self, tell: Tell) -> None:
        """Keep them up, for ever."""
        while True:
            self._wake.clear()
            try:
                await self.turn()
            except (nats.errors.Error, OSError) as error:
                why = "no answer about our own rights; is nats.conf of this version? `moretta nats apply` brings it up"
                self._warn(_RIGHTS, f"{type(error).__name__}: {why}")
            tell(self.states)
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
        self._accounts = accounts_of(answer.data)
        self._told = {account: why for account, why in self._told.items() if account in self._accounts}
        self._compared.intersection_update(self._accounts)
        sequences = await self._look_again() if self._accounts else {}
        for account in self._accounts:
            try:
                await self._keep(account)
                await self._keeps_up(account, sequences)
                self._told.pop(account, None)
            except (StreamConflict, Behind, APIError, nats.errors.Error) as error:
                self._warn(account, getattr(error, "description", None) or str(error) or type(error).__name__)
        return self._accounts

    async def _look_again(self) -> Mapping[str, int]:
        """Look at the originals; return the sequences that their mirrors have to have by now."""
        before, now = self._originals, await self._look()
        anew = {name for name, one in now.items() if name in before and one.created != before[name].created}
        if anew:
            self._compared.clear()  # as `moretta restore` makes them anew: mirrors of the old ones would stand still
        is_due = time.monotonic() - self._looked >= AFTER_S
        if anew or is_due:
            self._originals, self._looked = now, time.monotonic()
        return {name: one.last for name, one in before.items() if is_due and name in now and name not in anew}

    async def _look(self) -> dict[str, _Original]:
        """Return the mirrors' originals as they are now; none that can't be asked."""
        found = dict[str, _Original]()
        for name in (stream.name for stream in mirrored(heard_by(READER))):
            with contextlib.suppress(APIError, nats.errors.Error):
                info = await ask(self._client, f"{JETSTREAM_API}STREAM.INFO.{name}")
                found[name] = _Original(info["created"], info["state"]["last_seq"])
        return found

    async def _keeps_up(self, account: str, sequences: Mapping[str, int]) -> None:
        """Behind if a mirror has not come to its sequence."""
        for name, sequence in sequences.items():
            ours = await ask(self._client, f"{READERS_API}{account}.STREAM.INFO.{name}")
            lacking = sequence - ours["state"]["last_seq"]
            if lacking > 0:
                raise Behind(f"{name} is {lacking} messages behind its original")

    async def _keep(self, account: str) -> None:
        api = f"{READERS_API}{account}."
        every = wanted(account, heard_by(READER), self._replicas)
        there = set((await ask(self._client, f"{api}STREAM.NAMES")).get("streams") or ())
        mirrors = [one for one in every if "mirror" in one]
        if is_new := account not in self._compared:
            await remove_old(self._client, api, [one["name"] for one in mirrors])
        if not there.issuperset(one["name"] for one in mirrors if one["storage"] == "file"):
            # The server would look for the lost source only after a while, and go on behind what it had of it.
            await remove(self._client, api, [LATEST])
            there.discard(LATEST)
        for config in every:
            if is_new or config["name"] not in there:
                await ensure(self._client, config, api=api)
        self._compared.add(account)

    def _warn(self, account: str, why: str) -> None:
        if self._told.get(account) != why:
            log.warning("readers' streams could not be made", account=account or None, error=why)
        self._told[account] = why


async def remove_old(client: Client, api: str, names: Iterable[str]) -> list[str]:
    """Delete the mirrors that are out of step with their originals, and then the bucket; return their names.

    The caller makes them anew. APIError, and nothing is deleted, if an original can't be asked now. Each is compared
    once more before it is deleted: another replica that looks at the same moment may have made it anew by then.
    """
    old = [name for name in names if await _is_old(client, api, name)]
    for name in old:
        if await _is_old(client, api, name):
            await remove(client, api, [name])
    await remove(client, api, [LATEST] if old else [])  # in any case: who removed the mirror may have died before
    return old


async def remove(client: Client, api: str, names: Iterable[str]) -> None:
    """Delete a reader's streams, as far as they are there."""
    for name in names:
        with contextlib.suppress(NotFoundError):
            await ask(client, f"{api}STREAM.DELETE.{name}")


async def _is_old(client: Client, api: str, name: str) -> bool:
    question = {"deleted_details": True} if name in REPAIRED else None
    try:
        ours = await ask(client, f"{api}STREAM.INFO.{name}", question)
    except NotFoundError:
        return False
    theirs = await ask(client, f"{JETSTREAM_API}STREAM.INFO.{name}", question)
    return is_old(ours["state"], theirs["state"])
