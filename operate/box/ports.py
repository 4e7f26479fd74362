"""The ports that settings and options of `moretta up` ask for."""

from operate.box.machine import BoxError, is_free
from operate.identities import WebSocket
from proto.permissions import SERVICES
from services.aggregate.settings import PageSettings
from services.ingest.settings import IngestFile


def require_free(ingest: IngestFile, page: PageSettings | None, door: WebSocket | None, mqtt: str | None) -> None:
    """Raise BoxError for each port that is asked for and taken, before an address is told that is another's.

    A port that is not given is any free one.
    """
    web = ingest.ingest.web
    wanted = [("probes.port", "127.0.0.1", port) for port in _probes(ingest.probes.port)]
    wanted += [("aggregate.page.port", page.host, page.port)] if page else []
    wanted += [("ingest.web.port", web.host, web.port)] if web else []
    for option, listen in (("--websocket", door.listen if door else None), ("--mqtt", mqtt)):
        host, _, port = (listen or "").rpartition(":")
        wanted += [(option, host.strip("[]"), int(port))] if listen else []
    taken = [
        f"{where}: port {port} of {host} is in use already; stop the program that has it, or take another port"
        for where, host, port in wanted
        if port and not is_free(port, host)
    ]
    if taken:
        raise BoxError("\n".join(taken))


def _probes(first: int) -> range:
    return range(first, first + len(SERVICES)) if first else range(0)
