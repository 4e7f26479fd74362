"""`moretta doctor --round-trip SITE`: sends a film without real people all the way, and checks that no part leaks.

`helm test` runs it. This process is the camera of that site, a listener with its identity's rights, and the judge.
"""

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operate.doctor import bus as on_bus
from operate.doctor.core.findings import Finding, fail
from operate.doctor.deployment import Deployment
from operate.doctor.metrics import NoMetrics, page
from proto.codec import ContractError, decode_on
from proto.public import CameraV1, WindowV1
from proto.subjects import CAMERAS, WINDOWS, Identity
from proto.types import WHOLE_SITE
from services.kernel.settings import SettingsError
from services.sites.settings import CameraSettings, SiteSettings
from testbed.proof.core.verdicts import lifetime_of
from testbed.proof.secret import FilmNeedles
from testbed.proof.taps import Tap
from testbed.round_trip import findings
from testbed.servers.http_camera import SimulatedHttpCamera, stream_camera
from testbed.servers.server import TcpServer

COMMAND = "moretta doctor"
_LISTEN = re.compile(r"^(?P<host>[A-Za-z0-9.\-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})\Z")
_LOOK_S = 0.2
_HEARING: tuple[Identity, ...] = ("operator", "subscriber")
"""Identities that can listen to all that they may hear, without taking requests from those that answer them."""
OnStep = Callable[[str, float], None]


@dataclass(frozen=True)
class RoundTripOptions:
    """Options of a round trip. `metrics` is the URL of ingest's metrics, if it can be reached."""

    site: str
    listen: str = "127.0.0.1:8090"
    limit_s: float = 300.0
    metrics: str | None = None


@dataclass(frozen=True)
class Film:
    """The film as a camera sends it, the parts of it that must not be found, and how many people come in a second."""

    stream: Path
    rate: float
    secret: FilmNeedles
    per_s: float


class Ear:
    """Searches all that the tap hears, and keeps the camera's state and the first whole window."""

    def __init__(self, site: str, film: Film) -> None:
        self._site, self._search = site, film.secret.search()
        self.began = time.time_ns()
        self.messages = self.size = self.found = 0
        self.state: CameraV1 | None = None
        self.live_since: int | None = None
        self.window: WindowV1 | None = None

    def hear(self, _user: str, subject: str, headers: bytes, payload: bytes) -> None:
        """Search a message, and note what it says about the site."""
        self.messages += 1
        self.size += len(headers) + len(payload)
        self.found += len(self._search.within(headers)) + len(self._search.within(payload))
        for row in (CAMERAS, WINDOWS):
            if (row.parse(subject) or {}).get("site") == self._site:
                with contextlib.suppress(ContractError):
                    self._take(decode_on(row, subject, payload))

    def _take(self, message: Any) -> None:
        if isinstance(message, CameraV1):
            self.state = message
            if message.state == "live" and self.live_since is None and message.at >= self.began:
                self.live_since = message.at
        elif self._is_whole(message):
            self.window = self.window or message

    def _is_whole(self, window: WindowV1) -> bool:
        """Return whether it is the whole site's, begins after the camera came, and is covered (withheld counts)."""
        later = self.live_since is not None and window.start >= self.live_since
        return later and window.zone == WHOLE_SITE and (window.coverage is None or window.coverage >= findings.WHOLE)

    @property
    def heard(self) -> findings.Heard:
        """The sums of what was heard."""
        return findings.Heard(self.messages, self.size, len(self._search), self.found)


def place_of(listen: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; SettingsError if the text has another form."""
    found = _LISTEN.match(listen)
    if found is None or int(found["port"]) > 65_535:
        raise SettingsError(COMMAND, [("--listen", f"{listen!r} is no HOST:PORT, such as 0.0.0.0:8090")])
    return found["host"].strip("[]"), int(found["port"])


def camera_of(deployment: Deployment, name: str) -> tuple[SiteSettings, CameraSettings]:
    """Return the site of that name and its camera; SettingsError if there is no such site or not exactly one camera."""
    sites = {site.id: site for site in deployment.sites}
    if name not in sites:
        known = ", ".join(sites) or "none that can be read"
        raise SettingsError(COMMAND, [("--round-trip", f"no site {name!r} in {deployment.file}; there are {known}")])
    if len(sites[name].cameras) != 1:
        why = f"site {name!r} has {len(sites[name].cameras)} cameras; it must have one, whose url leads to --listen"
        raise SettingsError(COMMAND, [("--round-trip", why)])
    return sites[name], sites[name].cameras[0]


async def round_trip(deployment: Deployment, options: RoundTripOptions, on_step: OnStep) -> list[Finding]:
    """Return all findings of a round trip. SettingsError for a user's mistake."""
    host, port = place_of(options.listen)
    site, camera = camera_of(deployment, options.site)
    who = on_bus.identity_of(deployment.nats)
    if who not in _HEARING:
        why = f"is {who}, who would take requests from those that answer them; listen as operator or subscriber"
        raise SettingsError(COMMAND, [("nats.user", why)])
    bus, line = await on_bus.connected(deployment.nats)
    if bus is None:
        return [line]
    await bus.close()
    with tempfile.TemporaryDirectory(prefix="moretta-trip-") as scratch:
        on_step("drawing the film", 0)
        film = await asyncio.to_thread(_film, Path(scratch), camera.long_side)
        ear = Ear(site.id, film)
        tap = Tap(who, "MORETTA", ear.hear)
        try:
            await tap.open(deployment.nats)
            shown = stream_camera(film.stream, film.rate)
            async with TcpServer(shown.connected, host, port):
                await _shown(ear, shown, options.limit_s, on_step)
        except OSError as error:
            why = f"cannot listen on {options.listen}: {error.strerror or error}; name another place"
            raise SettingsError(COMMAND, [("--listen", why)]) from None
        finally:
            await tap.close()
    state = ear.state.state if ear.live_since is None and ear.state else ("live" if ear.live_since else None)
    found = [line, findings.camera(f"{site.id}/{camera.id}", shown.requests, state, options.listen, options.limit_s)]
    found += findings.window(ear.window, film.per_s, options.limit_s) if ear.live_since else []
    found += [_pictures(ear, film, who), await _lifetime(ear, options.metrics)]
    if deployment.nats.seed is not None:  # without a seed nothing is refused, which is told as left out
        found.append(findings.refused(any('">"' in one for one in tap.refused)))
    return [*found, *await on_bus.granted(deployment.nats, who)]


async def _shown(ear: Ear, camera: SimulatedHttpCamera, limit_s: float, on_step: OnStep) -> None:
    """Wait until a whole window has come, or the time limit is over."""
    began = time.monotonic()
    while ear.window is None and (passed := time.monotonic() - began) < limit_s:
        what = "a window" if ear.live_since else "the camera to be live" if camera.requests else "ingest to come"
        on_step(f"waiting for {what}, {passed:.0f} of {limit_s:g} s", passed)
        await asyncio.sleep(_LOOK_S)


def _film(scratch: Path, long_side: int) -> Film:
    from testbed.proof.site import FPS, PEOPLE, SECONDS, make_film, make_stream, rate

    film = make_film(scratch / "film.mp4", time.time_ns() & 0x7FFFFFFF)
    stream = make_stream(film, scratch / "stream.ts")
    secret = FilmNeedles()
    secret.take(film, long_side, FPS * SECONDS)
    secret.take(stream, long_side, FPS * SECONDS, packets_alone=True)
    return Film(stream, rate(stream), secret, PEOPLE / SECONDS)


def _pictures(ear: Ear, film: Film, who: str) -> Finding:
    heard = ear.heard
    blind = not film.secret.search().within(film.secret.rows[0] if film.secret.rows else b"")
    return findings.pictures(findings.Heard(heard.messages, heard.size, heard.needles, heard.found, blind), who)


async def _lifetime(ear: Ear, url: str | None) -> Finding:
    """Return whether pixels lived as promised: by ingest's metrics at `url`, or without a URL by the camera's state."""
    if url is not None:
        try:
            lived = lifetime_of(await page(url))
        except (NoMetrics, ValueError) as error:
            why = str(error) if isinstance(error, NoMetrics) else type(error).__name__  # else it would quote the page
            return fail("pixel lifetime", f"no metrics from there: {why}", "is --metrics ingest's /metrics?")
        return findings.lifetime(lived.late, lived.total, "ingest's metrics")
    last = ear.state.lifetime if ear.state else None
    return findings.lifetime(last.late if last else 0, last.pictures if last else 0, "the camera's last window")
