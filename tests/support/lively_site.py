"""A lab site on which people come by for ever: real aggregate and notify, rules that fire, and a mailbox."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from messages import sightings
from patience import until
from site_process import Site

from operate.identities import settings_file
from proto.public import AlertV1
from proto.sightings import CODES, SightingsV1, SightingV1
from proto.subjects import ALERTS, SIGHTINGS, WINDOWS
from testbed.servers.mail import MailServer

SECOND = 10**9
WINDOW_S = 3
THRESHOLDS = [
    {"id": name, "fire_below": 0.5, "clear_above": 0.6, "for_windows": 1, "min_persons": 1}
    for name in ("told", "quiet")
]


class Ground:
    """A lab site with people who come by, aggregate, notify, and a mailbox."""

    def __init__(self, site: Site, port: int, mails: list) -> None:
        self.site, self.mails, self.masked = site, mails, False
        self._sequence = 0
        self._lease = time.time_ns() // 1_000 + 10**12
        one = {"id": "market", "profile": "lab", "window_s": WINDOW_S, "lateness_s": 0.5, "rules": THRESHOLDS}
        one |= {"cameras": [{"id": "gate", "url": "/dev/video9"}], "tracking": {"min_hits": 3, "max_gap_s": 0.4}}
        smtp = {"port": port, "security": "none", "sender": "alerts@example.org"}
        staff = {"id": "staff", "email": ["anna@example.org"], "max_per_hour": 3000}
        route = {"receiver": "staff", "group_by": ["rule"], "group_wait_s": 0, "group_interval_s": 1}
        notify = {"smtp": smtp, "receivers": [staff], "routes": [route], "salt": "0123456789abcdef"}
        site.write({"log": {"format": "json"}, "sites": [one], "notify": notify, "aggregate": {"tick_s": 0.2}})

    def start(self) -> None:
        """Start both services; aggregate makes the streams."""
        self.running = [self.site.start("aggregate"), self.site.start("notify")]

    async def stop(self) -> None:
        for service in self.running:
            assert await asyncio.to_thread(service.stop) == 0, service.lines[-5:]

    def file(self, identity="backup"):
        return self.site.identities.write(f"{identity}.yaml", settings_file(self.site.server.url, identity))

    async def people(self) -> None:
        """Have people come by for ever, four at a time, a new group each second."""
        async with self.site.bus("inference") as bus:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(2):
                        await bus.store(SIGHTINGS, self._picture())
                await asyncio.sleep(0.1)

    def _picture(self) -> SightingsV1:
        self._sequence += 1
        seen = self._sequence % 10 < 5
        verdict = "masked" if self.masked else "unmasked"
        boxes = [(x, 0.4, x + 0.06, 0.5) for x in (0.1, 0.3, 0.5, 0.7)]
        faces = [SightingV1(box, CODES[verdict], 0.9, 0.95) for box in boxes] if seen else []
        now = time.time_ns()
        return sightings(
            *faces, camera="gate", lease=self._lease, sequence=self._sequence, at=now, period=SECOND, model="crowd"
        )

    async def until(self, condition, what: str, limit_s: float = 60):
        def said() -> str:
            return f"{what}; {[service.last_words() for service in self.running]}"

        return await until(condition, said, limit_s, every_s=0.1, ignoring=(Exception,))

    async def windows(self) -> list[int]:
        async with self.site.bus("operator") as bus:
            return [one.message.start for one in await bus.history(WINDOWS, site="market", zone="_site")]

    async def alerts(self) -> list[AlertV1]:
        async with self.site.bus("operator") as bus:
            return [one.message for one in await bus.history(ALERTS)]

    def withheld(self) -> bool:
        """Whether notify that runs now held an alert back for a silence."""
        return any(line.get("reason") == "silenced" for line in self.running[-1].said("withheld"))


@contextlib.asynccontextmanager
async def lively(folder: Path) -> AsyncIterator[Ground]:
    """The site, its server running and people on their way; its services are the test's to start."""
    site, mails = Site(folder), []
    site.server.start()
    async with MailServer(folder / "mails", mails.append) as server:
        ground = Ground(site, server.port, mails)
        people = asyncio.create_task(ground.people())
        try:
            yield ground
        finally:
            people.cancel()
            await asyncio.gather(people, return_exceptions=True)
            await asyncio.to_thread(site.close)
