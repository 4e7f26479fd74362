"""The operator's pause: now, sticky over restarts, audited (docs/operations.md)."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import cast

from proto.control import PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.subjects import PAUSE, PAUSE_STATE
from services.bus import Bus, Request, Stored, StreamReset
from services.ingest.core.orders import Orders, Recorded, SiteOrders, holds, joined
from services.ingest.fleet import Fleet
from services.ingest.in_hand import InHand
from services.kernel.app import App
from services.kernel.log import get_logger

log = get_logger()

_STALE_NS = 10_000_000_000
"""As long as an operator's command waits for its answer."""
_REFUSE_AFTER_S = 2.0
"""A replica that has the camera has confirmed the order by then, as a rule."""
_RENEW_AFTER_NS = 30 * 86_400 * 1_000_000_000
"""A pause is recorded anew when its record is so old: the stream forgets after 400 days."""
LOOK_S = 60.0
"""Who may ask JetStream anything can have its answers stored until they push all records out (ADR 20)."""


class Pausing:
    """Takes pause and resume orders for the sites of this ingest."""

    def __init__(
        self, app: App, bus: Bus, fleet: Fleet, *, look_s: float = LOOK_S, utc_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._bus, self._fleet, self._look_s, self._utc_ns = bus, fleet, look_s, utc_ns
        self._in_hand = InHand(app)
        self._recording = asyncio.Lock()
        self._sites: dict[str, SiteOrders] = {}

    def _at(self, site: str) -> SiteOrders:
        return self._sites.setdefault(site, SiteOrders(site))

    async def restore(self, site: str) -> None:
        """Take the orders in force over a restart."""
        created, _ = await self._bus.streams.created("CONTROL")
        last = await self._bus.last(PAUSE_STATE, site=site)
        if last is not None:
            self._learn(Recorded(created, last.sequence, _state(last)))

    async def follow(self, site: str) -> None:
        """Obey what other replicas recorded and we did not hear, for ever: an order is sent once to whoever listens."""
        restored = self._at(site).newest
        start = restored.sequence + 1 if restored else 1
        async for stored in self._bus.follow("CONTROL", [PAUSE_STATE.subject(site=site)], start=start):
            if isinstance(stored, StreamReset):
                await self._uphold(site)
            elif isinstance(stored, Stored):
                self._learn(Recorded(stored.stream_created, stored.sequence, _state(stored)))

    async def keep(self, site: str) -> None:
        """See to it once a minute that the stream forgets no pause in force, for ever."""
        while True:
            await self._uphold(site)
            await asyncio.sleep(self._look_s)

    async def _uphold(self, site: str) -> None:
        """Record what is in force once more if the stream lost it (it may be another one), or is about to forget it."""
        try:
            async with self._recording:
                await self._record_again(site)
        except Exception:
            log.exception("the pauses in force could not be recorded again", site=site)

    async def _record_again(self, site: str) -> None:
        created, end = await self._bus.streams.created("CONTROL")
        last, known = await self._bus.last(PAUSE_STATE, site=site), self._at(site).newest
        if known is not None and (last is None or known.created != created or known.sequence > end):
            await self._carry_over(known.state, created, last)
        elif last is not None and holds(_state(last)) and self._utc_ns() - last.time > _RENEW_AFTER_NS:
            self._learn(await self._amended(site, lambda now: now or _state(last)))

    async def _carry_over(self, known: PauseStateV1, created: int, last: Stored | None) -> None:
        """Go on in a stream that lost records: what was paused stays so."""
        there = _state(last) if last else None
        found = Recorded(created, last.sequence if last else 0, joined(known, there))
        if found.state != there and holds(found.state):
            log.warning("a record of orders was lost: what is paused stays so, and is recorded again", site=known.site)
            found = await self._amended(known.site, lambda now: joined(known, now))
        self._at(known.site).moved(found)
        self._obey(known.site)

    def _learn(self, found: Recorded) -> None:
        """Take a record in, and obey it if it is the newest."""
        self._at(found.state.site).learn(found)
        self._obey(found.state.site)

    def _obey(self, site: str) -> None:
        orders, before = self._at(site), self._fleet.orders
        self._fleet.obey(orders.in_force(before))
        if self._fleet.orders != before and orders.newest is not None:
            state = orders.newest.state
            what = {"operator": state.operator, "whole_site": state.paused, "cameras": state.paused_cameras}
            log.warning(f"{'paused' if holds(state) else 'resumed'} by an operator", site=site, **what)

    async def listen(self, site: str) -> None:
        """Subscribe to this site's orders."""
        await self._bus.serve(PAUSE, self._order, site=site)

    async def _order(self, message: PauseRequestV1, request: Request) -> None:
        # Only to go on: hosts' clocks differ, and a pause that comes late is better than none.
        if message.action == "resume" and message.at is not None and self._utc_ns() - message.at > _STALE_NS:
            log.warning("an order to resume came too late", site=message.site, operator=message.operator)
            return
        names = [camera for site, camera in self._fleet.wanted if site == message.site]
        if message.camera is not None and message.camera not in names and message.action == "pause":
            if self._in_hand.has_room():
                self._in_hand.spawn(f"refuse to {message.action}", self._refuse(message, names, request))
            return
        if message.action == "resume" and not self._in_hand.has_room():
            return
        # First the act, then the record: a slow disk may not keep a picture alive, nor keep the next order waiting.
        orders = self._at(message.site)
        orders.give(message)
        self._fleet.obey(orders.in_force(self._fleet.orders))
        meant = len(names) if message.camera is None else names.count(message.camera)
        await self._in_hand.room()  # a pause is in force, and has to be recorded behind the orders before it
        self._in_hand.spawn(f"record {message.action}", self._record(message, meant, request))

    async def _refuse(self, message: PauseRequestV1, names: list[str], request: Request) -> None:
        """Say that there is no such camera; later, since the first answer counts and others may have newer settings."""
        await asyncio.sleep(_REFUSE_AFTER_S)
        await _reply(request, self._refused(message, names))

    def _refused(self, message: PauseRequestV1, names: list[str]) -> PauseReplyV1:
        orders = self._fleet.orders
        return PauseReplyV1(
            site=message.site,
            paused=message.site in orders.sites,
            cameras=0,
            error=f"site {message.site!r} has no camera {message.camera!r}; it has {', '.join(names) or 'none'}",
            paused_cameras=orders.at(message.site),
        )

    async def _record(self, order: PauseRequestV1, meant: int, request: Request) -> None:
        try:
            async with self._recording:  # a lock is fair: the audit has the orders in their order
                found = await self._append(order, request.id)
        except Exception:  # a pause is in force here all the same, and whoever gave it hears no confirmation
            log.exception("an order could not be recorded", site=order.site)
            self._at(order.site).end(order, recorded=False)
            return
        self._at(order.site).end(order, recorded=True)
        self._learn(found)
        said = {"site": order.site, "camera": order.camera, "operator": order.operator, "why": order.why}
        log.warning(f"{order.action} by an operator", **said)
        paused, own = found.state.paused, found.state.paused_cameras
        await _reply(request, PauseReplyV1(site=order.site, paused=paused, cameras=meant, paused_cameras=own))

    async def _append(self, order: PauseRequestV1, request_id: str | None) -> Recorded:
        """Record an order on top of the last record; of the replicas that obey it one does, the others find it done."""
        at, known = self._utc_ns(), self._at(order.site).newest

        def amended(last: PauseStateV1 | None) -> PauseStateV1:
            last = last or (known.state if known else None)  # a stream made anew may have forgotten it
            before = Orders() if last is None else Orders().restored(last)
            return before.after(order).record(order, at)

        return await self._amended(order.site, amended, message_id=request_id)

    async def _amended(
        self, site: str, change: Callable[[PauseStateV1 | None], PauseStateV1], *, message_id: str | None = None
    ) -> Recorded:
        subject = PAUSE_STATE.subject(site=site)
        sequence, message = await self._bus.streams.amend(
            PAUSE_STATE, subject, lambda last: change(cast("PauseStateV1 | None", last)), message_id=message_id
        )
        created, _ = await self._bus.streams.created("CONTROL")  # now: it may have been made by this very call
        return Recorded(created, sequence, cast("PauseStateV1", message))


def _state(stored: Stored) -> PauseStateV1:
    return cast("PauseStateV1", stored.message)


async def _reply(request: Request, reply: PauseReplyV1) -> None:
    with contextlib.suppress(Exception):  # nobody is left to hear it
        await request.reply(reply)
