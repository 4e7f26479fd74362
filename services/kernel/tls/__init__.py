"""TLS on every hop: whom we trust, what we show, and files that change while we run (ADR 21).

A `Tls` is made from files once and asked for a context for each new connection. Files that have changed by then are in
force; broken ones are told, and those before stay in force. Expiries are metrics.
"""

from services.kernel.tls.expiry import ends, saw
from services.kernel.tls.files import CertificateError, Named
from services.kernel.tls.settings import SYSTEM, Authorities, ClientFiles, client_problems
from services.kernel.tls.speak import bare_context, client_tls, server_tls, server_tls_of_pem
from services.kernel.tls.tls import Tls, Use

__all__ = [
    "SYSTEM",
    "Authorities",
    "CertificateError",
    "ClientFiles",
    "Named",
    "Tls",
    "Use",
    "bare_context",
    "client_problems",
    "client_tls",
    "ends",
    "saw",
    "server_tls",
    "server_tls_of_pem",
]
