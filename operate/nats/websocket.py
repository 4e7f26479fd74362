"""What `moretta nats-config` is told of browsers: where they come in, from which pages, and whether with a key."""

import ipaddress
import re
from dataclasses import dataclass

from operate.identities import Release, Tls, WebSocket
from services.kernel.settings import SettingsError

_COMMAND, _BOX = "moretta nats-config", "moretta up"
_LISTEN = re.compile(r"(?P<host>[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:]+\]):(?P<port>\d{1,5})\Z")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+\Z")
OFF = "off"


@dataclass(frozen=True)
class Door:
    """What was given of `--websocket`, `--origin` and `--page-open`."""

    listen: str | None
    origins: tuple[str, ...] = ()
    is_open: bool = False


def door_of(listen: str | None, origins: list[str], *, is_open: bool) -> Door | None:
    """Return what the options say; None if nothing. SettingsError if one of them is wrong, or only half is given."""
    if listen is None and not origins and not is_open:
        return None
    if listen is None or (listen == OFF and (origins or is_open)):
        why = f"says where browsers come in, HOST:PORT, and goes with --origin; {OFF} alone takes that away"
        raise SettingsError(_COMMAND, [("--websocket", why)])
    if listen != OFF:
        _check(listen, origins)
    return Door(listen, tuple(origins), is_open)


def of_box(listen: str | None, origins: list[str]) -> WebSocket | None:
    """Return where `moretta up` lets browsers in; None if nothing was said. SettingsError if it is not on loopback."""
    if listen is None and not origins:
        return None
    if listen is None or listen == OFF:
        raise SettingsError(_BOX, [("--websocket", "is HOST:PORT, such as 127.0.0.1:8080, and goes with --origin")])
    _check(listen, origins, _BOX)
    if not is_loopback(listen.rpartition(":")[0]):
        why = f"{listen} is not this machine alone; take 127.0.0.1, and a web server with TLS before it"
        raise SettingsError(_BOX, [("--websocket", why)])
    return WebSocket(listen, origins)


def _check(listen: str, origins: list[str], command: str = _COMMAND) -> None:
    if not ((found := _LISTEN.match(listen)) and int(found["port"]) < 65_536):
        raise SettingsError(
            command, [("--websocket", f"{listen!r} is no HOST:PORT, such as 127.0.0.1:8443, nor {OFF}")]
        )
    for one in origins:
        if not _ORIGIN.match(one):
            why = f"{one!r} is no origin; scheme, name and port if it has one, such as https://numbers.example.org"
            raise SettingsError(command, [("--origin", why)])
    if not origins:
        why = "is missing; name the page that may come, such as https://numbers.example.org"
        raise SettingsError(command, [("--origin", why)])


def joined(
    door: Door | None, tls: Tls | None, release: Release | None, before: WebSocket | None = None
) -> WebSocket | None:
    """Return where browsers come in from now on. SettingsError where they would come in without TLS from elsewhere."""
    if door is None or door.listen is None:
        return before
    if door.listen == OFF:
        return None
    if release is not None:
        why = "on Kubernetes browsers come in by the chart's values nats.websocket.enabled and nats.websocket.origins"
        raise SettingsError(_COMMAND, [("--websocket", why)])
    if tls is None and not is_loopback(door.listen.rpartition(":")[0]):
        why = f"{door.listen} is without TLS: add --server-tls, or take 127.0.0.1 and a web server with TLS before it"
        raise SettingsError(_COMMAND, [("--websocket", why)])
    return WebSocket(door.listen, list(door.origins), door.is_open)


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches a host of this name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
