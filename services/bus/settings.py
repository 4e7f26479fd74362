"""The section `nats` of the settings file."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from services.bus.nkey import RIGHT, Seed
from services.bus.sizes import Sizes, sizes_of
from services.bus.sizes import problems as size_problems
from services.kernel.settings import Problem, Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls

_SECURE = frozenset({"tls", "wss"})

_Seed = Annotated[Seed, Meta(description=RIGHT)]


class NatsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where NATS is, and who we are there.

    `frames_user` with `frames_seed` or `frames_password` is the second identity, in the account FRAMES, that only
    ingest and inference have (ADR 20); without it the first one is used for both. A seed is an nkey's; `user` then
    only names the inbox. Passwords are for servers that are not configured by `moretta nats-config`.
    """

    url: Annotated[
        str,
        Meta(
            pattern=r"^(nats|tls|ws|wss)://[^\s/,][^\s,]*(,(nats|tls|ws|wss)://[^\s/,][^\s,]*)*\Z",
            description="a URL such as nats://host:4222, or tls, ws, wss; of a cluster several, with commas between",
        ),
    ] = "nats://127.0.0.1:4222"
    user: str | None = None
    password: Secret | None = None
    seed: _Seed | None = None
    frames_user: str | None = None
    frames_seed: _Seed | None = None
    frames_password: Secret | None = None
    ca_file: Authorities | None = None
    """Who may vouch for the server. With it nothing is sent without TLS, whatever the URL's scheme."""
    client_cert_file: str | None = None
    """A PEM file with the certificate that we show to the server, and the key unless it is apart."""
    client_key_file: str | None = None
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1
    """Copies of each stream: 1 on one server, 3 on a cluster."""
    streams: Annotated[
        dict[str, Any], Meta(description="a section of streams with their sizes, such as {WINDOWS: 2GiB}")
    ] = {}
    """Sizes of streams that are to be larger than the table has them, by name; who makes streams makes them so."""
    connect_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 2.0

    def tls(self) -> Tls | None:
        """Return how to speak TLS; None where none is asked for. CertificateError if a file is of no use."""
        return client_tls("nats", "nats", self) if self.ca_file is not None else None

    @property
    def sizes(self) -> Sizes:
        """Return `streams` in bytes."""
        return sizes_of(self.streams)

    def problems(self) -> Iterator[Problem]:
        """Yield what no single key shows."""
        yield from client_problems("nats", self)
        yield from ((f"nats.streams.{name}", why) for name, why in size_problems(self.streams))
        schemes = {urlsplit(url).scheme for url in self.url.split(",")}
        wants = schemes & _SECURE or self.client_cert_file is not None
        if wants and self.ca_file is None:
            why = f"is missing; TLS needs the file of the authority that vouches for the server, or {SYSTEM}"
            yield "nats.ca_file", why
        if self.ca_file is not None and "ws" in schemes:
            yield "nats.url", "ws:// is never encrypted, and nats.ca_file asks for it; take wss://"

    def is_open(self) -> bool:
        """Whether others in a network could read what is said: another machine is spoken to without TLS."""
        hosts = (urlsplit(url).hostname or "" for url in self.url.split(","))
        return self.ca_file is None and not all(_is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
