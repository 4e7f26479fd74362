"""The web server's certificate: the operator's own, or a self-signed one whose fingerprint people compare."""

import datetime as dt
from pathlib import Path

from services.ingest.settings import WebSettings
from services.ingest.web.self_signed import kept, names_of, self_signed
from services.kernel.faults import StartError
from services.kernel.tls import Named, Tls, server_tls, server_tls_of_pem


def served(settings: WebSettings, now: dt.datetime) -> Tls:
    """Return the TLS settings: the configured certificate, or ingest's own. StartError names an unusable file."""
    if (given := settings.tls()) is not None:
        return given
    if settings.certificate_dir is None:
        return server_tls_of_pem("whip", *self_signed(names_of(settings.names), now))
    try:
        files = kept(Path(settings.certificate_dir), settings.names, now)
    except OSError as error:
        why = f"{settings.certificate_dir} can't be written: {error.strerror}"
        raise StartError(f"ingest.web.certificate_dir: {why}") from None
    return server_tls("whip", *(Named("ingest.web.certificate_dir", str(file)) for file in files))
