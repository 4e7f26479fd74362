"""Runs all checks at once, each with its own time limit: a check that fails or hangs stops no other."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from operate.doctor import bus as on_bus
from operate.doctor import machine, metrics, mirrors, reach
from operate.doctor.core import judged
from operate.doctor.core.findings import Finding, fail, left_out
from operate.doctor.deployment import Deployment
from proto.subjects import STREAM_OWNER
from services.bus import Bus
from services.frames.sealing.keys import MAX_GIVERS
from services.kernel.tls import CertificateError
from services.sites.settings import CameraSettings

_TIMEOUT_S = 20.0
_AT_ONCE = 16
Check = Callable[[], Awaitable[list[Finding]]]


@dataclass(frozen=True)
class DoctorOptions:
    """Checks in addition to the usual ones."""

    cameras: bool = False
    """Whether each camera's stream is opened and one packet read."""
    store: Path | None = None
    """nats-server's storage folder, if it is on this machine."""
    metrics: str | None = None
    """The URL of aggregate's metrics, which tell what each camera saw yesterday."""


async def examined(deployment: Deployment, options: DoctorOptions) -> list[Finding]:
    """Return all findings, in the order of the table."""
    bus, line = await on_bus.connected(deployment.nats)
    try:
        checks = [*_on_bus(deployment, bus), *_around(deployment, options, bus)]
        places = asyncio.Semaphore(_AT_ONCE)
        found = await asyncio.gather(*(_within(name, check, places) for name, check in checks))
        # Last, because by now servers have shown their certificates.
        end = machine.certificates(deployment.loaded)
    finally:
        if bus is not None:
            await bus.close()
    return [*deployment.findings, line, *(one for group in found for one in group), *end]


async def _within(name: str, check: Check, places: asyncio.Semaphore) -> list[Finding]:
    async with places:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await check()
        except TimeoutError:
            return [fail(name, f"no answer in {_TIMEOUT_S:g} s", "see the lines above; is the other side overloaded?")]
        except CertificateError as error:
            return [fail(name, f"{error.field}: {error.why}", "mend the file, or the settings that name it")]
        except Exception as error:  # the error's text may hold its input
            return [fail(name, f"could not be checked: {type(error).__name__}", "run it again; else tell the makers")]


def _on_bus(deployment: Deployment, bus: Bus | None) -> list[tuple[str, Check]]:
    if bus is None:
        return []
    settings, sites, who = deployment.nats, deployment.sites, on_bus.identity_of(deployment.nats)
    checks: list[tuple[str, Check]] = [
        ("clock", lambda: on_bus.clock(bus, who)),
        ("rights", lambda: on_bus.granted(settings, who)),
        ("streams", lambda: on_bus.streams(bus, who, settings.replicas, deployment.sizes)),
    ]
    if who == STREAM_OWNER:
        checks.append(("readers", lambda: mirrors.of_all(bus)))
    if who not in {"operator", "subscriber"} and settings.seed is not None:
        return [*checks, ("windows", _left_out("windows", f"not for {who} to see; the operator is told"))]
    return [
        *checks,
        ("windows", lambda: on_bus.windows(bus, sites)),
        ("services", lambda: on_bus.services(bus, sites)),
    ]


def _around(deployment: Deployment, options: DoctorOptions, bus: Bus | None) -> list[tuple[str, Check]]:
    sites = deployment.sites

    async def here() -> list[Finding]:
        nats, zones = deployment.nats, machine.time_zones(sites)
        most = await on_bus.reserved(bus, on_bus.identity_of(nats), deployment.sizes) if options.store else 0
        keys = judged.frame_keys({site.id: len(site.cameras) for site in sites}, MAX_GIVERS)
        return [await asyncio.to_thread(machine.disk, options.store, nats.url, most), zones, *keys]

    sandbox: tuple[str, Check] = ("sandbox", lambda: machine.sandbox(deployment.file, sites))
    yesterday: list[tuple[str, Check]] = []
    if (url := options.metrics) is not None:
        sides = {(site.id, camera.id): camera.long_side for site in sites for camera in site.cameras}
        yesterday = [("who stays", lambda: metrics.of_yesterday(url, sides))]
    return [*_channels(deployment), *_cameras(deployment, options), *yesterday, sandbox, ("this machine", here)]


def _channels(deployment: Deployment) -> list[tuple[str, Check]]:
    if (file := deployment.notify) is None:
        rest: tuple[str, Check] = (
            "channels",
            _left_out("channels", "without notify's secrets nobody logs in or is told"),
        )
        server = deployment.bare_mail_server
        return [*([("SMTP", _one(partial(reach.reached, server)))] if server else []), rest]
    notify = file.notify
    found: list[tuple[str, Check]] = []
    if (smtp := notify.smtp) is not None:
        found.append(("SMTP", _one(partial(reach.mail, smtp))))
    try:
        places = list(reach.gateways(notify))
    except CertificateError:  # reported with the certificates
        places = []
    return [*found, *((place.check, _one(partial(reach.reached, place))) for place in places)]


def _cameras(deployment: Deployment, options: DoctorOptions) -> list[tuple[str, Check]]:
    if (ingest := deployment.ingest) is None:
        rest: tuple[str, Check] = (
            "cameras",
            _left_out("reach cameras", "without ingest's secrets others are not tried"),
        )
        return [*_tried(deployment.bare_cameras, options), rest]
    return _tried(reach.cameras(ingest), options)


def _tried(cameras: list[tuple[str, CameraSettings]], options: DoctorOptions) -> list[tuple[str, Check]]:
    return [
        (f"reach {site}/{one.id}", _one(partial(reach.camera, site, one, open_it=options.cameras)))
        for site, one in cameras
    ]


def _left_out(check: str, why: str) -> Check:
    async def run() -> list[Finding]:
        return [left_out(check, why)]

    return run


def _one(look: Callable[[], Awaitable[Finding]]) -> Check:
    async def run() -> list[Finding]:
        return [await look()]

    return run
