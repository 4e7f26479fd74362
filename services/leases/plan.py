"""Who is to serve what: an even share for each replica, with as few moves as that takes. Pure.

A free key goes to the replica that has least, and among equals by rendezvous hashing (Thaler and Ravishankar 1998), so
that replicas which see the same agree without talking; a compare-and-swap settles what they saw differently.
"""

import hashlib
from collections.abc import Collection

from services.leases.view import LeaseKey, View


def share_of(wanted: int, replicas: int) -> int:
    """Return how many keys one replica takes at most: the even share, rounded up."""
    return -(-wanted // max(1, replicas))


def to_take(
    me: str,
    view: View,
    wanted: Collection[LeaseKey],
    overdue: Collection[LeaseKey] = (),
    forsaken: Collection[LeaseKey] = (),
) -> list[LeaseKey]:
    """Return what this replica is to take now: its part of what nobody has and of what others offer.

    `overdue` keys were due to somebody else who didn't take them: anyone with room does. `forsaken` ones are free for
    so long that whoever has room seems to be no more, or not to know them: anyone takes them. A replica that is leaving
    takes nothing.
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
        taker = me if key in forsaken or (key in overdue and load[me] < share) else due
        if taker is not None:
            load[taker] += 1
        if taker == me:
            mine.append(key)
    return mine


def to_offer(me: str, view: View, wanted: Collection[LeaseKey], movable: Collection[LeaseKey]) -> set[LeaseKey]:
    """Return what this replica is to offer: all it has when it leaves, else one key as long as it has two too many.

    Nothing is offered that nobody could take, nor as long as other keys are still being dealt; and only `movable` keys.
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


def _staying(me: str, view: View) -> list[str]:
    known = {me: False} | view.replicas
    return sorted(name for name, leaving in known.items() if not leaving)


def _is_open(key: LeaseKey, view: View, me: str) -> bool:
    lease = view.leases.get(key)
    return lease is None or (lease.offered and lease.holder != me)


def _preferred(key: LeaseKey, load: dict[str, int]) -> str | None:
    return min(load, key=lambda name: (load[name], _weight(key, name)), default=None)


def _weight(key: LeaseKey, name: str) -> bytes:
    return hashlib.sha256("/".join((*key, name)).encode()).digest()
