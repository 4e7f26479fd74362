"""What sites have published by now, on a real NATS server with a door for browsers, and aggregate's page before it."""

import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from math import sin
from pathlib import Path

from free_ports import free_port
from messages import HOUR, MINUTE, SECOND, alert, fault
from msgspec import structs
from nats_process import NatsProcess
from windows import decree, hidden, window

from operate.identities import Identities, WebSocket, nats_config
from proto.permissions import APART, origin
from proto.public import AlertV1, CameraV1, Lifetime, OperationalAlertV1, WindowV1
from proto.subjects import ALERTS, CAMERAS, OPERATIONS, STREAMS, WINDOWS
from services.aggregate.mirrors.keeper import Mirrors
from services.aggregate.page_server import PageServer
from services.aggregate.settings import PageSettings
from services.aggregate.stats import Stats
from services.bus import Bus
from services.kernel.settings import convert
from services.sites.settings import SiteSettings

LENGTH = 20 * MINUTE
_WEBSOCKET = re.compile(r"websocket clients on ws://127\.0\.0\.1:(\d+)")
MARKET, STATION, SHED = "cannes", "gare", "shed"
"""A market with two zones; a station under the decree's profile; a place that has stopped to publish."""


class Published:
    """The three sites; `now` is the end of the last window that can be there, `door` NATS's websocket."""

    def __init__(self, bus: Bus, ingest: Bus, identities: Identities, door: str) -> None:
        self.bus, self.ingest, self.stats = bus, ingest, Stats(bus)
        self.identities, self.door = identities, door
        self.now = time.time_ns() // LENGTH * LENGTH
        self.timezone = evening(self.now)

    def sites(self) -> list[SiteSettings]:
        """Their settings; the names are what people call them."""
        zones = [{"id": "fish", "name": "Halle aux poissons"}, {"id": "flowers", "name": "Allée <b>des</b> fleurs"}]
        few = {"id": "few-masks", "zone": "fish", "fire_below": 0.6, "clear_above": 0.7}
        few |= {"name": "Few masks", "action": "Hand out masks at the <east> door."}
        found = [
            {"id": MARKET, "name": "Marché Forville", "profile": "alerting", "zones": zones, "rules": [few]},
            {"id": STATION, "name": "Gare de Cannes", "profile": "fr-2021-269"},
            {"id": SHED, "name": "Shed", "profile": "alerting"},
        ]
        return [convert(one | {"timezone": self.timezone}, SiteSettings) for one in found]

    def market(self, zone: str) -> list[WindowV1]:
        """A day from 7 o'clock: few people first, an hour that is missing, an outage that lowers coverage."""
        starts = [self.now - n * LENGTH for n in range(31, 0, -1)]
        found = [window(start, *_people(n, zone), site=MARKET, zone=zone) for n, start in enumerate(starts)]
        found[:3] = [hidden(one.start, site=MARKET, zone=zone) for one in found[:3]]
        weak = {"coverage": 0.62, "gaps": ["camera-down"], "cameras_ok": 1}
        found[20:22] = [structs.replace(one, **weak) for one in found[20:22]]
        return found[:12] + found[15:]

    async def answer(self) -> None:
        """Answer questions about history again."""
        self.stats = Stats(self.bus)
        await self.stats.apply(self.sites())

    async def stop(self) -> None:
        """Answer no more."""
        await self.stats.stop()

    async def publish(self) -> None:
        """All that the three sites have published."""
        for zone in ("_site", "fish", "flowers"):
            for one in self.market(zone):
                await self.bus.store(WINDOWS, one)
        for n in range(20, 0, -1):
            one = decree(self.now - n * LENGTH, 120 + n, round(0.7 + 0.1 * sin(n / 3), 2))
            await self.bus.store(WINDOWS, structs.replace(one, site=STATION))
        await self.bus.store(WINDOWS, window(self.now - 5 * LENGTH, site=SHED))
        await self.bus.store(ALERTS, self.alert("firing"))
        await self.bus.store(OPERATIONS, _down(self.now))
        for camera in ("gate-1", "gate-2", "flowers-1"):
            await self.ingest.store(CAMERAS, camera_state(camera, self.now, is_live=camera != "gate-2"))

    def alert(self, state: str) -> AlertV1:
        """Few masks among the fish."""
        return alert(
            site=MARKET, zone="fish", rule="few-masks", state=state, since=self.now - 2 * LENGTH,
            start=self.now - LENGTH, end=self.now, rate=0.52, interval=(0.4, 0.63), persons=73, coverage=1.0,
            fire_below=0.6, clear_above=0.7,
        )  # fmt: skip


def _people(n: int, zone: str) -> tuple[int, tuple[int, int, int]]:
    """How many had a mask in a window, and the others: more people at noon, the share by the time of day."""
    total = round((40 if zone == "_site" else 24) * (1 + sin((n + 2) / 9)))
    share = {"_site": 0.72, "fish": 0.6, "flowers": 0.84}[zone] + 0.12 * sin(n / 4)
    masked = round(total * min(share, 1))
    return masked, (max(total - masked - 1, 0), min(total - masked, 1), total // 12)


def _down(now: int) -> OperationalAlertV1:
    since, at = now - 3 * LENGTH, now - LENGTH
    return fault(site=MARKET, name="gate-2", since=since, at=at, coverage=0)


def camera_state(name: str, now: int, *, is_live: bool) -> CameraV1:
    """What a camera of the market says of itself: it is live, or waits to try again."""
    lifetime = Lifetime(now - LENGTH, now, pictures=600, late=6)
    given = {"state": "live", "lifetime": lifetime} if is_live else {"state": "backing-off", "reason": "timeout"}
    figures = {"fps": 25.0, "analysed_fps": 5.0, "shed_share": 0.01} if is_live else {}
    since = now - 9 * HOUR
    return CameraV1(site=MARKET, camera=name, since=since, at=now + SECOND, **given, **figures)


def evening(now: int) -> str:
    """A time zone in which it is between 17 and 18 o'clock: most of the day is past."""
    west = now // HOUR % 24 - 17
    west += 24 if west < -12 else 0
    return f"Etc/GMT{west:+d}"


@contextlib.asynccontextmanager
async def published(
    folder: Path, *, denied: tuple[str, ...] = (), is_open: bool = True
) -> AsyncIterator[tuple[Published, PageServer]]:
    """The sites and their page, with nothing published yet; the page may not do what begins with one of `denied`.

    Unless `is_open`, NATS asks for a key, which the page's settings do not say.
    """
    identities = Identities.make(folder / "identities")
    origins: list[str] = []

    def whole(port: int, store: str) -> str:
        websocket = WebSocket("127.0.0.1:-1", origins, is_open=is_open)
        return without(nats_config(port, store, identities.public, websocket=websocket), denied)

    port = free_port()  # the server has to know the page, and the page the server
    origins.append(f"http://127.0.0.1:{port}")
    server = NatsProcess(folder, whole=whole).start()
    door = next(match.group(1) for line in server.output if (match := _WEBSOCKET.search(line)))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(server.stop)
        where = f"ws://127.0.0.1:{door}"
        settings = PageSettings(port=port, server=where, cameras="https://127.0.0.1:8443/")
        page = PageServer(settings)
        bus = await Bus.connect(identities.settings("aggregate", server.url), "aggregate")
        stack.push_async_callback(bus.close)
        await bus.ensure_streams(stream.name for stream in STREAMS)
        await Mirrors(bus).turn()
        ingest = await Bus.connect(identities.settings("ingest", server.url), "ingest")
        stack.push_async_callback(ingest.close)
        place = Published(bus, ingest, identities, where)
        page.apply(place.sites())
        await page.start()
        stack.push_async_callback(page.stop)
        await place.answer()
        stack.push_async_callback(place.stop)
        yield place, page


def without(config: str, denied: tuple[str, ...]) -> str:
    """The server's configuration with what begins with one of these taken from the rights of readers and pages."""
    found = json.loads(config)
    denied += tuple(map(origin, denied))  # what the account's mappings make of a question
    for user in (one for account in APART.values() for one in found["accounts"][account]["users"]):
        for rights in user["permissions"].values():
            rights["allow"] = [one for one in rights["allow"] if not one.startswith(denied)]
    return json.dumps(found)
