"""The steps of a proof: they let the box work, then kill, freeze, crash and pause it, and search everywhere."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from operate.box.box import Box
from operate.orders import order
from proto.public import AlertV1, CameraV1
from testbed.proof.core.verdicts import LifetimeCounts, lifetime_of
from testbed.proof.memory import descendants
from testbed.proof.search import Search
from testbed.proof.site import FILE, NETWORK, SITE
from testbed.proof.taps import Taps, TapSearch
from testbed.servers.server import TcpServer

SERVICES = ("ingest", "inference", "aggregate", "notify")
PROGRAMS = (*SERVICES, "nats-server")
PAUSED_S = 3.0
"""Seconds from a pause to the search of memory; Moretta promises 2 s."""
_FROZEN_S = 1.5
_JOINED_S = 3.0
_TIMEOUT_S = 120.0
_TICK_S = 0.1


class StoryError(Exception):
    """The system did not do what the proof expected; the text says what."""


class Story:
    """The steps of the proof; each step reports what it did."""

    def __init__(
        self, box: Box, camera: TcpServer, search: Search, on_event: Callable[[str], None], watch: TapSearch
    ) -> None:
        self._box, self._camera, self._search, self._on_event, self._watch = box, camera, search, on_event, watch
        self._states: dict[str, str] = {}
        self._alerts = 0
        self.calm, self.troubled = LifetimeCounts(), LifetimeCounts()

    def take(self, message: Any) -> None:
        """Record a public message."""
        if isinstance(message, CameraV1):
            self._states[message.camera] = message.state
        elif isinstance(message, AlertV1):
            self._alerts += 1

    async def work(self, seconds: float) -> None:
        """Wait for live cameras, an alert, its mail and its SMS; then measure for so many seconds undisturbed."""
        await self._until(self._live, "both cameras live")
        await self._until(lambda: self._alerts > 0, "an alert")
        await self._until(lambda: self._watch.mails > 0 and self._watch.sms > 0, "its mail and its SMS")
        self._on_event("both cameras live; an alert fired, and came by mail and by SMS")
        before = await self._lifetime()
        await asyncio.sleep(seconds)
        self.calm = await self._lifetime() - before
        self._on_event(f"{self.calm.total:.0f} pictures analysed in {seconds:g} s in which nothing was disturbed")

    async def look_while_running(self) -> None:
        """Search the memory of every process while cameras run; the services' own buffers are documented."""
        pids = self._box.pids()
        strict = [pids[name] for name in ("nats-server", "aggregate", "notify") if name in pids]
        await asyncio.to_thread(self._search.memory, "memory-nats", strict)
        for name in ("ingest", "inference"):
            await asyncio.to_thread(self._search.pictures_in_memory, f"memory-{name}", pids[name])

    async def pages(self) -> None:
        """Search every page that the services serve."""
        async with aiohttp.ClientSession() as session:
            for name in SERVICES:
                for page in ("metrics", "readyz", "livez"):
                    url = f"{self._box.probe_url(name)}/{page}"
                    with contextlib.suppress(aiohttp.ClientError):
                        async with session.get(url) as answer:
                            self._search.text("metrics", f"{name}/{page}", await answer.read())

    async def end_camera(self) -> None:
        """End the camera's stream, as if it were switched off, and wait until it is found again."""
        self._states.pop(NETWORK, None)
        await self._camera.end()
        await self._until(lambda: self._states.get(NETWORK) == "live", "the camera that ended is found again")
        self._on_event("a camera ended and came back")

    async def kill(self, name: str) -> None:
        """Kill a program, and wait until everything works again."""
        await self._struck(name, signal.SIGKILL)
        self._on_event(f"{name} was killed (SIGKILL) and came back")

    async def crash(self, name: str) -> None:
        """Let a program crash, as a bug of its own would, so that a core would be dumped."""
        await self._struck(name, signal.SIGABRT)
        self._search["cores"].searched(0)
        self._on_event(f"{name} crashed (SIGABRT) and came back")

    async def _struck(self, name: str, number: signal.Signals) -> None:
        if name == "ingest":
            await self.reckon()
        victim = self._box.pids()[name]
        self._states.clear()
        os.kill(victim, number)
        await self._until(lambda: self._box.pids().get(name) not in {None, victim}, f"{name} is started again")
        await self._until(self._live, f"both cameras live after {name}")

    async def freeze(self, name: str) -> None:
        """Freeze a program for a while, as a machine that swaps does."""
        victim = self._box.pids()[name]
        os.kill(victim, signal.SIGSTOP)
        try:
            await asyncio.sleep(_FROZEN_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)
        self._on_event(f"{name} was frozen (SIGSTOP) for {_FROZEN_S:g} s")

    async def join(self, taps: Taps) -> None:
        """Subscribe to frames as a worker does, for a while."""
        for tap in taps.all:
            await tap.join()
        await asyncio.sleep(_JOINED_S)
        self._on_event(f"frames were heard for {_JOINED_S:g} s as one of the workers")

    async def pause(self) -> None:
        """Pause the whole site, wait, and search the memory of every process of the run."""
        await order(self._box.operator_file, "pause", SITE, None, operator="prove", why="to search memory")
        wanted = (NETWORK, FILE)
        await self._until(lambda: all(self._states.get(one) == "paused" for one in wanted), "both cameras paused")
        await asyncio.sleep(PAUSED_S)
        await asyncio.to_thread(self._search.memory, "memory", descendants(os.getpid()))
        self._on_event(f"the site was paused; {PAUSED_S:g} s later all memory was searched")

    async def resume(self) -> None:
        """Resume the site after a pause."""
        await order(self._box.operator_file, "resume", SITE, None, operator="prove", why="memory was searched")
        await self._until(self._live, "both cameras live after the pause")

    async def reckon(self) -> None:
        """Add the pixel lifetimes of the current ingest process to those of the whole run, before the process ends."""
        self.troubled = self.troubled + await self._lifetime()

    async def _live(self) -> bool:
        return all(self._states.get(one) == "live" for one in (NETWORK, FILE)) and await self._ready()

    async def _ready(self) -> bool:
        """Whether every service says that it is ready."""
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
                for name in SERVICES:
                    async with session.get(f"{self._box.probe_url(name)}/readyz") as answer:
                        if answer.status != 200:
                            return False
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def _until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + _TIMEOUT_S
        while not await _truth(condition):
            if faults := self._box.faults():
                raise StoryError("\n".join(faults))
            if time.monotonic() > end:
                raise StoryError(f"waited {_TIMEOUT_S:g} s without success for: {what}")
            await asyncio.sleep(_TICK_S)

    async def _lifetime(self) -> LifetimeCounts:
        """Return the pixel lifetimes of the current ingest process, from its own metric."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self._box.probe_url('ingest')}/metrics") as a:
                return lifetime_of(await a.text())
        except aiohttp.ClientError:
            return LifetimeCounts()


async def _truth(condition: Callable[[], Any]) -> bool:
    found = condition()
    return bool(await found) if asyncio.iscoroutine(found) else bool(found)
