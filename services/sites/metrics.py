"""The cameras that there should be, as a metric of whoever reads the settings: one that nobody serves has no other."""

from collections.abc import Iterable

from prometheus_client import Gauge

from services.sites.settings import SiteSettings

CONFIGURED = Gauge(
    "moretta_camera_configured",
    "1 for each camera in the settings, whoever serves it; not of a site that reads recordings",
    ["site", "camera"],
)


def tell(sites: Iterable[SiteSettings]) -> None:
    """Have the metric name the cameras of these sites and no others; recordings (`close_on_end`) end by themselves."""
    CONFIGURED.clear()
    for site in sites:
        for camera in () if site.close_on_end else site.cameras:
            CONFIGURED.labels(site.id, camera.id).set(1)
