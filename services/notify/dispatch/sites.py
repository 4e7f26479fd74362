"""The sites that this replica serves. Each starts and stops as its lease comes and goes."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from proto.notifications import (
    ReplayRecordV1,
    ReplayReplyV1,
    ReplayRequestV1,
    SilenceHeldReplyV1,
    SilenceHeldRequestV1,
)
from proto.public import DeliveryV1
from proto.subjects import ALERTS, DELIVERIES, OPERATIONS, REPLAY_RECORD, Subject
from services.bus import Bus, LeaseCheck, Request, Stored, Unavailable
from services.kernel.app import STEP_LIMIT_S, App, end_tasks
from services.kernel.log import get_logger
from services.notify.channels.channel import Budgeted, Channel
from services.notify.delivery.agent import DeliveryAgent
from services.notify.directory import Directory
from services.notify.dispatch.runner import NotHeldError, SiteDispatch
from services.notify.reports.daily import REMEMBERED

log = get_logger()

_RETRY_S = 1.0


_WHY_NOT: dict[type[Exception], str] = {
    LookupError: "no such notification is stored, or its alerts, its recipients or the salt of their names are gone",
    Unavailable: "what was decided cannot be read at the moment",
    NotHeldError: "the site is not held here any more: it is going to another notify; try again",
}


@dataclass(frozen=True)
class _Running:
    runner: SiteDispatch
    task: asyncio.Task[None]


class NotifiedSites:
    """All sites that people are notified about, and those that this replica serves."""

    def __init__(self, app: App, bus: Bus, agent: DeliveryAgent, directory: Directory) -> None:
        self._app, self._bus, self._agent, self.directory = app, bus, agent, directory
        self.wanted: dict[str, object] = dict.fromkeys(directory.sites)
        self.running: dict[str, _Running] = {}
        self.caught_up: set[str] = set()
        """The running sites that have read everything stored before their start."""
        self.fenced: set[str] = set()

    async def apply(self, directory: Directory) -> None:
        """Apply new settings."""
        self.directory = directory
        self.wanted |= dict.fromkeys(directory.sites)
        for running in self.running.values():
            await running.runner.configure(directory)

    async def recount(self, channels: Iterable[Channel]) -> None:
        """Restore today's spending in channels that come back into the settings."""
        for channel in channels:
            if isinstance(channel, Budgeted):
                for name in list(self.running):
                    channel.recount(name, await self._latest(name))

    async def _latest(self, name: str) -> list[DeliveryV1]:
        while True:
            try:
                reading = self._bus.read(DELIVERIES, since=time.time_ns() - REMEMBERED, site=name)
                return [cast("DeliveryV1", stored.message) async for stored in reading]
            except Unavailable as error:
                log.warning("SMS budget not read", site=name, error=str(error))
                await asyncio.sleep(_RETRY_S)

    async def discover(self) -> None:
        """Find sites that the settings lack, for ever: a hub may not have every site's names."""
        async with asyncio.TaskGroup() as group:
            for row in (ALERTS, OPERATIONS):
                group.create_task(self._look(row), name=f"sites of {row.stream}")

    def start(self, name: str, held: LeaseCheck) -> None:
        """Serve a site from now on, while `held`."""

        def ready(done: bool) -> None:
            self._app.probes.ready(f"site {name}", ok=done, why="reading what was decided before the start")
            if done:
                self.caught_up.add(name)

        ready(False)
        runner = SiteDispatch(self._bus, name, self.directory, self._agent, held, ready)
        task = self._app.spawn(f"tell of {name}", self._persist(name, runner), may_end=True)
        self.running[name] = _Running(runner, task)
        log.info("site in service", site=name)

    async def stop(self, name: str) -> None:
        """Stop a site: decide nothing more, then finish the deliveries in flight."""
        running = self.running.pop(name)
        await end_tasks([running.task], STEP_LIMIT_S)
        await running.runner.leave()
        self.caught_up.discard(name)
        self._app.probes.forget(f"site {name}")
        log.info("site out of service", site=name)

    async def stop_all(self) -> None:
        """Stop every site."""
        await asyncio.gather(*(self.stop(name) for name in list(self.running)))

    async def replay(self, asked: ReplayRequestV1, request: Request) -> None:
        """Send a notification again, if this replica serves its site. Record the replay before the reply."""
        running = self.running.get(asked.site)
        if running is None or asked.site not in self.caught_up:
            return
        try:
            count = await running.runner.replay(asked.notification)
        except tuple(_WHY_NOT) as error:
            why = next(why for kind, why in _WHY_NOT.items() if isinstance(error, kind))
            await request.reply(ReplayReplyV1(site=asked.site, error=why))
            return
        await self._bus.store(REPLAY_RECORD, _record(asked, count))
        who = {"operator": asked.operator, "why": asked.why}
        log.info("replayed", site=asked.site, notification=asked.notification, recipients=count, **who)
        await request.reply(ReplayReplyV1(site=asked.site, recipients=count))

    async def silenced(self, asked: SilenceHeldRequestV1, request: Request) -> None:
        """Say whether a silence is applied, if this replica serves the site."""
        running = self.running.get(asked.site)
        if running is not None and asked.site in self.caught_up:
            held = running.runner.holds(asked.silence, asked.ends)
            await request.reply(SilenceHeldReplyV1(site=asked.site, held=held))

    async def _persist(self, name: str, runner: SiteDispatch) -> None:
        """Run a site. Start from the beginning if JetStream stops answering while the site's past is read."""
        while True:
            try:
                await runner.run()
            except Unavailable as error:
                log.warning("site history not read", site=name, error=str(error))
                await runner.leave()
                await asyncio.sleep(_RETRY_S)

    async def _look(self, row: Subject) -> None:
        _, last = await self._bus.streams.created(str(row.stream))
        self._seen(await self._bus.latest(row))
        async for stored in self._bus.follow(str(row.stream), [row.wildcard()], start=last + 1):
            if isinstance(stored, Stored):
                self._seen([stored])

    def _seen(self, found: Iterable[Stored]) -> None:
        for stored in found:
            site = (stored.row.parse(stored.subject) or {})["site"]
            self.wanted.setdefault(site)


def _record(asked: ReplayRequestV1, recipients: int) -> ReplayRecordV1:
    return ReplayRecordV1(
        site=asked.site,
        notification=asked.notification,
        operator=asked.operator,
        why=asked.why,
        recipients=recipients,
        at=asked.at,
    )
