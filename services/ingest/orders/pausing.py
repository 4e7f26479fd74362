"""The operator's pause: it takes effect at once, survives restarts and is audited (docs/operations.md).

So does the mark of a camera whose decoder is stuck, until an operator resumes that camera (ADR 39).
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import cast

from proto.control import PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.subjects import PAUSE, PAUSE_STATE
from services.bus import Bus, Request, Stored, StreamReset
from services.ingest.camera.fleet import Fleet, SiteCamera
from services.ingest.core.orders import OWN, Given, Recorded, SiteOrders, holds, joined, with_mark
from services.ingest.orders.in_hand import InHand
from services.kernel.app import App
from services.kernel.log import get_logger

log = get_logger()

_STREAM = str(PAUSE_STATE.stream)
_LEFT_OUT = "stuck cameras are left out"
_STALE_NS = 10_000_000_000
"""How long an operator's command waits for its answer."""
_REFUSE_AFTER_S = 2.0
"""By then a replica that has the camera has usually confirmed the order."""
_LATE_S = 5.0
"""When the operator learns that a pause is in force and not recorded yet; the command waits for 10 s."""
RETRY_S = 5.0
"""When to try again to record a pause, after an error that does not pass by itself."""
_ASK_S = 2.0
"""How long JetStream's API may be asked while orders wait for their turn: a reader can keep it busy (ADR 45)."""
_RENEW_AFTER_NS = 30 * 86_400 * 1_000_000_000
"""A pause is recorded again when its record is this old: the stream deletes records after 400 days."""
LOOK_S = 60.0
"""How often the records are checked. A client that may send JetStream any request can have the answers stored until
they push all records out (ADR 20)."""


class Pausing:
    """Takes pause and resume orders for the sites of this ingest."""

    def __init__(
        self,
        app: App,
        bus: Bus,
        fleet: Fleet,
        *,
        look_s: float = LOOK_S,
        retry_s: float = RETRY_S,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._app, self._bus, self._fleet = app, bus, fleet
        self._look_s, self._retry_s, self._utc_ns = look_s, retry_s, utc_ns
        self._created = 0
        fleet.record_stuck = self.mark
        self._in_hand = InHand(app)
        self._recording = asyncio.Lock()
        self._sites: dict[str, SiteOrders] = {}

    def _at(self, site: str) -> SiteOrders:
        return self._sites.setdefault(site, SiteOrders(site))

    async def restore(self, site: str) -> None:
        """Restore the orders in force after a restart."""
        self._created, _ = await self._bus.streams.created(_STREAM)
        last = await self._bus.last(PAUSE_STATE, site=site)
        if last is not None:
            self._learn(Recorded(self._created, last.sequence, _state(last)))

    async def follow(self, site: str) -> None:
        """Obey, for ever, orders that other replicas recorded and this one missed: listeners get an order once."""
        restored = self._at(site).newest
        start = restored.sequence + 1 if restored else 1
        async for stored in self._bus.follow(_STREAM, [PAUSE_STATE.subject(site=site)], start=start):
            if isinstance(stored, StreamReset):
                await self._uphold(site)
            elif isinstance(stored, Stored):
                self._learn(Recorded(stored.stream_created, stored.sequence, _state(stored)))

    async def keep(self, site: str) -> None:
        """Make sure once a minute that the stream keeps every pause in force, for ever."""
        while True:
            await self._uphold(site)
            await asyncio.sleep(self._look_s)

    async def _uphold(self, site: str) -> None:
        """Record the orders in force again if the stream lost them (it may be a new one) or is about to delete them."""
        try:
            while True:
                known = self._at(site).newest
                # Asked before it is this task's turn: while the API is busy, orders are recorded.
                created, end = await self._bus.streams.created(_STREAM)
                last = await self._bus.last(PAUSE_STATE, site=site)
                async with self._recording:
                    if self._at(site).newest is known:  # else look again
                        await self._record_again(known, site, created, end, last)
                        return
        except Exception:
            log.exception("pauses not recorded again", site=site)

    async def _record_again(
        self, known: Recorded | None, site: str, created: int, end: int, last: Stored | None
    ) -> None:
        if known is not None and (last is None or known.created != created or known.sequence > end):
            await self._carry_over(known.state, created, last)
        elif last is not None and holds(_state(last)) and self._utc_ns() - last.time > _RENEW_AFTER_NS:
            self._learn(await self._amended(site, lambda now: now or _state(last)))

    async def _carry_over(self, known: PauseStateV1, created: int, last: Stored | None) -> None:
        """Continue in a stream that lost records: paused cameras stay paused."""
        there = _state(last) if last else None
        found = Recorded(created, last.sequence if last else 0, joined(known, there))
        if found.state != there and holds(found.state):
            log.warning("order record lost", site=known.site)
            found = await self._amended(known.site, lambda now: joined(known, now))
        self._at(known.site).moved(found)
        self._obey(known.site)

    def _learn(self, found: Recorded) -> None:
        """Accept a record, and obey it if it is the newest."""
        self._at(found.state.site).learn(found)
        self._obey(found.state.site)

    def _obey(self, site: str) -> None:
        orders, before = self._at(site), self._fleet.orders
        self._fleet.obey(orders.in_force(before))
        if self._fleet.orders != before and orders.newest is not None:
            _log(orders.newest.state)

    def mark(self, place: SiteCamera, stuck: bool) -> None:
        """Have a camera left out by all replicas, because it got stuck, or have it tried again; record that."""
        site, camera = place
        self._at(site).mark(camera, stuck=stuck)
        self._fleet.obey(self._at(site).in_force(self._fleet.orders))
        log.warning(_LEFT_OUT, site=site, cameras=self._fleet.orders.stuck_at(site))
        self._app.spawn(f"record that {site}/{camera} is stuck", self._keep_mark(site, camera, stuck), may_end=True)

    async def _keep_mark(self, site: str, camera: str, stuck: bool) -> None:
        """Record a mark, for as long as it takes: NATS may be away."""
        orders = self._at(site)
        while orders.awaits(camera, stuck=stuck):
            try:
                async with self._recording:
                    found = await self._amended(site, partial(self._with_mark, site, camera, stuck))
            except Exception:
                log.exception("stuck camera not recorded", site=site, camera=camera)
                await asyncio.sleep(self._look_s)
                continue
            orders.marked(camera, stuck=stuck)
            self._learn(found)

    def _with_mark(self, site: str, camera: str, stuck: bool, last: PauseStateV1 | None) -> PauseStateV1:
        known = self._at(site).newest
        last = last or (known.state if known else None)  # a recreated stream may have lost it
        return with_mark(last, site, camera, stuck=stuck, at=self._utc_ns())

    async def listen(self, site: str) -> None:
        """Subscribe to this site's orders."""
        await self._bus.serve(PAUSE, self._order, site=site)

    async def _order(self, message: PauseRequestV1, request: Request) -> None:
        # Only a resume can come too late: hosts' clocks differ, and a late pause is better than none.
        if message.action == "resume" and message.at is not None and self._utc_ns() - message.at > _STALE_NS:
            log.warning("resume order came too late", site=message.site, operator=message.operator)
            return
        names = [camera for site, camera in self._fleet.wanted if site == message.site]
        if message.camera is not None and message.camera not in names and message.action == "pause":
            if self._in_hand.has_room():
                self._in_hand.spawn(f"refuse to {message.action}", self._refuse(message, names, request))
            return
        if message.action == "resume" and not self._in_hand.has_room():
            return
        # Obey first, then record: a slow disk must not keep a picture alive, nor delay the next order.
        orders = self._at(message.site)
        given = orders.give(message, self._utc_ns())
        self._fleet.obey(orders.in_force(self._fleet.orders))
        meant = len(names) if message.camera is None else names.count(message.camera)
        await self._in_hand.room()  # a pause is in force; its record must follow those of earlier orders
        self._in_hand.spawn(f"record {message.action}", self._record(given, meant, request))

    async def _refuse(self, message: PauseRequestV1, names: list[str], request: Request) -> None:
        """Reply that there is no such camera.

        It waits first: the first reply counts, and other replicas may have newer settings.
        """
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

    async def _record(self, given: Given, meant: int, request: Request) -> None:
        order, orders = given.order, self._at(given.order.site)
        late = asyncio.get_running_loop().call_later(_LATE_S, self._late, given, meant, request)
        try:
            async with self._recording:  # a lock is fair: the audit has the orders as they came
                found = await self._append(given, request.id)
        except Exception:  # a pause stays in force
            log.exception("order not recorded", site=order.site)
            orders.end(given, recorded=False)
            if order.action == "resume":
                self._bus.streams.waiting.done(_STREAM)
            else:
                self._app.spawn("record a pause", self._keep_pause(given, request.id), may_end=True)
                await asyncio.sleep(_REFUSE_AFTER_S)
                await self._reply_unrecorded(given, meant, request)
            return
        finally:
            late.cancel()
        self._take(given, found)
        paused, own = found.state.paused, found.state.paused_cameras
        await _reply(request, PauseReplyV1(site=order.site, paused=paused, cameras=meant, paused_cameras=own))

    def _late(self, given: Given, meant: int, request: Request) -> None:
        """Say that NATS has not stored an order yet. Its task goes on trying."""
        order = given.order
        what = {"action": order.action, "site": order.site, "camera": order.camera, "operator": order.operator}
        log.warning("order not recorded yet", **what)
        if order.action == "pause":
            self._app.spawn("answer a pause", self._reply_unrecorded(given, meant, request), may_end=True)

    async def _reply_unrecorded(self, given: Given, meant: int, request: Request) -> None:
        """Reply that a pause is in force, and not recorded."""
        site, orders = given.order.site, self._fleet.orders
        paused, own = site in orders.sites, orders.at(site)
        reply = PauseReplyV1(site=site, paused=paused, cameras=meant, paused_cameras=own, recorded=False)
        await _reply(request, reply)

    async def _keep_pause(self, given: Given, request_id: str | None) -> None:
        """Try to record a pause for as long as it holds without a record. `/readyz` says so, once a minute the log."""
        orders, waiting, logged = self._at(given.order.site), self._bus.streams.waiting, time.monotonic()
        try:
            while orders.lacks_record(given):
                waiting.failed(_STREAM)
                await asyncio.sleep(self._retry_s)
                try:
                    async with self._recording:
                        if orders.lacks_record(given):  # not replaced meanwhile
                            self._take(given, await self._append(given, request_id))
                except Exception:
                    if time.monotonic() - logged >= self._look_s:
                        log.exception("order not recorded", site=given.order.site)
                        logged = time.monotonic()
        finally:
            waiting.done(_STREAM)

    def _take(self, given: Given, found: Recorded) -> None:
        order = given.order
        self._at(order.site).end(given, recorded=True)
        self._bus.streams.waiting.done(_STREAM)
        self._learn(found)
        fields = {"site": order.site, "camera": order.camera, "operator": order.operator, "why": order.why}
        log.warning(f"{order.action} by an operator", **fields)

    async def _append(self, given: Given, request_id: str | None) -> Recorded:
        """Record an order after the last record. One of the replicas that obey it does so; the others find it done.

        Where this replica knows the last record, JetStream's API is asked nothing: it may be busy.
        """
        site, known = given.order.site, self._at(given.order.site).newest
        created, last, state = (known.created, known.sequence, known.state) if known else (self._created, 0, None)
        message = given.recorded(state)
        sequence = await self._bus.streams.store_after(PAUSE_STATE, message, expected=last, message_id=request_id)
        if sequence is not None:
            return Recorded(created, sequence, message)
        if given.may_repeat(self._utc_ns()):
            async with asyncio.timeout(_ASK_S):
                newest = await self._caught_up(site)
            if newest is not None and self._at(site).is_replaced(given):
                return newest
        # A recreated stream may have lost the last record.
        return await self._amended(site, lambda last: given.recorded(last or state), message_id=request_id)

    async def _caught_up(self, site: str) -> Recorded | None:
        """Return the newest record, of those of other replicas, too.

        Records in a recreated stream are not learned here (see `_carry_over`).
        """
        created, _ = await self._bus.streams.created(_STREAM)
        known = self._at(site).newest
        if known is None or known.created == created:
            start = known.sequence + 1 if known else 1
            for stored in await self._bus.history_from(start, PAUSE_STATE, site=site):
                self._learn(Recorded(created, stored.sequence, _state(stored)))
        return self._at(site).newest

    async def _amended(
        self, site: str, change: Callable[[PauseStateV1 | None], PauseStateV1], *, message_id: str | None = None
    ) -> Recorded:
        subject = PAUSE_STATE.subject(site=site)
        sequence, message = await self._bus.streams.amend(
            PAUSE_STATE, subject, lambda last: change(cast("PauseStateV1 | None", last)), message_id=message_id
        )
        created = await self._created_now(site)  # asked only now: this call may have created it
        return Recorded(created, sequence, cast("PauseStateV1", message))

    async def _created_now(self, site: str) -> int:
        """Return when the stream was created (ns UTC). A busy API that does not say so has made no other stream."""
        try:
            async with asyncio.timeout(_ASK_S):
                return (await self._bus.streams.created(_STREAM))[0]
        except TimeoutError:
            known = self._at(site).newest
            return known.created if known else self._created


def _log(state: PauseStateV1) -> None:
    if state.operator == OWN:
        log.warning(_LEFT_OUT, site=state.site, cameras=state.stuck_cameras)
        return
    what = {"operator": state.operator, "whole_site": state.paused, "cameras": state.paused_cameras}
    is_paused = state.paused or bool(state.paused_cameras)
    log.warning(f"{'paused' if is_paused else 'resumed'} by an operator", site=state.site, **what)


def _state(stored: Stored) -> PauseStateV1:
    return cast("PauseStateV1", stored.message)


async def _reply(request: Request, reply: PauseReplyV1) -> None:
    with contextlib.suppress(Exception):  # nobody is left to hear it
        await request.reply(reply)
