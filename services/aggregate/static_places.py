"""Tells where a site's static faces are: their number as a metric, and their cells to ingest, for aiming (ADR 42)."""

import contextlib
from collections.abc import Iterable

from prometheus_client import Gauge

from proto.aiming import StaticPlacesReplyV1, StaticPlaceV1
from proto.sightings import StaticFacesV1
from proto.types import Profile
from services.aggregate.core.static_day import StaticDay

STATIC_PLACES = Gauge(
    "moretta_aggregate_static_places",
    "Places of portraits on walls, which are not counted; renewed with the first window that ends on a day (UTC)",
    ["site", "camera"],
)


class SiteStaticPlaces:
    """The static faces of one site, as far as it tells them, while this replica decides it."""

    def __init__(self, site: str) -> None:
        self._site, self._day = site, StaticDay()
        self._shown: set[str] = set()

    def show(self, known: StaticFacesV1, profile: Profile) -> None:
        """Take what was known at a window's end; what is told changes once a day."""
        self._day.renew(known, profile)
        told = self._day.told(profile)
        self._forget(self._shown - told.keys())
        self._shown = set(told)
        for camera, one in told.items():
            STATIC_PLACES.labels(self._site, camera).set(len(one.cells))

    def answer(self, camera: str, profile: Profile) -> StaticPlacesReplyV1:
        """Return what is told of a camera under this profile: empty where that is nothing."""
        told = self._day.told(profile).get(camera)
        if told is None:
            return StaticPlacesReplyV1(site=self._site, camera=camera)
        places = [StaticPlaceV1(*cell) for cell in told.cells]
        return StaticPlacesReplyV1(site=self._site, camera=camera, at=told.at, places=places)

    def retire(self) -> None:
        """Forget the site."""
        self._forget(self._shown)
        self._shown = set()

    def _forget(self, cameras: Iterable[str]) -> None:
        for camera in cameras:
            with contextlib.suppress(KeyError):
                STATIC_PLACES.remove(self._site, camera)
