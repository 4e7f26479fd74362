"""Reads the bucket of leases and assigns each replica an even share, with as few moves as possible. Pure.

A free key goes to the replica with the fewest keys; among equals, rendezvous hashing decides (Thaler and Ravishankar
1998). So replicas that see the same leases agree without talking. If they see different ones, a compare-and-swap
decides.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace

LeaseKey = tuple[str, ...]
"""The leased thing, by the tokens of its subject: (site, camera) for ingest, (site,) for aggregate and notify."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The holder of a lease. `live`: its work has effect; `offered`: it wants to hand the lease over."""

    holder: str
    revision: int
    live: bool = False
    offered: bool = False


class LeaseTable:
    """The known leases and replicas. Older entries do not replace newer ones."""

    def __init__(self) -> None:
        self.leases: dict[LeaseKey, Lease] = {}
        self.replicas: dict[str, bool] = {}
        """Which replicas are there, and whether each is leaving."""
        self._removed: dict[LeaseKey, int] = {}

    def put(self, key: LeaseKey, lease: Lease) -> bool:
        """Record an entry; return whether it says anything new: most only keep a lease alive."""
        if lease.revision <= self._newest(key):
            return False
        before, self.leases[key] = self.leases.get(key), lease
        return before is None or replace(before, revision=lease.revision) != lease

    def remove(self, key: LeaseKey, revision: int) -> bool:
        """Record that an entry is gone: it was released, or its holder is silent. Return whether that is new."""
        if revision <= self._newest(key):
            return False
        self._removed[key] = revision
        return self.leases.pop(key, None) is not None

    def replica(self, name: str, leaving: bool | None) -> bool:
        """Record whether a replica is leaving; None: it is gone. Return whether that is new."""
        before = self.replicas.pop(name, None)
        if leaving is not None:
            self.replicas[name] = leaving
        return before != leaving

    def reset(self) -> None:
        """Forget everything: the bucket is read again, or is another one than before."""
        self.leases.clear()
        self.replicas.clear()
        self._removed.clear()

    def held_by(self, replica: str) -> set[LeaseKey]:
        """Return the keys that this replica holds."""
        return {key for key, lease in self.leases.items() if lease.holder == replica}

    def _newest(self, key: LeaseKey) -> int:
        lease = self.leases.get(key)
        return max(self._removed.get(key, -1), lease.revision if lease else -1)


def share_of(wanted: int, replicas: int) -> int:
    """Return how many keys one replica takes at most: the even share, rounded up."""
    return -(-wanted // max(1, replicas))


def to_claim(
    me: str,
    view: LeaseTable,
    wanted: Collection[LeaseKey],
    overdue: Collection[LeaseKey] = (),
    unclaimed: Collection[LeaseKey] = (),
) -> list[LeaseKey]:
    """Return the keys that this replica must take now: its share of the free keys and of those that others offer.

    `overdue` keys were due to another replica that did not take them: any replica with room takes them. `unclaimed`
    keys have been free for longer: replicas with room seem to be gone, or not to know these keys. Any replica takes
    them. A replica that is leaving takes nothing.
    """
    staying = _staying(me, view)
    if me not in staying:
        return []
    share = share_of(len(wanted), len(staying))
    load = {name: len(view.held_by(name) & set(wanted)) for name in staying}
    mine = []
    for key in sorted(key for key in wanted if _is_open(key, view, me)):
        holder = view.leases[key].holder if key in view.leases else None
        due = _preferred(key, {name: n for name, n in load.items() if n < share and name != holder})
        taker = me if key in unclaimed or (key in overdue and load[me] < share) else due
        if taker is not None:
            load[taker] += 1
        if taker == me:
            mine.append(key)
    return mine


def to_offer(me: str, view: LeaseTable, wanted: Collection[LeaseKey], movable: Collection[LeaseKey]) -> set[LeaseKey]:
    """Return the keys that this replica offers.

    It offers all keys when it leaves, else one key while it has two more than another replica. It offers only `movable`
    keys. It offers nothing if no other replica could take it, or while other keys are still being assigned.
    """
    staying = _staying(me, view)
    mine = view.held_by(me) & set(wanted) & set(movable)
    others = [name for name in staying if name != me]
    if not mine or not others:
        return set()
    if me not in staying:
        return mine
    if any(_is_open(key, view, me) for key in wanted):
        return set()
    least = min(len(view.held_by(name) & set(wanted)) for name in others)
    if len(view.held_by(me) & set(wanted)) - least < 2:
        return set()
    return {min(mine, key=lambda key: (not view.leases[key].offered, _weight(key, me)))}


def _staying(me: str, view: LeaseTable) -> list[str]:
    known = {me: False} | view.replicas
    return sorted(name for name, leaving in known.items() if not leaving)


def _is_open(key: LeaseKey, view: LeaseTable, me: str) -> bool:
    lease = view.leases.get(key)
    return lease is None or (lease.offered and lease.holder != me)


def _preferred(key: LeaseKey, load: dict[str, int]) -> str | None:
    return min(load, key=lambda name: (load[name], _weight(key, name)), default=None)


def _weight(key: LeaseKey, name: str) -> bytes:
    return hashlib.sha256("/".join((*key, name)).encode()).digest()
