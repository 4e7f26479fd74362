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

    def without(self, site: str) -> "Orders":
        """Return the orders at all other sites."""
        return Orders(self.sites - {site}, frozenset(place for place in self.cameras if place[0] != site))

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
        others = self.without(state.site)
        own = frozenset((state.site, camera) for camera in state.paused_cameras)
        return Orders(others.sites | {state.site} if state.paused else others.sites, others.cameras | own)

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


class SiteOrders:
    """What is in force at one site: its newest record, and the pauses that have none, yet or for good."""

    def __init__(self, site: str) -> None:
        self._site = site
        self.newest: tuple[int, PauseStateV1] | None = None
        """Sequence and record."""
        self._awaited: list[PauseRequestV1] = []
        self._unrecorded: dict[str | None, PauseRequestV1] = {}

    def give(self, order: PauseRequestV1) -> None:
        """Take an order whose record is awaited: a pause holds from now on, to go on waits for the record."""
        if order.action == "pause":
            self._awaited.append(order)

    def end(self, order: PauseRequestV1, *, recorded: bool) -> None:
        """Await an order's record no more. A pause that could not be recorded holds all the same."""
        if order.action == "pause":
            self._awaited.remove(order)
            if not recorded:
                self._unrecorded[order.camera] = order

    def learn(self, sequence: int, state: PauseStateV1) -> None:
        """Take a record in; one that is not the newest says nothing.

        Another order for the same thing takes the place of a pause that has no record.
        """
        before = self.newest
        if before is not None and sequence <= before[0]:
            return
        self.newest = sequence, state
        if state.action is not None:
            self._unrecorded.pop(state.camera, None)

    def in_force(self, orders: Orders) -> Orders:
        """Return all orders with this site's replaced by what is in force at it."""
        orders = orders.without(self._site) if self.newest is None else orders.restored(self.newest[1])
        for order in (*self._unrecorded.values(), *self._awaited):
            orders = orders.after(order)
        return orders
