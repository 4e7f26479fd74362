"""The port of a box's NATS server: over restarts the same, so that programs which know the box find it again."""

import json
import socket
from pathlib import Path

_GREETING = b"INFO"


class PortError(Exception):
    """Somebody has the port who may have the store, too; the text says what to do."""


def kept_port(config: Path) -> int:
    """Return the port that the configuration of an earlier run names; -1, for a free one, where none is or it is taken.

    PortError if a NATS server is there: started with this configuration it has the store, and two would damage it.
    """
    try:
        port = int(json.loads(config.read_text(encoding="utf-8"))["listen"].rpartition(":")[2])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return -1
    if port <= 0 or _is_free(port):
        return port
    if _greets(port):
        why = f"a NATS server listens on 127.0.0.1:{port} already; if it was started with {config}, stop it"
        raise PortError(f"{why}. If it is another one, remove that file: this box takes another port then")
    return -1


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as nats-server does: ended connections don't count
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as there:
            return there.recv(len(_GREETING)) == _GREETING
    except (OSError, OverflowError):
        return False
