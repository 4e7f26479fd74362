"""One replica's leases in NATS KV: taking, keeping alive, giving up (ADR 12).

A lease is an entry that expires. Its holder writes it again every second, and each time expects the revision that it
wrote last. A holder gives a lease up when another replica has it (error 10071), never because NATS does not answer. Two
holders may then overlap for a moment; the fence of (lease, sequence) makes that harmless (ADR 12).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import cast

from msgspec import Struct

from proto.leases import CameraLeaseV1
from proto.subjects import Subject
from services.bus import Bus, Contended, Fenced, Removed, StreamReset
from services.kernel.clock import boottime
from services.kernel.log import get_logger
from services.leases.assignment import Lease, LeaseKey, LeaseTable
from services.leases.presence import TTL_S, ReplicaPresence

log = get_logger()

BEAT_S = 1.0


@dataclass(slots=True)
class HeldLease:
    """A lease that this replica holds. `number` is its fencing token, above that of every earlier holder."""

    number: int
    revision: int
    until: float = 0.0
    """When it expires by our clock, which goes on while this process is frozen, and while its host is suspended."""
    live: bool = False
    offered: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One write at a time: two would expect the same revision."""


class Leases:
    """The leases of one kind that this replica holds; `row` is their subject, whose tokens name the leased thing."""

    def __init__(
        self,
        bus: Bus,
        row: Subject,
        replicas: Subject,
        me: str,
        clock: Callable[[], float] = boottime,
        number: Callable[[], int | None] = lambda: time.time_ns() // 1_000,
    ) -> None:
        """`number` returns the microsecond of now, or None while this host's clock can't be trusted."""
        self._bus, self._row, self._replicas, self.me, self._clock = bus, row, replicas, me, clock
        self._number = number
        self.view = LeaseTable()
        self._presence = ReplicaPresence(bus, replicas, me, self.view)
        self.held: dict[LeaseKey, HeldLease] = {}
        self.handed_over: set[LeaseKey] = set()
        """Leases that a successor took because we offered them; the code that serves one discards it from here when
        done."""
        self.changed = asyncio.Event()
        """Set when there may be something to do."""
        self.taken_over: set[LeaseKey] = set()
        """Leases that we took because their holder offered them; that holder goes on until ours is live."""
        self._created = 0
        self.resets = 0
        """How often the bucket was lost and made again; right after that, nobody knows who holds which lease."""
        self._hurry = asyncio.Event()
        self._in_trouble = False

    async def watch(self) -> None:
        """Keep the view up to date, for ever."""
        filters = [self._row.wildcard(), self._replicas.wildcard()]
        async for change in self._bus.watch(cast("str", self._row.stream), filters):
            if isinstance(change, StreamReset):
                self._read_again(change.created)
                is_news = True
            elif change.row is self._replicas:
                is_news = self._presence.change(change)
            elif isinstance(change, Removed):
                is_news = self.view.remove(self._key(change.subject), change.sequence)
            else:
                is_news = self.view.put(self._key(change.subject), _lease(change.message, change.sequence))
            if is_news:  # each lease is written every second: a turn for each would cost a core with some hundred
                self.changed.set()

    async def keep(self) -> None:
        """Keep our leases and our presence alive, for ever."""
        while True:
            self._hurry.clear()
            if self._in_trouble:  # perhaps the bucket is gone, and only this loop notices
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TTL_S):
                        await self._bus.ensure_streams([cast("str", self._row.stream)])
            await asyncio.gather(self._here(), *(self._renew(key, held) for key, held in self.held.items()))
            self.changed.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), BEAT_S)

    async def announce(self, *, leaving: bool = False) -> None:
        """Announce that this replica is there, or that it is about to leave."""
        self._presence.announce(leaving=leaving)
        await self._here()

    async def read(self) -> None:
        """Read the bucket once, so that the first turn does not assume that this replica is alone."""
        for stored in await self._bus.history(self._replicas):
            self._presence.change(stored)
        for stored in await self._bus.history(self._row):
            self.view.put(self._key(stored.subject), _lease(stored.message, stored.sequence))

    async def take(self, key: LeaseKey, *, idle_too: bool = False) -> bool:
        """Take a free lease, or one that its holder offers; with `idle_too` also one that is not live.

        Return False if another replica has it or was faster, or if NATS did not answer; the caller tries again.
        """
        try:
            revision, entry = await self._bus.streams.entry(self._row, self._subject(key))
            before = _lease(entry, revision) if entry is not None else None
            if before is not None and not _may_take(before, self.me, idle_too=idle_too):
                self.view.put(key, before)
                return False
            held = HeldLease(_above(cast("CameraLeaseV1 | None", entry), revision, self._number()), revision)
            held.revision = await self._put(key, held)
        except (Fenced, Contended):
            return False
        except Exception as error:
            return self._troubled(error)
        self.held[key] = held
        self.view.put(key, Lease(self.me, held.revision))
        if before is not None and before.offered and before.holder != self.me:
            self.taken_over.add(key)
        return True

    def is_valid(self, key: LeaseKey) -> bool:
        """Return whether a lease is ours and has not expired by our clock.

        Until then, another replica takes it only if we offered it. The server counts from when it stored the entry, we
        count from before we sent it. A process that was frozen may think that no time has passed; here it learns that
        its lease has expired.
        """
        held = self.held.get(key)
        return held is not None and self._clock() < held.until

    async def confirm(self, key: LeaseKey) -> bool:
        """Return whether a lease is ours at this moment: another replica may have taken it since our last write."""
        held = self.held.get(key)
        return held is not None and await self._renew(key, held)

    async def renumber(self, key: LeaseKey) -> int | None:
        """Return a higher number for a lease of ours, so that new work is not taken for the work before it.

        None if the lease is no longer ours, or if NATS does not answer.
        """
        held = self.held.get(key)
        before = held.revision if held else 0
        if held is None or not await self._renew(key, held) or held.revision == before:
            return None
        held.number = max(held.number + 1, _above(None, held.revision, self._number()))
        return held.number

    async def release(self, key: LeaseKey) -> None:
        """Give a lease back, so that another replica may take it at once."""
        held = self.held.pop(key, None)
        if held is None:
            return
        async with held.lock:
            gone = await self._remove(key, held.revision)
        if gone is not None:  # before the watch reports it, or it would look like ours, and be taken back
            self.view.remove(key, gone)

    async def leave(self) -> None:
        """Remove our presence, for good."""
        try:
            await self._presence.leave()
        except Exception as error:  # it expires by itself
            self._troubled(error)

    def set_live(self, key: LeaseKey, *, live: bool) -> None:
        """Note whether a lease of ours is live; the other replicas learn it soon."""
        held = self.held.get(key)
        if held is not None and held.live != live:
            held.live = live
            self._hurry.set()

    def offer(self, keys: Collection[LeaseKey]) -> None:
        """Offer these leases of ours and no others; the other replicas learn it soon."""
        for key, held in self.held.items():
            holder = self.view.leases.get(key)
            if holder is not None and holder.holder != self.me:
                continue  # taken already: our next renewal finds out, and must then know that we had offered it
            if held.offered != (key in keys):
                held.offered = key in keys
                self._hurry.set()

    def _read_again(self, created: int) -> None:
        self.view.reset()
        self._presence.enter()
        if self._created not in {0, created}:
            self.resets += 1
        self._created = created

    async def _here(self) -> None:
        try:
            if not await self._presence.keep():
                self._hurry.set()
        except Exception as error:
            self._troubled(error)

    async def _renew(self, key: LeaseKey, held: HeldLease) -> bool:
        """Write a lease again; return False if it is lost, or if the outcome is unknown."""
        async with held.lock:
            if self.held.get(key) is not held:
                return False
            try:
                held.revision = await self._put(key, held)
            except (Fenced, Contended):
                return await self._settle(key, held)
            except Exception as error:
                return self._troubled(error)
        self._in_trouble = False
        return True

    async def _settle(self, key: LeaseKey, held: HeldLease) -> bool:
        """Find out what error 10071 means: our own write of which we did not hear, an expiry, or another holder."""
        try:
            revision, entry = await self._bus.streams.entry(self._row, self._subject(key))
            now = _lease(entry, revision) if entry is not None else None
            if now is not None and now.holder != self.me:
                self._lose(key, held, now)
                return False
            held.revision = revision
            if now is None:  # in between another may have had it: our number must be above theirs
                held.number = max(held.number + 1, _above(None, revision, self._number()))
            held.revision = await self._put(key, held)
        except Exception as error:  # also Fenced, by a replica that was faster: the next renewal finds out
            return self._troubled(error)
        return True

    def _lose(self, key: LeaseKey, held: HeldLease, now: Lease) -> None:
        log.info("lease taken by another replica", key="/".join(key), holder=now.holder, offered=held.offered)
        if self.held.get(key) is held:
            del self.held[key]
        self.view.put(key, now)
        if held.offered:
            self.handed_over.add(key)
        self.changed.set()

    async def _put(self, key: LeaseKey, held: HeldLease) -> int:
        began = self._clock()
        revision = await self._bus.streams.put(self._row, self._entry(key, held), expected=held.revision, ttl_s=TTL_S)
        held.until = began + TTL_S
        return revision

    async def _remove(self, key: LeaseKey, revision: int) -> int | None:
        try:
            return await self._bus.streams.remove(self._row, self._subject(key), expected=revision)
        except Exception as error:  # it expires by itself
            self._troubled(error)
            return None

    def _entry(self, key: LeaseKey, held: HeldLease) -> Struct:
        tokens = dict(zip(self._row.fields, key, strict=True))
        state = {"live": held.live, "offered": held.offered, "number": held.number}
        return self._row.message(holder=self.me, **state, **tokens)

    def _subject(self, key: LeaseKey) -> str:
        return self._row.subject(**dict(zip(self._row.fields, key, strict=True)))

    def _key(self, subject: str) -> LeaseKey:
        return tuple((self._row.parse(subject) or {}).values())

    def _troubled(self, error: Exception) -> bool:
        if not self._in_trouble:
            log.warning("leases not renewed", error=str(error) or type(error).__name__)
        self._in_trouble = True
        return False


def _lease(message: Struct, revision: int) -> Lease:
    entry = cast("CameraLeaseV1", message)
    return Lease(entry.holder, revision, entry.live, entry.offered)


def _above(entry: CameraLeaseV1 | None, revision: int, now_us: int | None) -> int:
    """Return a number above every earlier one of a lease; `now_us` is None while the clock can't be trusted.

    If the entry is gone, the clock takes its place: revisions alone begin again when a whole cluster restarts. A number
    is never far ahead of the clocks. These differ by half a second at most, and an entry lives for 3 s. Without a clock
    the number may be too low, and then no picture counts: such a replica plays no live camera (ADR 38).
    """
    return max(entry.number + 1 if entry is not None else 0, revision + 1, now_us or 0)


def _may_take(before: Lease, me: str, *, idle_too: bool) -> bool:
    return before.offered or before.holder == me or (idle_too and not before.live)
