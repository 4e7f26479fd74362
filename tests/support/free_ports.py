"""Ports for servers that must be told theirs before they start.

Drawn by chance below those that the system gives away by itself: a port that the system gave, and that was closed
again, is soon given to another test's connection.
"""

import contextlib
import random
import socket

_CHANCE = random.SystemRandom()
"""pytest-randomly seeds the other one alike before each test: two workers would take the same ports."""
_USUAL = range(20_000, 32_000)
LASTING = range(10_000, 20_000)
"""Of servers that take theirs at once and come back to it: nobody waits to take one of these."""


def in_a_row(count: int, among: range = _USUAL) -> int:
    """Return the first of so many free ports in a row."""
    while True:
        first = _CHANCE.choice(among)
        with contextlib.ExitStack() as opened, contextlib.suppress(OSError):
            for port in range(first, first + count):
                opened.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def free_ports(count: int) -> list[int]:
    """Return so many free ports."""
    first = in_a_row(count)
    return list(range(first, first + count))


def free_port() -> int:
    """Return a free port."""
    return in_a_row(1)
