"""Which sites and cameras operators have paused (the right to object: EDPB Guidelines 3/2019, section 6.2).

A camera may be paused for itself and with its site; it goes on when neither holds any more.
"""

from dataclasses import dataclass, field

from proto.control import PauseRequestV1, PauseStateV1


@dataclass(frozen=True)
class Orders:
    """The orders in force: paused sites, and cameras (by site) that are paused for themselves."""

    sites: frozenset[str] = frozenset()
    cameras: frozenset[tuple[str, str]] = field(default=frozenset())

    def hold(self, site: str, camera: str) -> bool:
        """Whether this camera may not process pictures."""
        return site in self.sites or (site, camera) in self.cameras

    def at(self, site: str) -> list[str]:
        """Return the cameras of a site that are paused for themselves, in order."""
        return sorted(camera for owner, camera in self.cameras if owner == site)

    def after(self, order: PauseRequestV1) -> "Orders":
        """Return what is in force once this order is. Twice the same order is the same as once."""
        sites, cameras = set(self.sites), set(self.cameras)
        if order.camera is None:
            (sites.add if order.action == "pause" else sites.discard)(order.site)
        else:
            place = (order.site, order.camera)
            (cameras.add if order.action == "pause" else cameras.discard)(place)
        return Orders(frozenset(sites), frozenset(cameras))

    def restored(self, state: PauseStateV1) -> "Orders":
        """Return these orders with a site's replaced by the recorded ones."""
        others = {place for place in self.cameras if place[0] != state.site}
        own = {(state.site, camera) for camera in state.paused_cameras}
        sites = self.sites | {state.site} if state.paused else self.sites - {state.site}
        return Orders(sites, frozenset(others | own))

    def record(self, order: PauseRequestV1, at: int) -> PauseStateV1:
        """Return what is to be recorded once these are in force by this order, given at `at` (ns UTC)."""
        return PauseStateV1(
            site=order.site,
            paused=order.site in self.sites,
            operator=order.operator,
            at=at,
            paused_cameras=self.at(order.site),
            action=order.action,
            camera=order.camera,
            why=order.why,
        )
