"""The settings that aggregate reads, and those of its page: where it is served, and where its numbers come from."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta, Struct, field

from proto.leases import ReplicaId
from services.aggregate.core import policy
from services.bus import NatsSettings
from services.bus.nkey import RIGHT, Seed
from services.kernel.log import LogSettings
from services.kernel.probes import ProbesSettings
from services.kernel.tls import Named, Tls, server_tls
from services.kernel.tracing.settings import TracingSettings
from services.sites import problems as sites
from services.sites.problems import Problem
from services.sites.settings import SiteSettings

Text = Annotated[str, Meta(min_length=1)]
_PATH = r"/(?:[A-Za-z0-9._~\-]+(?:/[A-Za-z0-9._~\-]+)*/?)?"
_HOST = r"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_SERVER = rf"^(?:wss?://{_HOST}(?:{_PATH})?|\.?{_PATH})\Z"
"""Two slashes at the beginning would be another host's address."""


class PageSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the page listens, and where it tells browsers to find NATS."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8088
    """0: any free port; the log says which."""
    server: Annotated[
        str, Meta(pattern=_SERVER, description="wss://HOST:PORT, or a path such as /nats of the page's own web server")
    ] = "/nats"
    """NATS's WebSocket address as browsers reach it. `./nats` is relative to the page, wherever a proxy serves that.
    Under `moretta up` it is the box's own."""
    upstream: Annotated[str, Meta(pattern=r"^ws://[^\s/]+\Z", description="NATS's listener, ws://HOST:PORT")] | None = (
        None
    )
    """NATS's WebSocket listener, such as ws://127.0.0.1:8443, to which this server passes on connections to the path
    `server`. None: a web server in front of both does."""
    seed: Annotated[Seed, Meta(description=RIGHT)] | None = None
    """The page's seed (page.nk): the names of sites, zones and rules are for browsers alone that have it. None: they
    are for whoever reaches the page."""
    cameras: Annotated[str, Meta(pattern=r"^https?://[^\s<>\"]+$", max_length=2048)] | None = None
    """URL of the camera page (`ingest.web`), where operators aim cameras and phones publish. None: no link to it."""
    ask_key: bool = False
    """Whether the page asks for the subscriber's seed; False: the server lets pages in without one (--page-open)."""
    certificate: Text | None = None
    """PEM file with the certificate and its issuing CAs. None: HTTP, for a web server with TLS in front."""
    key: Text | None = None
    """PEM file with its private key."""

    def tls(self) -> Tls | None:
        """Return the TLS settings from these files; None without files. CertificateError if a file cannot be used."""
        if self.certificate is None or self.key is None:
            return None
        certificate, key = Named("aggregate.page.certificate", self.certificate), Named("aggregate.page.key", self.key)
        return server_tls("page", certificate, key)

    def problems(self) -> Iterator[Problem]:
        """Return problems that checks of single fields cannot find."""
        if (self.certificate is None) != (self.key is None):
            missing = "certificate" if self.certificate is None else "key"
            yield f"aggregate.page.{missing}", "is missing; give both certificate and key, or none of them"
        if "[" in self.server:
            why = "is an IPv6 address, which no browser's content security policy can allow"
            yield (
                "aggregate.page.server",
                f"{why}; take a host's name, or a path such as /nats of the page's own web server",
            )
        if self.upstream is not None and not self.server.strip("/"):
            yield "aggregate.page.server", "is the page's own path; with `upstream` take another one, such as /nats"
        elif self.upstream is not None and not self.server.startswith("/"):
            yield "aggregate.page.upstream", "goes with a path of this server, such as `server: /nats`"
        if self.upstream is not None and not self.ask_key:
            why = "passes on whoever reaches this server, so it goes with `ask_key: true`"
            yield "aggregate.page.upstream", why
        if self.certificate is not None and self.server.startswith("ws://"):
            yield "aggregate.page.server", "is ws://, which no browser opens from a page over HTTPS; take wss://"


class AggregateSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `aggregate` of the settings file."""

    tick_s: Annotated[float, Meta(ge=0.05, le=5)] = 1.0
    """Interval of the ticks that let time pass in a stream, even if nothing else happens."""
    announce_s: Annotated[float, Meta(ge=1, le=1_800)] = 300.0
    """Interval at which the configuration in force is repeated, so that the stream's last hour always holds it."""
    replica: ReplicaId | None = None
    """This replica's name among those that share the sites; None: a name is made at start. Two replicas that run at the
    same time must not have the same name."""
    publish_metrics: bool = False
    """Whether /metrics shows the newest published window of each zone: rate, interval, people, coverage."""
    page: PageSettings | None = None
    """None: no page is served."""


class AggregateFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The settings file, as far as aggregate reads it."""

    UNREAD: ClassVar[frozenset[str]] = frozenset({"url", "password", "token"})
    """Only ingest reads cameras' addresses, passwords included."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sites: list[SiteSettings] = field(default_factory=list)
    aggregate: AggregateSettings = AggregateSettings()

    def problems(self) -> list[Problem]:
        """Return problems that checks of single fields cannot find, and settings that a legal profile forbids."""
        return [
            *self.nats.problems(),
            *self.tracing.problems(),
            *sites.problems(self.sites),
            *policy.problems(self.sites),
            *(self.aggregate.page.problems() if self.aggregate.page else []),
        ]
