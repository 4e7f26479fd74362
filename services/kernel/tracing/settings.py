"""The section `tracing` of the settings file. A service reads it at start, and switches tracing on or off."""

import ipaddress
import os
from collections.abc import Callable, Iterator
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from proto.types import Fraction
from services.kernel.faults import StartError
from services.kernel.log import get_logger
from services.kernel.settings import Problem, Secret
from services.kernel.tls import SYSTEM, Authorities, Tls, client_tls
from services.kernel.tracing import span

_PATH = "/v1/traces"
_TOKEN = frozenset(map(chr, range(0x21, 0x7F)))


class TracingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The collector that gets the traces, by OTLP over HTTP. Without `endpoint` there are no traces."""

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
    """A path in the URL is used unchanged; without a path, spans go to /v1/traces."""
    ratio: Fraction = 0.001
    """The share of pictures that are traced. Windows and alerts are few, so all of them are traced."""
    token: Secret | None = None
    """Sent as `Authorization: Bearer`, or unchanged in `token_header`."""
    token_header: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,64}\Z", description="a header's name")] | None = None
    ca_file: Authorities | None = None
    """Certificate authorities for an https:// endpoint; None: the system's authorities."""
    client_cert_file: str | None = None
    client_key_file: str | None = None

    def problems(self) -> Iterator[Problem]:
        """Yield the problems that a check of each key alone does not find."""
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
        """Return the URL that spans are sent to; None: spans are not sent."""
        if self.endpoint is None:
            return None
        url = urlsplit(self.endpoint)
        return url._replace(path=_PATH) if url.path in {"", "/"} else url

    def headers(self) -> dict[str, str]:
        """Return the headers that authenticate the sender; they hold a secret."""
        if self.token is None:
            return {}
        if self.token_header is not None:
            return {self.token_header: self.token.reveal()}
        return {"Authorization": f"Bearer {self.token.reveal()}"}

    def tls(self) -> Tls | None:
        """Return the `Tls` for the collector; None over http. CertificateError if a file can't be used."""
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


log = get_logger()

TIMEOUT_S = 3.0
"""How long stopping waits until the last spans are taken: less than a step of stopping may take."""


def start(service: str, settings: TracingSettings) -> Callable[[], None]:
    """Start tracing; return the function that ends it. StartError if the settings can't be followed."""
    url = settings.url()
    if url is None:
        return lambda: None
    tls = settings.tls()
    # OpenTelemetry reads dozens of variables, at import and later. The settings alone decide what is sent where.
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
    try:
        from services.kernel.tracing.engine import Traces
        from services.kernel.tracing.sending import Collector, Sending
    except ModuleNotFoundError as error:
        why = f"tracing.endpoint: {error.name} is not installed; `pip install moretta[tracing]` brings it"
        raise StartError(why) from None
    sending = Sending(Collector(url, settings.headers(), tls).post)
    span.use(Traces(service, settings.ratio, sending))
    log.info("traces go to a collector", host=url.hostname, ratio=settings.ratio)

    def end() -> None:
        span.use(None)
        sending.close(TIMEOUT_S)

    return end
