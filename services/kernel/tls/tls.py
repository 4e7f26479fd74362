"""TLS contexts with certificates and keys from files that may change at any time.

Expiries are metrics. Each scrape looks at the files, so it sees a renewed file even without a new connection.
"""

import contextlib
import datetime as dt
import ssl
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.kernel.log import get_logger
from services.kernel.tls.files import Certificate, CertificateError, Content

log = get_logger()

Use = Literal["nats", "whip", "page", "smtp", "sms", "webhook", "tracing"]
_TRIES = 5


@dataclass(frozen=True)
class Loaded:
    """The TLS context and certificates that were loaded from files."""

    context: ssl.SSLContext
    certificate: Certificate | None
    """The certificate that we show; None: we show none."""
    authorities_end: dt.datetime | None
    """When the last of our own authorities expires; None: we use the system's authorities, or none."""


class Tls:
    """A TLS context for new connections, made again when its files have changed.

    It compares the files' content, not their times: Kubernetes swaps a link, others write in place, twice in a tick.
    """

    def __init__(
        self, use: Use, read: Callable[[], Sequence[Content]], load: Callable[[Sequence[Content]], Loaded]
    ) -> None:
        """Load the files. CertificateError if a file can't be used."""
        self.use: Use = use
        self._read, self._load = read, load
        self._trouble: CertificateError | None = None
        self.renewed: Callable[[], None] = lambda: None
        """Called when changed files have come into force."""
        self._seen, found = self._settled()
        if isinstance(found, CertificateError):
            raise found
        self._loaded = found
        self._doubt()
        IN_FORCE.add(self)

    @property
    def context(self) -> ssl.SSLContext:
        """The context for a new connection, after a look at the files."""
        return self.look().context

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that we show at present; None: we show none."""
        return self._loaded.certificate

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the shown certificate, as browsers show it: AB:CD:...; empty without one."""
        return self._loaded.certificate.fingerprint if self._loaded.certificate is not None else ""

    @property
    def is_stale(self) -> bool:
        """Whether the files can't be used, so that their previous content is in force."""
        return self._trouble is not None

    def look(self) -> Loaded:
        """Return what is in force, after a look at the files. Broken files are logged once and not used."""
        if self._read() != self._seen:
            self._take()
        return self._loaded

    def renew(self) -> None:
        """Put the files into force. CertificateError if they can't be used; the previous ones stay in force."""
        self.look()
        if self._trouble is not None:
            raise CertificateError(self._trouble.field, self._trouble.why)

    def _take(self) -> None:
        self._seen, found = self._settled()
        if isinstance(found, CertificateError):
            self._trouble = found
            log.error("changed certificate files not usable", use=self.use, why=str(found))
            return
        self._trouble, self._loaded = None, found
        shown = found.certificate
        log.info("new certificate files in force", use=self.use, expires=shown and shown.not_after.isoformat())
        self._doubt()
        self.renewed()

    def _settled(self) -> tuple[Sequence[Content], Loaded | CertificateError]:
        """Return the files' content, and what was loaded from exactly that: files may change while they are read."""
        now = self._read()
        for _ in range(_TRIES):
            contents, found = now, self._attempt(now)
            now = self._read()
            if now == contents:
                break
        return contents, found

    def _attempt(self, contents: Sequence[Content]) -> Loaded | CertificateError:
        try:
            return self._load(contents)
        except CertificateError as error:
            return error
        except (ValueError, ssl.SSLError) as error:  # a certificate that only one of the two libraries accepts
            return CertificateError(self.use, f"a certificate can't be used: {error}")

    def _doubt(self) -> None:
        """Warn of a certificate that others will refuse."""
        shown, now = self._loaded.certificate, dt.datetime.now(dt.UTC)
        if shown is not None and not shown.not_before <= now < shown.not_after:
            span = {"not_before": shown.not_before.isoformat(), "not_after": shown.not_after.isoformat()}
            log.warning("own certificate not valid", use=self.use, **span)


IN_FORCE: "weakref.WeakSet[Tls]" = weakref.WeakSet()
"""Every `Tls` that is still in use."""


_PEERS: dict[Use, dt.datetime] = {}


def saw(use: Use, connection: Any) -> None:
    """Note until when the certificate of a connection's other side is valid; None is a connection without TLS."""
    shown = connection.getpeercert(binary_form=True) if isinstance(connection, (ssl.SSLObject, ssl.SSLSocket)) else None
    if shown is not None:
        with contextlib.suppress(ValueError):  # OpenSSL accepted it, and nothing depends on this
            _PEERS[use] = x509.load_der_x509_certificate(shown).not_valid_after_utc


def ends() -> Iterator[tuple[Use, str, dt.datetime]]:
    """Yield use, side and expiry of each certificate: ours, our own authorities', and the last server's."""
    for tls in list(IN_FORCE):
        loaded = tls.look()
        if loaded.certificate is not None:
            yield tls.use, "own", loaded.certificate.not_after
        if loaded.authorities_end is not None:
            yield tls.use, "authority", loaded.authorities_end
        if tls.use in _PEERS:
            yield tls.use, "peer", _PEERS[tls.use]


class _Expiries(Collector):
    """The metrics of expiries. Of several certificates with the same use and side, the first to expire counts."""

    def collect(self) -> Iterator[Metric]:
        expiry = GaugeMetricFamily(
            "moretta_certificate_expiry_timestamp_seconds", "When a certificate ends", labels=["use", "side"]
        )
        stale = GaugeMetricFamily(
            "moretta_certificate_renewal_failed", "1 while changed files can't be used", labels=["use"]
        )
        first: dict[tuple[str, str], float] = {}
        for use, side, end in ends():
            first[use, side] = min(end.timestamp(), first.get((use, side), float("inf")))
        for labels, value in first.items():
            expiry.add_metric(labels, value)
        in_force = list(IN_FORCE)
        for use in {tls.use for tls in in_force}:
            stale.add_metric([use], int(any(tls.is_stale for tls in in_force if tls.use == use)))
        yield from (expiry, stale)

    def describe(self) -> list[Metric]:
        """Return nothing: registering must read no file."""
        return []


EXPIRIES: Collector = _Expiries()
"""The collector for a service's registry of metrics."""
