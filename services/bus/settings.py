"""The section `nats` of the settings file."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from services.bus.nkey import RIGHT, Seed
from services.bus.stream_sizes import Sizes, sizes_of
from services.bus.stream_sizes import problems as size_problems
from services.kernel.settings import Problem, Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_problems, client_tls

_SECURE = frozenset({"tls", "wss"})

_Seed = Annotated[Seed, Meta(description=RIGHT)]


class NatsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The address of NATS, and the service's identities there.

    `frames_user` with `frames_seed` or `frames_password` is the second identity, in the account MORETTA_FRAMES. Only
    ingest and inference have it (ADR 20); without it the first identity is used for both. A seed belongs to an nkey;
    with a seed, `user` only names the inbox. Passwords are for servers that `moretta nats apply` does not configure.
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
    """The authorities that may issue the server's certificate. With it, nothing is sent without TLS, for any scheme."""
    client_cert_file: str | None = None
    """A PEM file with the certificate that we show to the server, and with its key unless that has its own file."""
    client_key_file: str | None = None
    replicas: Annotated[int, Meta(ge=1, le=5)] = 1
    """Copies of each stream: 1 on one server, 3 on a cluster."""
    streams: Annotated[
        dict[str, Any], Meta(description="a section of streams with their sizes, such as {WINDOWS: 2GiB}")
    ] = {}
    """Sizes of streams that must be larger than in the table, by name. The service that makes streams uses them."""
    connect_timeout_s: Annotated[float, Meta(gt=0, le=60)] = 2.0

    def tls(self) -> Tls | None:
        """Return the `Tls` for NATS; None if the settings ask for none. CertificateError if a file can't be used."""
        return client_tls("nats", "nats", self) if self.ca_file is not None else None

    @property
    def sizes(self) -> Sizes:
        """Return `streams` in bytes."""
        return sizes_of(self.streams)

    def problems(self) -> Iterator[Problem]:
        """Yield the problems that a check of each key alone does not find."""
        yield from client_problems("nats", self)
        yield from ((f"nats.streams.{name}", why) for name, why in size_problems(self.streams))
        schemes = {urlsplit(url).scheme for url in self.url.split(",")}
        wants = schemes & _SECURE or self.client_cert_file is not None
        if wants and self.ca_file is None:
            why = f"is missing; TLS needs the file of the CA that issued the server's certificate, or {SYSTEM}"
            yield "nats.ca_file", why
        if self.ca_file is not None and "ws" in schemes:
            yield "nats.url", "ws:// is never encrypted, and nats.ca_file asks for it; take wss://"

    def is_open(self) -> bool:
        """Return whether others in a network could read the messages: NATS is on another machine, without TLS."""
        hosts = (urlsplit(url).hostname or "" for url in self.url.split(","))
        return self.ca_file is None and not all(_is_loopback(host) for host in hosts)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
