"""TLS on every hop: trusted authorities, our own certificates, and files that change while a service runs (ADR 21).

A `Tls` is made from files once, and gives a context for each new connection. Files that have changed by then come into
force. Broken files are logged, and the previous ones stay in force. Expiries are metrics.
"""

from services.kernel.tls.files import CertificateError, Named
from services.kernel.tls.speak import (
    SYSTEM,
    Authorities,
    ClientFiles,
    bare_context,
    client_problems,
    client_tls,
    server_tls,
    server_tls_of_pem,
)
from services.kernel.tls.tls import EXPIRIES, Tls, Use, ends, saw

__all__ = [
    "EXPIRIES",
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
