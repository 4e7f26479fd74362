"""Which sites and cameras operators have paused (the right to object: EDPB Guidelines 3/2019, section 6.2).

A camera may be paused for itself and with its site; it goes on when neither holds any more.
"""

from dataclasses import dataclass, field

from msgspec import structs

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


def holds(state: PauseStateV1) -> bool:
    """Whether a record has anything paused."""
    return state.paused or bool(state.paused_cameras)


def joined(known: PauseStateV1, last: PauseStateV1 | None) -> PauseStateV1:
    """Return what a stream that was made anew is to hold: its own last record, if any, and every pause known before.

    Who gave the last order, when and why, is not changed.
    """
    if last is None:
        return known
    cameras = sorted({*known.paused_cameras, *last.paused_cameras})
    return structs.replace(last, paused=known.paused or last.paused, paused_cameras=cameras)


@dataclass(frozen=True)
class Recorded:
    """A record, and where it is: in the stream that was made at `created` (ns UTC), under a sequence."""

    created: int
    sequence: int
    state: PauseStateV1

    def is_after(self, other: "Recorded | None") -> bool:
        """Whether it is the later one; sequences begin anew in another stream."""
        return other is None or (self.created, self.sequence) > (other.created, other.sequence)


class SiteOrders:
    """What is in force at one site: its newest record, and the pauses that have none, yet or for good."""

    def __init__(self, site: str) -> None:
        self._site = site
        self.newest: Recorded | None = None
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

    def learn(self, found: Recorded) -> None:
        """Take a record in; one that is not the newest says nothing.

        Another order for the same thing takes the place of a pause that has no record.
        """
        before = self.newest
        if not found.is_after(before):
            return
        self.newest = found
        is_news = before is None or found.state.at != before.state.at  # and not the same order, recorded again
        if is_news and found.state.action is not None:
            self._unrecorded.pop(found.state.camera, None)

    def moved(self, to: Recorded) -> None:
        """Go on in another stream, whenever that was made: clocks of servers may be put back."""
        self.newest = to

    def in_force(self, orders: Orders) -> Orders:
        """Return all orders with this site's replaced by what is in force at it."""
        orders = orders.without(self._site) if self.newest is None else orders.restored(self.newest.state)
        for order in (*self._unrecorded.values(), *self._awaited):
            orders = orders.after(order)
        return orders
