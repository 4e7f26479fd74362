"""The ports that settings and options of `moretta up` ask for."""

import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from operate.box.machine import BoxError, is_free
from operate.identities import WebSocket
from operate.nats.nats_yaml import is_loopback
from proto.permissions import SERVICES
from services.aggregate.settings import PageSettings
from services.ingest.settings import IngestFile

ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
"""Hosts that stand for every address of this machine."""
_HERE = "127.0.0.1"
"""Where a box's probes listen, whatever the settings say, and its page unless other machines are to reach it."""
_LAST = 65_535


class Port(NamedTuple):
    """A port that a setting or an option asks for."""

    where: str
    host: str
    number: int


class Claim:
    """A port that this box means to take, seconds later: a box that starts meanwhile finds it claimed.

    It is a name in Linux's abstract space of Unix sockets (unix(7)), which ends with the process.
    """

    def __init__(self, number: int) -> None:
        self._held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.is_ours = True
        try:
            self._held.bind(f"\0moretta-port-{number}")
        except OSError:
            self.is_ours = False

    def __enter__(self) -> Self:
        """Return the claim, which ends with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the claim."""
        self._held.close()


def wanted(ingest: IngestFile, page: PageSettings | None, door: WebSocket | None) -> list[Port]:
    """Return the ports that are asked for; one that is not given is any free one."""
    web = ingest.ingest.web
    found = [Port("probes.port", _HERE, port) for port in _probes(ingest.probes.port)]
    found += [Port("aggregate.page.port", _HERE if is_loopback(page.host) else page.host, page.port)] if page else []
    found += [Port("ingest.web.port", web.host, web.port)] if web else []
    if door:
        host, _, port = door.listen.rpartition(":")
        found.append(Port("--websocket", host.strip("[]"), int(port)))
    return [one for one in found if one.number]


def require_free(ports: Sequence[Port]) -> None:
    """Raise BoxError for each port that is taken, or asked for twice, before an address is told that is another's."""
    if wrong := list(_wrong(ports)):
        raise BoxError("\n".join(wrong))


def _wrong(ports: Sequence[Port]) -> Iterator[str]:
    for index, (where, host, number) in enumerate(ports):
        others = [one.where for one in ports[:index] if one.number == number and _meet(one.host, host)]
        if number > _LAST:
            most = _LAST - len(SERVICES) + 1
            yield f"{where}: there is no port {number}; each service takes the next one, so take {most} at most"
        elif not is_free(number, host):
            why = f"port {number} of {host} is in use already; stop the program that has it, or take another port"
            yield f"{where}: {why}"
        elif others:
            yield f"{where}: port {number} is that of {others[0]}, too; take another port"


def _meet(one: str, other: str) -> bool:
    """Return whether a port of one host is also one of the other: it is the same, or one stands for all."""
    hosts = {_HERE if host == "localhost" else host for host in (one, other)}
    if hosts & {"::", ""}:  # of both families
        return True
    return len(hosts) == 1 or ("0.0.0.0" in hosts and not any(":" in host for host in hosts))  # noqa: S104 - compared


def _probes(first: int) -> range:
    return range(first, first + len(SERVICES)) if first else range(0)
