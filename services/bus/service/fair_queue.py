"""A queue that is fair to all askers: they take turns, round-robin within round-robin (RFC 970). Pure.

An asker without a turn so far overtakes those that had one, as sparse flows do in RFC 8290 (section 4.2), but no two
in a row: so new askers are served soon, however many flood, and keep nobody waiting for ever. This holds at each level:
among accounts, among the users of an account, among the connections of a user.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")
Asker = tuple[str, ...]
"""The names of an asker, from large to small, such as account, user, connection. Every asker has as many names."""


class _Node(Generic[T]):
    """The askers that have their first names in common, or one asker with its waiting items."""

    def __init__(self) -> None:
        self.waiting = 0
        self.fresh: dict[str, _Node[T]] = {}
        """Those that had no turn yet; the first comes first."""
        self.known: dict[str, _Node[T]] = {}
        """Those that had one, in order of turns; also those of whom nothing waits, until their turn would come."""
        self.items: deque[T] = deque()
        self.since = 0
        """When it came or, if it had a turn, when that was over, by its parent's count of both."""
        self._count, self._overtook = 0, False

    def child(self, name: str, *, had_a_turn: bool) -> _Node[T]:
        """Return the child of a name; make it if it is missing."""
        found = self.fresh.get(name) or self.known.get(name)
        if found is None:
            found = self._stamped(_Node())
            (self.known if had_a_turn else self.fresh)[name] = found
        return found

    def turn(self) -> tuple[str, _Node[T]]:
        """Return the child whose turn it is. Something must wait."""
        while self.known and not next(iter(self.known.values())).waiting:
            del self.known[next(iter(self.known))]
        group = self.fresh if self._is_fresh_next() else self.known
        name = next(iter(group))
        self.known[name] = node = group.pop(name)
        return name, node

    def had_its_turn(self, name: str) -> _Node[T] | None:
        """Put a child behind all that are there by now, and return it; None if it is gone."""
        if name not in self.known:
            return None
        self.known[name] = node = self._stamped(self.known.pop(name))
        return node

    def _is_fresh_next(self) -> bool:
        if not (self.fresh and self.known):
            return bool(self.fresh)
        came, had = (next(iter(group.values())).since for group in (self.fresh, self.known))
        if came > had:  # it overtakes, unless the turn before was overtaken already
            self._overtook = not self._overtook
            return self._overtook
        return True

    def _stamped(self, node: _Node[T]) -> _Node[T]:
        self._count += 1
        node.since = self._count
        return node

    def fullest(self) -> tuple[str, _Node[T]]:
        """Return the child with most items waiting; of equals the last in turn."""
        children = [*self.fresh.items(), *self.known.items()]
        return max(reversed(children), key=lambda child: child[1].waiting)


class FairQueue(Generic[T]):
    """Items by asker. Accounts take turns, within an account its users, and so on. An asker's items stay in order.

    `limits` are the maximum numbers of waiting items: in all, of one account, of one of its users, and so on.
    """

    def __init__(self, *limits: int) -> None:
        self._limits = limits
        self._root: _Node[T] = _Node()
        self._last: Asker = ()

    def __len__(self) -> int:
        return self._root.waiting

    def put(self, asker: Asker, item: T) -> T | None:
        """Queue an item. Return the item that has no room: this one, or the newest of the asker with most waiting.

        So no asker fills the queue for others. An asker with nothing waiting finds room while another asker has two
        items waiting.
        """
        nodes = self._path(asker)
        nodes[-1].items.append(item)
        for node in nodes:
            node.waiting += 1
        for depth in reversed(range(len(nodes))):
            if nodes[depth].waiting > self._limits[depth]:
                return self._give_way(asker[:depth])
        return None

    def take(self) -> T | None:
        """Return the next item; None if none waits.

        The asker that had the last turn goes behind all that wait now, including those that came since.
        """
        if not self._root.waiting:
            return None
        self._rotate()
        asker, node = list[str](), self._root
        node.waiting -= 1
        while node.fresh or node.known:
            self._forget(node)
            name, node = node.turn()
            asker.append(name)
            node.waiting -= 1
        self._last = tuple(asker)
        if not self._root.waiting:
            self.clear()
        return node.items.popleft()

    def _rotate(self) -> None:
        node: _Node[T] | None = self._root
        for name in self._last:
            if node is not None:
                node = node.had_its_turn(name)

    def clear(self) -> None:
        """Remove all waiting items."""
        self._root = _Node()

    def _path(self, asker: Asker) -> list[_Node[T]]:
        """Return the nodes from the root to an asker's; make the missing ones."""
        nodes = [self._root]
        for depth, name in enumerate(asker, 1):
            nodes.append(nodes[-1].child(name, had_a_turn=asker[:depth] == self._last[:depth]))
        return nodes

    def _give_way(self, names: Asker) -> T:
        """Remove and return the newest item of the asker with most waiting, among those with these first names."""
        nodes, names = self._path(names), tuple(names)
        while nodes[-1].fresh or nodes[-1].known:
            name, node = nodes[-1].fullest()
            nodes.append(node)
            names += (name,)
        for node in nodes:
            node.waiting -= 1
        for name, parent, node in zip(names, nodes[:-1], nodes[1:], strict=True):
            if not node.waiting:
                parent.fresh.pop(name, None)
        return nodes[-1].items.pop()

    def _forget(self, node: _Node[T]) -> None:
        """Bound what is known of askers of whom nothing waits: the one whose turn is nearest goes first."""
        if len(node.known) > self._limits[0]:
            name = next((name for name, one in node.known.items() if not one.waiting), None)
            node.known.pop(name or "", None)


class TokenBucket:
    """A token bucket: `per_s` uses in a second, and no more than that at once."""

    def __init__(self, per_s: float) -> None:
        self._per_s, self._left, self._at = per_s, per_s, 0.0

    def spend(self, now: float) -> bool:
        """Return whether one more use is allowed at the time `now`, in seconds; if so, it is spent."""
        self._left = min(self._per_s, self._left + max(0.0, now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
