"""Pauses of sites and cameras, by operators or by hours of rest, and cameras that are left out as stuck (ADR 39).

An operator pauses a camera when somebody objects (the right to object: EDPB Guidelines 3/2019, section 6.2).

A camera can be paused alone and with its site; it goes on when neither pause holds any more. Hours of rest are in local
time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta

from msgspec import structs

from proto.control import PauseRequestV1, PauseStateV1
from services.sites.settings import DAYS, RestSettings

OWN = "ingest"
"""The operator in a record that ingest makes by itself."""
_UNIQUE_NS = 100_000_000_000
"""Replicas give the record of an order the same id, of which the stream takes no second one within 120 s."""


@dataclass(frozen=True)
class Orders:
    """The orders in force: paused sites, cameras (by site) that are paused individually, and those that are stuck."""

    sites: frozenset[str] = frozenset()
    cameras: frozenset[tuple[str, str]] = field(default=frozenset())
    stuck: frozenset[tuple[str, str]] = field(default=frozenset())

    def hold(self, site: str, camera: str) -> bool:
        """Whether this camera may not process pictures."""
        return site in self.sites or (site, camera) in self.cameras

    def at(self, site: str) -> list[str]:
        """Return the cameras of a site that are paused individually, in order."""
        return sorted(camera for owner, camera in self.cameras if owner == site)

    def stuck_at(self, site: str) -> list[str]:
        """Return the cameras of a site that are stuck, in order."""
        return sorted(camera for owner, camera in self.stuck if owner == site)

    def marked(self, site: str, camera: str, *, stuck: bool) -> "Orders":
        """Return the orders with this camera stuck, or not stuck."""
        others = self.stuck - {(site, camera)}
        return replace(self, stuck=others | {(site, camera)} if stuck else others)

    def without(self, site: str) -> "Orders":
        """Return the orders at all other sites."""
        cameras, stuck = (frozenset(one for one in some if one[0] != site) for some in (self.cameras, self.stuck))
        return Orders(self.sites - {site}, cameras, stuck)

    def after(self, order: PauseRequestV1) -> "Orders":
        """Return the orders in force after this order. The same order twice has the same effect as once.

        A camera that is resumed for itself is not stuck any more.
        """
        sites, cameras, stuck = set(self.sites), set(self.cameras), set(self.stuck)
        if order.camera is None:
            (sites.add if order.action == "pause" else sites.discard)(order.site)
        else:
            place = (order.site, order.camera)
            (cameras.add if order.action == "pause" else cameras.discard)(place)
            if order.action == "resume":
                stuck.discard(place)
        return Orders(frozenset(sites), frozenset(cameras), frozenset(stuck))

    def restored(self, state: PauseStateV1) -> "Orders":
        """Return these orders with a site's replaced by the recorded ones."""
        others = self.without(state.site)
        listed = (state.paused_cameras, state.stuck_cameras)
        own, stuck = (frozenset((state.site, camera) for camera in some) for some in listed)
        sites = others.sites | {state.site} if state.paused else others.sites
        return Orders(sites, others.cameras | own, others.stuck | stuck)

    def record(self, order: PauseRequestV1, at: int) -> PauseStateV1:
        """Return the record of these orders after this order, given at `at` (ns UTC)."""
        return PauseStateV1(
            site=order.site,
            paused=order.site in self.sites,
            operator=order.operator,
            at=at,
            paused_cameras=self.at(order.site),
            action=order.action,
            camera=order.camera,
            why=order.why,
            stuck_cameras=self.stuck_at(order.site),
        )


def holds(state: PauseStateV1) -> bool:
    """Whether a record has anything paused or stuck."""
    return state.paused or bool(state.paused_cameras or state.stuck_cameras)


def joined(known: PauseStateV1, last: PauseStateV1 | None) -> PauseStateV1:
    """Return the record for a recreated stream: its own last record, if any, with every pause and mark known before.

    The last order's operator, time and reason stay the same.
    """
    if last is None:
        return known
    cameras = sorted({*known.paused_cameras, *last.paused_cameras})
    stuck = sorted({*known.stuck_cameras, *last.stuck_cameras})
    return structs.replace(last, paused=known.paused or last.paused, paused_cameras=cameras, stuck_cameras=stuck)


def with_mark(last: PauseStateV1 | None, site: str, camera: str, *, stuck: bool, at: int) -> PauseStateV1:
    """Return the record in which ingest itself marks a camera as stuck, or takes the mark away, at `at` (ns UTC)."""
    state = last or PauseStateV1(site=site, paused=False, operator=OWN, at=at)
    marked = Orders().restored(state).marked(site, camera, stuck=stuck).stuck_at(site)
    why = "its decoder is stuck" if stuck else "its settings changed"
    return structs.replace(state, operator=OWN, at=at, action=None, camera=camera, why=why, stuck_cameras=marked)


@dataclass(frozen=True)
class Recorded:
    """A record and its place: the stream that was created at `created` (ns UTC), and the sequence in it."""

    created: int
    sequence: int
    state: PauseStateV1

    def is_after(self, other: "Recorded | None") -> bool:
        """Whether this is the later record; sequences start again in another stream."""
        return other is None or (self.created, self.sequence) > (other.created, other.sequence)


@dataclass(frozen=True)
class Given:
    """An order, when it came (ns UTC), and the newest record at that moment."""

    order: PauseRequestV1
    at: int
    after: Recorded | None

    def may_repeat(self, now: int) -> bool:
        """Whether the stream, at `now` (ns UTC), would take a second record of this order."""
        return now - self.at > _UNIQUE_NS

    def recorded(self, last: PauseStateV1 | None) -> PauseStateV1:
        """Return the record of this order on top of the last one."""
        before = Orders() if last is None else Orders().restored(last)
        return before.after(self.order).record(self.order, self.at)


class SiteOrders:
    """The orders in force at one site: its newest record, and pauses and marks whose record is awaited or failed."""

    def __init__(self, site: str) -> None:
        self._site = site
        self.newest: Recorded | None = None
        self._awaited: list[Given] = []
        self._unrecorded: dict[str | None, Given] = {}
        self._last: dict[str | None, Recorded] = {}
        self._marks: dict[str, bool] = {}

    def give(self, order: PauseRequestV1, at: int) -> Given:
        """Accept an order that came at `at` (ns UTC) and whose record is awaited.

        A pause holds from now on, a resume waits for the record.
        """
        given = Given(order, at, self.newest)
        if order.action == "pause":
            self._awaited.append(given)
        return given

    def end(self, given: Given, *, recorded: bool) -> None:
        """Stop awaiting an order's record. A pause that could not be recorded still holds."""
        if given in self._awaited:
            self._awaited.remove(given)
        if given.order.action == "pause" and not recorded:
            self._unrecorded[given.order.camera] = given
        elif self.lacks_record(given):
            del self._unrecorded[given.order.camera]

    def lacks_record(self, given: Given) -> bool:
        """Whether a pause holds though it could not be recorded, and no other order has replaced it."""
        return self._unrecorded.get(given.order.camera) is given

    def is_replaced(self, given: Given) -> bool:
        """Whether an order for the same site or camera was recorded since this one came: this one, or another."""
        last = self._last.get(given.order.camera)
        return last is not None and last.is_after(given.after)

    def mark(self, camera: str, *, stuck: bool) -> None:
        """Mark a camera as stuck, or take the mark away, from now on; its record is awaited."""
        self._marks[camera] = stuck

    def awaits(self, camera: str, *, stuck: bool) -> bool:
        """Whether the record of this mark is still awaited: neither a later mark nor an operator replaced it."""
        return self._marks.get(camera) == stuck

    def marked(self, camera: str, *, stuck: bool) -> None:
        """Stop awaiting the record of a mark."""
        if self.awaits(camera, stuck=stuck):
            del self._marks[camera]

    def learn(self, found: Recorded) -> None:
        """Accept a record; ignore one that is not the newest.

        Another order for the same site or camera replaces a pause that has no record, and a camera that is resumed its
        mark.
        """
        before = self.newest
        if not found.is_after(before):
            return
        self.newest = found
        is_news = before is None or found.state.at != before.state.at  # and not the same order, recorded again
        if is_news and found.state.action is not None:
            self._unrecorded.pop(found.state.camera, None)
            self._last[found.state.camera] = found
        if is_news and found.state.action == "resume" and found.state.camera is not None:
            self._marks.pop(found.state.camera, None)

    def moved(self, to: Recorded) -> None:
        """Continue in another stream, whatever its creation time: servers' clocks may be set back."""
        self.newest = to

    def in_force(self, orders: Orders) -> Orders:
        """Return all orders, with this site's replaced by the orders in force there."""
        orders = orders.without(self._site) if self.newest is None else orders.restored(self.newest.state)
        for given in (*self._unrecorded.values(), *self._awaited):
            orders = orders.after(given.order)
        for camera, stuck in self._marks.items():
            orders = orders.marked(self._site, camera, stuck=stuck)
        return orders


def rests(hours: Iterable[RestSettings], local: datetime) -> bool:
    """Whether one of these hours covers the local time.

    Hours that end before they start go on past midnight and belong to the day on which they start. When the clock is
    put forward or back, local time counts: a camera rests twice in an hour that comes twice.
    """
    return any(_covers(one, local) for one in hours)


def _covers(one: RestSettings, local: datetime) -> bool:
    start, end, now = time.fromisoformat(one.start), time.fromisoformat(one.end), local.time()
    today, yesterday = (DAYS[day.weekday()] in one.days for day in (local, local - timedelta(days=1)))
    if start < end:
        return today and start <= now < end
    return (today and now >= start) or (yesterday and now < end)
