"""What of a deployment can be reached without a secret: cameras and a mail server whose addresses are in the settings.

A pod of `helm test` has no Secret but the operator's; the network policy lets it go where ingest and notify may.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from operate.doctor.reach import ServerAddress
from services.ingest.settings import IngestFile
from services.notify.settings import NotifySettings
from services.sites.settings import CameraSettings


def cameras(file: IngestFile, raw: Mapping[str, Any]) -> Iterator[tuple[str, CameraSettings]]:
    """Yield each camera, with its site, that names no file; `raw` are the same settings as they are written."""
    for site, given in zip(file.sites, raw["sites"], strict=True):
        for camera, item in zip(site.cameras, given.get("cameras") or [], strict=True):
            if not _names_a_file(item):
                yield site.id, camera


def mail_server(notify: NotifySettings) -> ServerAddress | None:
    """Return where the mail server is; None without one. To log in takes its password."""
    smtp = notify.smtp
    return ServerAddress("SMTP", smtp.host, smtp.port_in_use()) if smtp else None


def _names_a_file(item: Mapping[str, Any]) -> bool:
    return any(str(key).endswith("_file") and value for key, value in item.items())
