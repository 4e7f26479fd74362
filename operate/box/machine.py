"""A box's use of its machine: the port of its NATS server, and JetStream's limits; and BoxError.

The port stays the same over restarts, so that programs which know the box find it again. Limits are never lowered,
since streams only grow (ADR 29). A server with less than its streams reserve still serves them, but it makes and
changes none on the disk. A later version of Moretta could then not start there.
"""

import errno
import json
import os
import socket
from pathlib import Path

_GREETING = b"INFO"


class PortError(Exception):
    """Another server has the port and may use the store too; the text says what to do."""


def kept_port(config: Path) -> int:
    """Return the port in the configuration of an earlier run; -1 (any free port) if there is none or it is taken.

    PortError if a NATS server listens there. If it runs with this configuration it uses the store, and two servers
    would damage that.
    """
    try:
        port = int(json.loads(config.read_text(encoding="utf-8"))["listen"].rpartition(":")[2])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return -1
    if port <= 0 or is_free(port):
        return port
    if _greets(port):
        why = f"a NATS server listens on 127.0.0.1:{port} already; if it was started with {config}, stop it"
        raise PortError(f"{why}. If it is another one, remove that file: this box takes another port then")
    return -1


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether nobody listens on a TCP port of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as nats-server does: ended connections don't count
        try:
            probe.bind((host, port))
        except OverflowError:
            return False
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def free_port() -> int:
    """Return a port of this machine that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as there:
            return there.recv(len(_GREETING)) == _GREETING
    except (OSError, OverflowError):
        return False


Limits = dict[str, int]
_NAMES = ("max_file_store", "max_memory_store")


def kept_limits(config: Path) -> Limits:
    """Return JetStream's limits in the configuration of an earlier run; empty if there is none."""
    try:
        found = json.loads(config.read_text(encoding="utf-8"))["jetstream"]
        return {name: int(found[name]) for name in _NAMES}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def roomy(config: str, before: Limits) -> str:
    """Return the configuration with no limit lower than before."""
    whole = json.loads(config)
    limits = whole["jetstream"]
    limits |= {name: max(limits[name], size) for name, size in before.items()}
    return json.dumps(whole, indent=1)


_ROOM = 64 << 20
"""Free bytes from which on a restart of nats-server makes sense."""


def has_room(folder: Path) -> bool:
    """Return whether the folder can be written to again: free bytes, and free files if the file system counts them."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= _ROOM and (found.f_favail > 0 or not found.f_files)


class BoxError(Exception):
    """The box cannot run; the text says why."""


class NotYetError(BoxError):
    """A later start may go well without anybody's doing: an address that this machine does not have yet."""
