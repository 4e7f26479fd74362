"""Expiries as metrics, looked up when they are asked for: a renewed file is seen although nobody connects anew."""

import contextlib
import datetime as dt
import ssl
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from prometheus_client import REGISTRY, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.kernel.tls.tls import IN_FORCE, Use

_PEERS: dict[Use, dt.datetime] = {}


def saw(use: Use, connection: Any) -> None:
    """Note until when the certificate of a connection's other side is valid; None is no connection by TLS."""
    shown = connection.getpeercert(binary_form=True) if isinstance(connection, (ssl.SSLObject, ssl.SSLSocket)) else None
    if shown is not None:
        with contextlib.suppress(ValueError):  # OpenSSL was satisfied with it, and nothing depends on this
            _PEERS[use] = x509.load_der_x509_certificate(shown).not_valid_after_utc


def ends() -> Iterator[tuple[Use, str, dt.datetime]]:
    """Yield use, side and end of each certificate: ours, our own authorities', and that of the server met last."""
    for tls in list(IN_FORCE):
        loaded = tls.look()
        if loaded.certificate is not None:
            yield tls.use, "own", loaded.certificate.not_after
        if loaded.authorities_end is not None:
            yield tls.use, "authority", loaded.authorities_end
        if tls.use in _PEERS:
            yield tls.use, "peer", _PEERS[tls.use]


class _Expiries(Collector):
    """Of several with the same use, the one that ends first."""

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
        """Nothing: registering must read no file."""
        return []


REGISTRY.register(_Expiries())
