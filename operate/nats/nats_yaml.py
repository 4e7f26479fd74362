"""`nats.yaml` describes a site's nats-server, or a hub's. It is read strictly, as all that people write (ADR 37)."""

import ipaddress
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct, structs

from operate.identities import Leaf, Release, ServerTls, WebSocket
from operate.identities.leafnodes import HUB_STREAMS
from proto.permissions import GIVEN, READER, heard_by, mirrored
from proto.subjects import STREAMS
from proto.types import SiteId
from services.bus import NatsSettings, stream_sizes
from services.kernel.settings import Problem, SettingsError, convert, problems
from services.kernel.settings.source import read

READ = tuple(one.name for one in mirrored(heard_by(READER)))
"""The public streams, of which readers have mirrors."""
_LISTEN = r"^([A-Za-z0-9.\-]*|\[[0-9A-Fa-f:]+\]):\d{1,5}\Z"
_PUBLIC_KEY = re.compile(r"U[A-Z2-7]{55}\Z")
_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z"
_LABELLED = "a name in Kubernetes: a-z, 0-9 and inner hyphens (RFC 1123), such as moretta"
_WHERE, _WHERE_HERE = "HOST:PORT, such as 0.0.0.0:4222", "HOST:PORT, such as 127.0.0.1:8080"
Listen = Annotated[str, Meta(pattern=_LISTEN, extra_json_schema={"description": _WHERE})]
HubUrl = Annotated[
    str,
    Meta(
        pattern=r"^(nats|tls|wss)://[A-Za-z0-9.\-]+:\d{1,5}\Z",
        extra_json_schema={"description": "a URL such as tls://hub.example:7422"},
    ),
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+\Z",
        extra_json_schema={"description": "scheme, name and port if it has one, such as https://numbers.example.org"},
    ),
]


class ServerPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `server`: listen address, URL for others, storage folder and TLS files."""

    listen: Listen = "127.0.0.1:4222"
    url: str | None = None
    """Default: nats://127.0.0.1 and the server's port, or on Kubernetes the chart's Service."""
    store: Annotated[str, Meta(min_length=1)] | None = None
    """Default: `jetstream` in the folder."""
    tls: ServerTls | None = None
    """Certificate, key and certificate authority of the server. With it, every client needs a certificate."""


class DoorPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `websocket`: the read-only listener for browsers, and the pages that may use it (ADR 35)."""

    listen: Listen
    origins: Annotated[list[Origin], Meta(min_length=1)]
    open: bool = False
    """Whether browsers need no key, so that anybody may read."""


class LeafPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `leaf` of a site: its hub, and the sites whose data the hub gets (ADR 25)."""

    hubs: Annotated[list[HubUrl], Meta(min_length=1)]
    sites: Annotated[list[SiteId], Meta(min_length=1)]
    tls: ServerTls | None = None


class LeafKeys(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One leaf of a hub: its sites, and the public keys with which it may connect."""

    sites: Annotated[list[SiteId], Meta(min_length=1)]
    keys: Annotated[list[str], Meta(min_length=1)]


class HubPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `hub`: makes this server a hub, to which sites' servers connect (ADR 25)."""

    listen: Listen = "0.0.0.0:7422"
    leaves: list[LeafKeys] = []


class KubernetesPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `kubernetes`: the chart's release and its namespace. Default: the namespace of the helm command."""

    release: Annotated[str, Meta(pattern=_LABEL, max_length=53, extra_json_schema={"description": _LABELLED})]
    namespace: (
        Annotated[str, Meta(pattern=_LABEL, max_length=63, extra_json_schema={"description": _LABELLED})] | None
    ) = None


class ReaderPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reader with a name, and the public streams that it reads."""

    name: SiteId
    streams: Annotated[tuple[str, ...], Meta(min_length=1)] = GIVEN


class NatsFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file. Every section is optional; `{}` is a site's server on this machine alone."""

    server: ServerPart = ServerPart()
    websocket: DoorPart | None = None
    leaf: LeafPart | None = None
    hub: HubPart | None = None
    readers: list[SiteId | ReaderPart] = []
    """Readers; each has its own key and NATS account. A name alone reads WINDOWS and ALERTS."""
    streams: dict[Any, Any] = {}
    """Sizes of streams, such as `WINDOWS: 2GiB`, if they are larger than in the table."""
    kubernetes: KubernetesPart | None = None
    """The server's place on Kubernetes, if it runs there: Secrets and values are written too (ADR 28)."""

    def sizes(self) -> dict[str, int]:
        """Return the sizes, in bytes, of streams that are larger than in the table."""
        return stream_sizes.sizes_of({str(name): size for name, size in self.streams.items()})

    def reader_streams(self) -> dict[str, list[str]]:
        """Return the streams of each reader, by its name, in the order of names and of the table."""
        found = {one.name: one.streams for one in map(_reader, self.readers)}
        return {name: [one for one in READ if one in map(str.upper, found[name])] for name in sorted(found)}

    def release(self) -> Release | None:
        """Return the chart's release; None if the server does not run on Kubernetes."""
        there = self.kubernetes
        return None if there is None else Release(name=there.release, namespace=there.namespace)

    def url(self) -> str:
        """Return the server's URL for others."""
        if self.server.url is not None:
            return self.server.url
        release = self.release()
        here = f"nats://127.0.0.1:{self.server.listen.rpartition(':')[2]}"
        return release.url(tls=self.server.tls is not None) if release else here

    def named(self) -> list[Path]:
        """Return the TLS files that this file names."""
        return [Path(file) for tls in (self.server.tls, self.leaf and self.leaf.tls) if tls for _, file in _files(tls)]

    def door(self) -> WebSocket | None:
        """Return the WebSocket listener for browsers; None if there is none."""
        door = self.websocket
        return None if door is None else WebSocket(door.listen, list(door.origins), door.open)

    def connection(self) -> Leaf | None:
        """Return the site's connection to its hub; None if it has none."""
        leaf = self.leaf
        return None if leaf is None else Leaf(hubs=list(leaf.hubs), sites=list(leaf.sites), tls=leaf.tls)


def load(file: Path) -> NatsFile:
    """Return a file's content with absolute paths; SettingsError lists every problem with its place in the file."""
    raw = read(file, "server:")
    if not raw and not file.read_text(encoding="utf-8").strip().startswith("{"):
        why = "says nothing; say what the server is to be, or `{}` for one on this machine alone"
        raise SettingsError(file, [("", why)])
    if empty := [name for name, value in raw.items() if value is None]:
        raise SettingsError(file, [(name, "is empty; say what it is to be, or leave it out") for name in empty])
    found = list(problems(NatsFile, raw)) or list(_problems(asked := convert(raw, NatsFile), file.absolute().parent))
    if found:
        raise SettingsError(file, found)
    return _placed(asked, file.absolute().parent)


def browsers_of_box(command: str, listen: str | None, origins: list[str]) -> WebSocket | None:
    """Return a box's WebSocket listener; None if neither option is given. SettingsError if it is not on loopback."""
    if listen is None and not origins:
        return None
    given: dict[str, Any] = {"origins": origins} | ({} if listen is None else {"listen": listen})
    if wrong := list(problems(DoorPart, given)):
        options = {"listen": "--websocket", "origins": "--origin"}
        faults = [(options[at.partition("[")[0]], why.replace(_WHERE, _WHERE_HERE)) for at, why in wrong]
        raise SettingsError(command, faults)
    door = convert(given, DoorPart)
    if not _has_port(door.listen):
        raise SettingsError(command, [("--websocket", f"{listen!r} has no such port; must be {_WHERE_HERE}")])
    if not is_loopback(_host(door.listen)):
        why = f"{listen} is not this machine alone; take 127.0.0.1, and a web server with TLS before it"
        raise SettingsError(command, [("--websocket", why)])
    return WebSocket(door.listen, list(door.origins))


def absolute(place: Path) -> str:
    """Return the absolute path. A link stays a link, because it may be renewed to point elsewhere."""
    return os.path.abspath(place)  # noqa: PTH100 - resolve() follows links


def is_loopback(host: str) -> bool:
    """Return whether only this machine itself can reach a host of this name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _has_port(listen: str) -> bool:
    return int(listen.rpartition(":")[2]) <= 65_535


def _host(listen: str) -> str:
    return listen.rpartition(":")[0]


def _placed(asked: NatsFile, folder: Path) -> NatsFile:
    """Return the file's content with absolute paths."""

    def at(tls: ServerTls | None) -> ServerTls | None:
        return tls and structs.replace(tls, **{name: absolute(folder / one) for name, one in _files(tls)})

    server = structs.replace(asked.server, tls=at(asked.server.tls))
    if server.store is not None:
        server = structs.replace(server, store=absolute(folder / server.store))
    leaf = asked.leaf and structs.replace(asked.leaf, tls=at(asked.leaf.tls))
    return structs.replace(asked, server=server, leaf=leaf)


def _twice(values: list[str]) -> Iterator[tuple[int, str]]:
    """Yield each repeated value with its index."""
    yield from ((at, value) for at, value in enumerate(values) if value in values[:at])


def _files(tls: ServerTls) -> list[tuple[str, str]]:
    return [(name, getattr(tls, name)) for name in ("cert_file", "key_file", "ca_file")]


def _problems(asked: NatsFile, folder: Path) -> Iterator[Problem]:
    """Yield the problems that the fields' types do not show."""
    yield from _of_addresses(asked)
    for place, tls in (("server.tls", asked.server.tls), ("leaf.tls", asked.leaf and asked.leaf.tls)):
        for name, file in _files(tls) if tls else ():
            if not (folder / file).is_file():
                yield f"{place}.{name}", f"{file} is no file here; name a PEM file"
    known = HUB_STREAMS if asked.hub else STREAMS
    wrong = stream_sizes.problems(asked.streams, known)
    yield from ((f"streams.{name}", why) for name, why in wrong)
    names = [str(name).upper() for name in asked.streams]
    yield from ((f"streams.{list(asked.streams)[at]}", f"{value} is there twice") for at, value in _twice(names))
    yield from _of_readers([_reader(one) for one in asked.readers], is_hub=asked.hub is not None)
    sites = asked.leaf.sites if asked.leaf else []
    yield from ((f"leaf.sites[{at}]", f"{value} is there twice") for at, value in _twice(sites))
    if asked.websocket:
        yield from _of_browsers(asked, asked.websocket)
    if asked.hub:
        if asked.leaf or asked.websocket:
            yield "hub", "goes without leaf and websocket, which are a site's; a hub's folder is another one"
        yield from _of_leaves(asked.hub)


def _reader(given: str | ReaderPart) -> ReaderPart:
    return ReaderPart(name=given) if isinstance(given, str) else given


def _of_readers(readers: list[ReaderPart], *, is_hub: bool) -> Iterator[Problem]:
    yield from ((f"readers[{at}]", f"{name} is there twice") for at, name in _twice([one.name for one in readers]))
    hubs = {one.name for one in HUB_STREAMS}
    known = [name for name in READ if name in hubs or not is_hub]
    for index, one in enumerate(readers):
        twice = _twice([name.upper() for name in one.streams])
        yield from ((f"readers[{index}].streams[{at}]", f"{name} is there twice") for at, name in twice)
        for at, name in enumerate(one.streams):
            if name.upper() not in known:
                why = f"{name!r} is no stream that readers {'of a hub ' if is_hub else ''}have"
                yield f"readers[{index}].streams[{at}]", f"{why}; there are {', '.join(known)}"


def _of_addresses(asked: NatsFile) -> Iterator[Problem]:
    every = {"server": asked.server, "websocket": asked.websocket, "hub": asked.hub}
    for name, part in every.items():
        if part is not None and part.listen is not None and not _has_port(part.listen):
            yield f"{name}.listen", f"{part.listen!r} has no such port; must be {_WHERE}"
    for index, url in enumerate(asked.leaf.hubs if asked.leaf else ()):
        if not _has_port(url):
            yield f"leaf.hubs[{index}]", f"{url!r} has no such port; must be a URL such as tls://hub.example:7422"
    if asked.server.url is None:
        return
    yield from (("server.url", why) for _, why in problems(NatsSettings, {"url": asked.server.url}))
    if "@" in asked.server.url:  # it would be in files that everybody gets
        yield "server.url", "must hold no user and no password: a seed says who somebody is"


def _of_browsers(asked: NatsFile, door: DoorPart) -> Iterator[Problem]:
    if asked.kubernetes:
        yield "websocket", "on Kubernetes it is the chart's: values nats.websocket.enabled and nats.websocket.origins"
    elif asked.server.tls is None and not is_loopback(_host(door.listen)):
        why = f"{door.listen} is without TLS: add server.tls, or take 127.0.0.1 and a web server with TLS before it"
        yield "websocket.listen", why


def _of_leaves(hub: HubPart) -> Iterator[Problem]:
    """Yield invalid keys, and sites or keys that two leaves share: one leaf could write the other's windows."""
    seen: dict[str, str] = {}
    for index, leaf in enumerate(hub.leaves):
        for name, values in (("sites", leaf.sites), ("keys", leaf.keys)):
            for at, value in enumerate(values):
                place = f"hub.leaves[{index}].{name}[{at}]"
                if name == "keys" and not _PUBLIC_KEY.match(value):
                    shown = "a seed" if value.startswith("S") else repr(value)  # a seed pasted by mistake
                    yield place, f"{shown} is no public key; the site's `moretta nats apply` prints it: U..."
                elif value in seen:
                    here = seen[value] == f"hub.leaves[{index}]"
                    why = "is there twice" if here else f"belongs to {seen[value]}, too; give each leaf its own"
                    yield place, f"{value} {why}"
                seen.setdefault(value, f"hub.leaves[{index}]")
