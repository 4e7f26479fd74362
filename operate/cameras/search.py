"""Asks all cameras of this machine's networks at once, by multicast, and hears who answers."""

import contextlib
import selectors
import socket
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import cast

import psutil

from operate.cameras.core.discovery import GROUP, PORT, TYPES, Found, answers, probe, together

_MAX_OF_ONE = 16
"""So many different answers of one address are heard: a device that sends more leaves room for the others."""
_MAX_SENDERS = 1_000
"""So many addresses are heard: anybody on the network can make them up."""
_DATAGRAM = 65_535
_PROGRESS_S = 0.1
_SENT_AT_S = (0.0, 0.4)
"""When the question is sent: UDP may lose it, and WS-Discovery asks for a repetition (SOAP over UDP, appendix I)."""
OnProgress = Callable[[float], None]
"""Called with the seconds that have passed."""


def own_addresses() -> list[str]:
    """Return the IPv4 addresses of this machine from which multicast can be sent, in order."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup and "multicast" in state.flags.split(",")}
    found = {
        one.address
        for name, addresses in psutil.net_if_addrs().items()
        for one in addresses
        if name in up and one.family == socket.AF_INET
    }
    return sorted(found, key=socket.inet_aton)


def search(sources: list[str], wait_s: float, on_progress: OnProgress, *, link_local: bool) -> list[Found]:
    """Return the cameras that answered within `wait_s` seconds at these addresses of this machine."""
    asked: set[str] = set()
    heard: defaultdict[str, set[Found]] = defaultdict(set)
    began = time.monotonic()
    with _listening(sources) as (sockets, waiting):
        times = [began + after for after in _SENT_AT_S]
        while (now := time.monotonic()) < began + wait_s:
            if times and now >= times[0]:
                times.pop(0)
                asked |= _ask(sockets)
            until = min([began + wait_s, now + _PROGRESS_S, *times[:1]])
            for key, _ in waiting.select(max(0.0, until - now)):
                data, sender = _heard(cast("socket.socket", key.fileobj))
                known = heard.get(sender, set())
                has_room = len(known) < _MAX_OF_ONE and (known or len(heard) < _MAX_SENDERS)
                if has_room and (found := answers(data, sender, asked, link_local=link_local)):
                    heard[sender].update(found)
            on_progress(time.monotonic() - began)
    return together([one for each in heard.values() for one in each])


def _heard(one: socket.socket) -> tuple[bytes, str]:
    """Return a datagram and the address that sent it; nothing if it was damaged, as is found on reading it."""
    try:
        data, (sender, *_) = one.recvfrom(_DATAGRAM)
    except OSError:
        return b"", ""
    return data, str(sender)


@contextlib.contextmanager
def _listening(sources: list[str]) -> Iterator[tuple[list[socket.socket], selectors.BaseSelector]]:
    with contextlib.ExitStack() as opened:
        waiting = opened.enter_context(selectors.DefaultSelector())
        sockets = [opened.enter_context(_socket(source)) for source in sources]
        for one in sockets:
            waiting.register(one, selectors.EVENT_READ)
        yield sockets, waiting


def _socket(source: str) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
    one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
    one.bind((source, 0))
    one.setblocking(False)
    return one


def _ask(sockets: list[socket.socket]) -> set[str]:
    """Send the questions from each address; return their message ids. An address that cannot send is left out."""
    asked = {kind: f"uuid:{uuid.uuid4()}" for kind in TYPES}
    for one in sockets:
        for kind, message_id in asked.items():
            with contextlib.suppress(OSError):
                one.sendto(probe(message_id, kind), (GROUP, PORT))
    return set(asked.values())
