"""Metric of the configured cameras, from each service's settings: a camera that nobody serves has no other metric."""

from collections.abc import Iterable

from prometheus_client import Gauge

from services.sites.settings import SiteSettings

CONFIGURED = Gauge(
    "moretta_camera_configured",
    "1 for each camera in the settings, whoever serves it; not of a site that reads recordings",
    ["site", "camera"],
)


def update(sites: Iterable[SiteSettings]) -> None:
    """Set the metric for the cameras of these sites and no others.

    Recordings (`close_on_end`) are left out, since they end by themselves.
    """
    CONFIGURED.clear()
    for site in sites:
        for camera in () if site.close_on_end else site.cameras:
            CONFIGURED.labels(site.id, camera.id).set(1)
