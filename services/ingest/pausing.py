"""The operator's pause: now, sticky over restarts, audited (design §4)."""

import asyncio
import contextlib
import time
from typing import cast

from msgspec import Struct

from proto.control import PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.subjects import PAUSE, PAUSE_STATE
from services.app import App
from services.bus import Bus, Request, Stored
from services.ingest.core.orders import Orders, SiteOrders
from services.ingest.fleet import Fleet
from services.log import get_logger

log = get_logger()

_STALE_NS = 10_000_000_000
"""As long as an operator's command waits for its answer."""
_REFUSE_AFTER_S = 2.0
"""A replica that has the camera has confirmed the order by then, as a rule."""


class Pausing:
    """Takes pause and resume orders for the sites of this ingest."""

    def __init__(self, app: App, bus: Bus, fleet: Fleet) -> None:
        self._app, self._bus, self._fleet = app, bus, fleet
        self._recording = asyncio.Lock()
        self._sites: dict[str, SiteOrders] = {}

    def _at(self, site: str) -> SiteOrders:
        return self._sites.setdefault(site, SiteOrders(site))

    async def restore(self, site: str) -> None:
        """Take the orders in force over a restart."""
        last = await self._bus.last(PAUSE_STATE, site=site)
        if last is not None:
            self._learn(last.sequence, cast("PauseStateV1", last.message))

    async def follow(self, site: str) -> None:
        """Obey what other replicas recorded and we did not hear, for ever: an order is sent once to whoever listens."""
        restored = self._at(site).newest
        start = restored[0] + 1 if restored else 1
        async for stored in self._bus.follow("CONTROL", [PAUSE_STATE.subject(site=site)], start=start):
            if isinstance(stored, Stored):
                self._learn(stored.sequence, cast("PauseStateV1", stored.message))

    def _learn(self, sequence: int, found: PauseStateV1) -> None:
        """Take a record in, and obey it if it is the newest."""
        orders, before = self._at(found.site), self._fleet.orders
        orders.learn(sequence, found)
        self._fleet.obey(orders.in_force(before))
        if self._fleet.orders != before and orders.newest is not None:
            state = orders.newest[1]
            what = {"operator": state.operator, "whole_site": state.paused, "cameras": state.paused_cameras}
            event = "paused by an operator" if state.paused or state.paused_cameras else "resumed by an operator"
            log.warning(event, site=state.site, **what)

    async def listen(self, site: str) -> None:
        """Subscribe to this site's orders."""
        await self._bus.serve(PAUSE, self._order, site=site)

    async def _order(self, message: PauseRequestV1, request: Request) -> None:
        # Only to go on: hosts' clocks differ, and a pause that comes late is better than none.
        if message.action == "resume" and message.at is not None and time.time_ns() - message.at > _STALE_NS:
            log.warning("an order to resume came too late", site=message.site, operator=message.operator)
            return
        names = [camera for site, camera in self._fleet.wanted if site == message.site]
        if message.camera is not None and message.camera not in names and message.action == "pause":
            self._app.spawn(f"refuse to {message.action}", self._refuse(message, names, request), may_end=True)
            return
        # First the act, then the record: a slow disk may not keep a picture alive, nor keep the next order waiting.
        orders = self._at(message.site)
        orders.give(message)
        self._fleet.obey(orders.in_force(self._fleet.orders))
        meant = len(names) if message.camera is None else names.count(message.camera)
        self._app.spawn(f"record {message.action}", self._record(message, meant, request), may_end=True)

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
                sequence, state = await self._append(order, request.id)
        except Exception:  # a pause is in force here all the same, and whoever gave it hears no confirmation
            log.exception("an order could not be recorded", site=order.site)
            self._at(order.site).end(order, recorded=False)
            return
        self._at(order.site).end(order, recorded=True)
        self._learn(sequence, state)
        said = {"site": order.site, "camera": order.camera, "operator": order.operator, "why": order.why}
        log.warning(f"{order.action} by an operator", **said)
        cameras = state.paused_cameras
        await _reply(request, PauseReplyV1(site=state.site, paused=state.paused, cameras=meant, paused_cameras=cameras))

    async def _append(self, order: PauseRequestV1, request_id: str | None) -> tuple[int, PauseStateV1]:
        """Record an order on top of the last record; of the replicas that obey it one does, the others find it done."""
        at = time.time_ns()

        def amended(last: Struct | None) -> PauseStateV1:
            before = Orders() if last is None else Orders().restored(cast("PauseStateV1", last))
            return before.after(order).record(order, at)

        subject = PAUSE_STATE.subject(site=order.site)
        sequence, message = await self._bus.streams.amend(PAUSE_STATE, subject, amended, message_id=request_id)
        return sequence, cast("PauseStateV1", message)


async def _reply(request: Request, reply: PauseReplyV1) -> None:
    with contextlib.suppress(Exception):  # nobody is left to hear it
        await request.reply(reply)
