"""A replica's own entry in the bucket of leases: the other replicas know by it that this one is there (ADR 12)."""

import contextlib
import secrets
import socket
from typing import cast

from proto.leases import ReplicaV1
from proto.subjects import Subject
from services.bus import Bus, Fenced, Removed, Stored
from services.leases.assignment import LeaseTable

TTL_S = 3
"""An entry of the bucket, a replica's or a lease's, expires unless it is written again within this time."""


class ReplicaPresence:
    """Keeps this replica's entry, and knows those of the others; `row` is their subject."""

    def __init__(self, bus: Bus, row: Subject, me: str, table: LeaseTable) -> None:
        self._bus, self._row, self._me, self._table = bus, row, me, table
        self._revision = 0
        self._leaving = self._left = False

    def announce(self, *, leaving: bool) -> None:
        """Set whether this replica is about to leave; `keep` writes it."""
        self._leaving = leaving
        self.enter()

    def enter(self) -> None:
        """Put this replica into the table."""
        self._table.replica(self._me, self._leaving)

    def change(self, change: Stored | Removed) -> bool:
        """Record a replica's entry; return whether it says anything new."""
        name = (self._row.parse(change.subject) or {})["replica"]
        if name == self._me:  # we know our own state first
            return False
        leaving = None if isinstance(change, Removed) else cast("ReplicaV1", change.message).leaving
        return self._table.replica(name, leaving)

    async def keep(self) -> bool:
        """Write the entry again; raise the bus's errors.

        Return False if it is to be written once more, at once: the bucket had another revision, which is known now. The
        next turn tries again where that one could not be read.
        """
        if self._left:
            return True
        message = self._row.message(replica=self._me, leaving=self._leaving)
        try:
            self._revision = await self._bus.streams.put(self._row, message, expected=self._revision, ttl_s=TTL_S)
        except Fenced:  # it has expired, or our last write was stored but we did not hear of it
            with contextlib.suppress(Exception):
                self._revision, _ = await self._bus.streams.entry(self._row, self._row.of(message))
                return False
        return True

    async def leave(self) -> None:
        """Remove the entry, for good. Raise the bus's errors; then the entry expires."""
        self._left = True
        await self._bus.streams.remove(self._row, self._row.subject(replica=self._me), expected=self._revision)


def new_replica_name() -> str:
    """Return a name that no other replica has, and that shows on which host this one runs."""
    host = "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname())[:40]
    return f"{host}-{secrets.token_hex(4)}"
