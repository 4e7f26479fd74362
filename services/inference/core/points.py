"""Which operating point of the model analyses which camera. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from services.sites.settings import Analysis, SiteSettings

Place = tuple[str, str]
"""A site and one of its cameras."""


@dataclass(frozen=True)
class Points:
    """The operating points of all cameras of a worker; a model without `fast` has `accurate` alone."""

    sites: Sequence[SiteSettings]
    has_fast: bool

    @cached_property
    def wanted(self) -> frozenset[Place]:
        """The cameras for which the settings ask for `fast`."""
        cameras = ((site.id, camera) for site in self.sites for camera in site.cameras)
        return frozenset((site, camera.id) for site, camera in cameras if camera.analysis == "fast")

    @cached_property
    def fast(self) -> frozenset[Place]:
        """The cameras that are analysed at `fast`."""
        return self.wanted if self.has_fast else frozenset()

    def by_site(self) -> dict[str, frozenset[Analysis]]:
        """Return at which points the cameras of each site are analysed; a site without cameras has none."""
        found: dict[str, set[Analysis]] = {site.id: set() for site in self.sites}
        for site in self.sites:
            found[site.id] |= {"fast" if (site.id, one.id) in self.fast else "accurate" for one in site.cameras}
        return {site: frozenset(points) for site, points in found.items()}
