"""The ports that settings and options of `moretta up` ask for."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from operate.box.machine import BoxError, is_free
from operate.identities import WebSocket
from proto.permissions import SERVICES
from services.aggregate.settings import PageSettings
from services.ingest.settings import IngestFile

_LAST = 65_535


class Port(NamedTuple):
    """A port that a setting or an option asks for."""

    where: str
    host: str
    number: int


def wanted(ingest: IngestFile, page: PageSettings | None, door: WebSocket | None) -> list[Port]:
    """Return the ports that are asked for; one that is not given is any free one."""
    web = ingest.ingest.web
    found = [Port("probes.port", "127.0.0.1", port) for port in _probes(ingest.probes.port)]
    found += [Port("aggregate.page.port", page.host, page.port)] if page else []
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
    known: dict[int, str] = {}
    for where, host, number in ports:
        if number > _LAST:
            most = _LAST - len(SERVICES) + 1
            yield f"{where}: there is no port {number}; each service takes the next one, so take {most} at most"
        elif not is_free(number, host):
            why = f"port {number} of {host} is in use already; stop the program that has it, or take another port"
            yield f"{where}: {why}"
        elif number in known:
            yield f"{where}: port {number} is that of {known[number]}, too; take another port"
        known.setdefault(number, where)


def _probes(first: int) -> range:
    return range(first, first + len(SERVICES)) if first else range(0)
