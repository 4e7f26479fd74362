"""A queue that is fair to all askers: they take turns, round-robin within round-robin (RFC 970). Pure."""

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
        self.children: dict[str, _Node[T]] = {}
        """In order of turns: the next one comes first."""
        self.items: deque[T] = deque()


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
                return self._remove(self._fullest(asker[:depth]), newest=True)
        return None

    def take(self) -> T | None:
        """Return the next item; None if none waits.

        The asker that had the last turn goes behind all that wait now, including those that came since.
        """
        if not self._root.waiting:
            return None
        self._rotate()
        self._last = self._next()
        return self._remove(self._last, newest=False)

    def clear(self) -> None:
        """Remove all waiting items."""
        self._root = _Node()

    def _path(self, asker: Asker) -> list[_Node[T]]:
        """Return the nodes from the root to an asker's; make the missing ones."""
        nodes = [self._root]
        for name in asker:
            nodes.append(nodes[-1].children.setdefault(name, _Node()))
        return nodes

    def _rotate(self) -> None:
        node = self._root
        for name in self._last:
            if name not in node.children:
                break
            node.children[name] = node.children.pop(name)
            node = node.children[name]

    def _next(self) -> Asker:
        asker, node = [], self._root
        while node.children:
            name, node = next(iter(node.children.items()))
            asker.append(name)
        return tuple(asker)

    def _fullest(self, names: Asker) -> Asker:
        """Return the asker with most items waiting, among those with these first names; of equals the last in turn."""
        asker, node = list(names), self._path(names)[-1]
        while node.children:
            name, node = max(reversed(node.children.items()), key=lambda child: child[1].waiting)
            asker.append(name)
        return tuple(asker)

    def _remove(self, asker: Asker, *, newest: bool) -> T:
        nodes = self._path(asker)
        item = nodes[-1].items.pop() if newest else nodes[-1].items.popleft()
        for node in nodes:
            node.waiting -= 1
        for name, parent in zip(reversed(asker), reversed(nodes[:-1]), strict=True):
            if not parent.children[name].waiting:
                del parent.children[name]
        return item


class Allowance:
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
