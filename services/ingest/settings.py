"""The settings that ingest reads."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct, field

from proto.leases import ReplicaId
from services.bus import NatsSettings
from services.frames.sealing.settings import SealingSettings
from services.ingest.core.reconnect import STUCK_LIMIT_S
from services.kernel.log import LogSettings
from services.kernel.probes import ProbesSettings
from services.kernel.settings import Problem, Secret
from services.kernel.tls import Named, Tls, server_tls
from services.kernel.tracing.settings import TracingSettings
from services.sites.problems import MIN_TOKEN, problems
from services.sites.settings import SiteSettings


class WebSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `ingest.web`: the camera page and the WHIP endpoint, over HTTPS."""

    host: Annotated[str, Meta(min_length=1)] = "0.0.0.0"  # noqa: S104 - phones are to reach it; nothing works without a token
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8443
    """0 takes a free port; the log names it."""
    certificate: Annotated[str, Meta(min_length=1)] | None = None
    """PEM file with the certificate and its chain. None: ingest makes its own, self-signed."""
    key: Annotated[str, Meta(min_length=1)] | None = None
    """PEM file with its private key."""
    certificate_dir: Annotated[str, Meta(min_length=1)] | None = None
    """Directory that keeps ingest's own certificate and key over restarts. None: in memory, a new one at each start."""
    names: list[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9.:_-]{1,253}\Z", description="a host name or an IP address")]
    ] = field(default_factory=list)
    """Host names and addresses that people type, in addition to this machine's own; the first one is in the page's
    URL."""
    origins: list[
        Annotated[str, Meta(pattern=r"^https?://[^/\s]+\Z", description="an origin, as in https://a.org")]
    ] = field(default_factory=list)
    """Origins of other pages that may publish here (CORS)."""
    operator_token: Secret | None = None
    """The token with which operators aim cameras from the page. None: nobody can."""
    ice_addresses: list[str] = field(default_factory=list)
    """Addresses announced to peers for video (UDP); empty: all of this machine's. An address that this machine does not
    have must forward to it."""

    def tls(self) -> Tls | None:
        """Return the TLS settings from these files; None without files. CertificateError if one can't be used."""
        if self.certificate is None or self.key is None:
            return None
        return server_tls("whip", Named("ingest.web.certificate", self.certificate), Named("ingest.web.key", self.key))


class IngestSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The section `ingest`."""

    report_s: Annotated[float, Meta(ge=0.2, le=60)] = 2.0
    """Interval in seconds at which each camera's state is published, in addition to every change."""
    stop_limit_s: Annotated[float, Meta(ge=0.5, le=60)] = 4.0
    """How many seconds a decode thread may take to end. Ingest does not wait longer for a read that hangs in FFmpeg."""
    stuck_limit_s: Annotated[float, Meta(ge=1, le=3600)] = STUCK_LIMIT_S
    """How many seconds a decode thread may show no sign of life beyond its camera's own time limits. After that it is
    stuck, and its camera is left out until an operator resumes it (ADR 39)."""
    replica: ReplicaId | None = None
    """This replica's name among the replicas that share the cameras; None: ingest makes one at start. Two replicas that
    run at the same time must have different names."""
    web: WebSettings | None = None
    """Needed for `whip://` cameras; None: ingest runs no web server."""


class IngestFile(Struct, frozen=True, kw_only=True):
    """The parts of the settings file that ingest reads."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    probes: ProbesSettings = ProbesSettings()
    tracing: TracingSettings = TracingSettings()
    sealing: SealingSettings = SealingSettings()
    sites: Annotated[list[SiteSettings], Meta(min_length=1)]
    ingest: IngestSettings = field(default_factory=IngestSettings)

    def problems(self) -> list[Problem]:
        """Return the problems that no single field shows."""
        return [*self.nats.problems(), *self.tracing.problems(), *problems(self.sites), *self._web_problems()]

    def _web_problems(self) -> Iterator[Problem]:
        web = self.ingest.web
        if web is None:
            if any(camera.is_peer for site in self.sites for camera in site.cameras):
                yield "ingest.web", "is missing; whip:// cameras need it, `web: {}` will do"
            return
        if web.operator_token is not None and len(web.operator_token.reveal()) < MIN_TOKEN:
            yield "ingest.web.operator_token", f"is too short; take {MIN_TOKEN} random characters or more"
        if (web.certificate is None) != (web.key is None):
            missing = "certificate" if web.certificate is None else "key"
            yield f"ingest.web.{missing}", "is missing; give both certificate and key, or none of them"
        for index, address in enumerate(web.ice_addresses):
            if not _is_address(address):
                yield f"ingest.web.ice_addresses[{index}]", f"{address!r} is no IP address, such as 192.0.2.7"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
