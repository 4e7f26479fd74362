"""The section `tracing` of the settings file. It is read at start."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from proto.types import Fraction
from services.kernel.settings import Problem, Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_tls

_PATH = "/v1/traces"
_TOKEN = frozenset(map(chr, range(0x21, 0x7F)))


class TracingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where traces go: to a collector that takes OTLP over HTTP. Without `endpoint` there are none."""

    endpoint: (
        Annotated[
            str,
            Meta(
                pattern=r"^https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?\Z",
                description="a URL such as http://collector:4318, without user, password or query",
            ),
        ]
        | None
    ) = None
    """Where a path is given it is taken as it is; else spans go to /v1/traces."""
    ratio: Fraction = 0.001
    """The share of pictures that are traced. Windows and alerts, of which there are few, are traced all."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`, or in `token_header` as it is."""
    token_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}\Z", description="a header's name")] | None = None
    ca_file: Authorities | None = None
    """Who may vouch for an https:// endpoint; None: the system's authorities."""
    client_cert_file: str | None = None
    client_key_file: str | None = None

    def problems(self) -> Iterator[Problem]:
        """Yield what no single key shows."""
        url = self.url()
        if url is None:
            return
        try:
            port = url.port
        except ValueError:
            port = 0
        if port == 0:
            yield "tracing.endpoint", "must have a port from 1 to 65535, or none"
        if self.token is not None and not set(self.token.reveal()) <= _TOKEN:
            yield "tracing.token", "must be one word of printable ASCII"
        if self.token is not None and url.scheme == "http" and not _is_loopback(url.hostname or ""):
            yield "tracing.endpoint", "must be https, or on this machine: the token would be read on the way"
        if self.token_header is not None and self.token is None:
            yield "tracing.token", "is missing; a header needs it"
        if url.scheme == "http" and (self.ca_file or self.client_cert_file):
            yield "tracing.endpoint", "must be https where certificates are named"
        if self.client_key_file is not None and self.client_cert_file is None:
            yield "tracing.client_cert_file", "is missing; a key is of no use without its certificate"

    def url(self) -> SplitResult | None:
        """Return where spans go; None: nowhere."""
        if self.endpoint is None:
            return None
        url = urlsplit(self.endpoint)
        return url._replace(path=_PATH) if url.path in {"", "/"} else url

    def headers(self) -> dict[str, str]:
        """Return what shows who sends: a secret."""
        if self.token is None:
            return {}
        if self.token_header is not None:
            return {self.token_header: self.token.reveal()}
        return {"Authorization": f"Bearer {self.token.reveal()}"}

    def tls(self) -> Tls | None:
        """Return how to speak TLS; None over http. CertificateError if a file is of no use."""
        url = self.url()
        if url is None or url.scheme == "http":
            return None
        return client_tls(
            "tracing", "tracing", _Files(self.ca_file or SYSTEM, self.client_cert_file, self.client_key_file)
        )


class _Files(Struct, frozen=True):
    ca_file: str | None
    client_cert_file: str | None
    client_key_file: str | None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
