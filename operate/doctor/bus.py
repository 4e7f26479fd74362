"""Checks on the bus: connection, identity and rights, clock, streams, published windows, and answering services."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any, cast, get_args

import nats.errors
from nats.aio.client import Client

from operate.doctor import mirrors
from operate.doctor.core import judged, rights, storage
from operate.doctor.core.findings import Finding, fail, left_out, ok, warn
from operate.doctor.core.oversized_streams import AnalysedSize, too_large
from operate.orders import counted_sites
from proto.permissions import APART, READER, rights_of, stream_info
from proto.public import CameraV1, WindowV1
from proto.subjects import CAMERAS, STREAMS, WINDOWS, Account, Identity, Stream, covers
from proto.types import WHOLE_SITE
from services.bus import Bus, Connection, NatsSettings
from services.bus.clock import MAX_NS
from services.bus.connection.client import words_of
from services.bus.stream_sizes import Sizes, sized
from services.ingest.sources.address import kind_of
from services.kernel.log import redact
from services.kernel.tls import CertificateError
from services.sites.settings import SiteSettings

_CONNECT_S = 4.0
_ANSWER_S = 3.0
_FLUSH_S = 3


def identity_of(settings: NatsSettings) -> Identity:
    """Return the identity that we connect as: `nats.user`, or operator if there is none."""
    user = settings.user or "operator"
    known: tuple[Identity, ...] = get_args(Identity)
    return next((one for one in known if one == user), "operator")


async def connected(settings: NatsSettings) -> tuple[Bus | None, Finding]:
    """Return the connection, which the caller closes, and the finding about it."""
    heard: list[str] = []
    who = identity_of(settings)
    check, where = "NATS", redact(settings.url)
    try:
        async with asyncio.timeout(_CONNECT_S):
            bus = await Bus.connect(settings, who, on_error=heard.append)
    except TimeoutError:
        telling = (one for one in reversed(heard) if one.startswith(("nats:", "[SSL")))
        error = redact(next(telling, heard[-1] if heard else "no answer"))
        todo = words_of(nats.errors.Error(error), secure=settings.ca_file is not None)
        todo += "" if settings.seed else "; of a box name its folder with --data"
        return None, fail(check, f"no connection to {where} as {who}", todo)
    except CertificateError as error:
        return None, fail(check, error.field, error.why)
    how = "over TLS" if settings.ca_file is not None else "without TLS"
    found = f"{where} as {who}, {how}"
    if settings.is_open():
        return bus, warn(check, found, "others in the network can read along: nats.ca_file asks for TLS")
    return bus, ok(check, found)


async def clock(bus: Bus, who: Identity) -> list[Finding]:
    """Return how far our clock is from the server's, by the server's answer about a stream that we may ask for."""
    if who in APART:
        return [left_out("clock", f"{who} is not told the server's time")]
    found = await bus.clock_offset(next(stream.name for stream in STREAMS if _may_ask(stream, who)))
    if found is None:
        return [fail("clock", "the server did not tell its time", "see the lines of NATS and of streams")]
    return [judged.clock(found.ns / 1e9, found.uncertainty_ns / 1e9, MAX_NS / 1e9)]


async def granted(settings: NatsSettings, who: Identity) -> list[Finding]:
    """Return whether the server grants this identity its rights, and refuses a sample of other rights."""
    if settings.seed is None:
        return [rights.open_server()]
    account: Account = "MORETTA"
    denied: list[str] = []
    connection = await Connection.connect(settings, f"{who}-rights", account, denied.append)
    try:
        connection.errors.on_error = denied.append  # what is meant to be refused is no error in a log
        tried = rights.probes(who, account)
        await _try(connection.client, tried)
    finally:
        await connection.close()
    return rights.judged(who, tried, denied)


async def _try(client: Client, tried: Iterable[rights.Probe]) -> None:
    """Try each probe. The server answers in order: after its answer to the last flush, all refusals have arrived."""

    async def ignore(_msg: Any) -> None:
        return None

    for probe in tried:
        if probe.way == "publish":
            await client.publish(probe.subject, b"", headers=rights.EXPECTED)
            continue
        subscription = await client.subscribe(probe.subject, cb=ignore)
        await subscription.unsubscribe()
    await client.flush(timeout=_FLUSH_S)
    await client.flush(timeout=_FLUSH_S)  # nats-py's first PING overtakes what is buffered


async def streams(bus: Bus, who: Identity, replicas: int, sizes: Sizes) -> list[Finding]:
    """Return whether the streams that this identity may ask for are as this version and the settings want them."""
    if who == READER:
        return await mirrors.own(bus)
    found = await _seen(bus, who, sizes)
    seen = {stream.name for stream in found}
    unseen = [stream.name for stream in STREAMS if stream.name not in seen]
    lines = storage.streams(found, replicas)
    if unseen:
        lines.append(left_out("streams", f"not for {who} to see: {', '.join(unseen)}"))
    return lines


async def reserved(bus: Bus | None, who: Identity, sizes: Sizes) -> int:
    """Return how many bytes streams may take on disk, as the server reports it for those that we may ask for."""
    infos = await _seen(bus, who, sizes) if bus else {}
    known = {stream.name: storage.limit(info) for stream, info in infos.items() if info}
    return sum(known.get(one.name, one.max_bytes) for one in sized(sizes) if one.storage == "file")


async def _seen(bus: Bus, who: Identity, sizes: Sizes) -> dict[Stream, dict[str, Any] | None]:
    wanted = [stream for stream in sized(sizes) if _may_ask(stream, who)]
    return {stream: await _info(bus, stream_info(stream.name)) for stream in wanted}


def _may_ask(stream: Stream, who: Identity) -> bool:
    return who != READER and any(
        covers(granted, stream_info(stream.name)) for granted in rights_of(who, "MORETTA").publish
    )


async def _info(bus: Bus, subject: str) -> dict[str, Any] | None:
    answer: dict[str, Any] = json.loads(await bus.ask(subject, timeout=_ANSWER_S))
    return None if "error" in answer else answer


async def windows(bus: Bus, sites: list[SiteSettings], utc: int | None = None) -> list[Finding]:
    """Return how old each site's last window is."""
    now = utc or time.time_ns()
    found = []
    for site in sites:
        if site.close_on_end:
            found.append(left_out(f"windows of {site.id}", "it reads recordings: its windows are of their time"))
            continue
        last = await bus.last(WINDOWS, site=site.id, zone=WHOLE_SITE)
        window = cast("WindowV1", last.message) if last is not None else None
        age = None if window is None else (now - window.end) / 1e9
        observed = judged.observed_of_lost(window) if window is not None else None
        found.append(judged.last_window(site.id, age, site.window_s, site.lateness_s, observed))
    return found


async def services(bus: Bus, sites: list[SiteSettings]) -> list[Finding]:
    """Return which services answer: aggregate by its micro service, ingest by its cameras' states."""
    known = set(await counted_sites(bus))
    lacking = sorted({site.id for site in sites} - known)
    todo = "is aggregate running, and has it this settings file? Its log says which sites it has"
    here = ok("aggregate", f"counts for {', '.join(sorted(known)) or 'no site'}")
    found = [fail("aggregate", f"nobody answers for {', '.join(lacking)}", todo) if lacking else here]
    unseen = left_out("notify", "its leases are not for others to see; its /readyz and its log say whether it is well")
    return [*found, *await _cameras(bus, sites), unseen]


async def _cameras(bus: Bus, sites: list[SiteSettings]) -> list[Finding]:
    stored = [cast("CameraV1", one.message) for one in await bus.latest(CAMERAS)]
    wanted = {(site.id, camera.id) for site in sites for camera in site.cameras}
    known = {(one.site, one.camera): one for one in stored}
    found = judged.cameras({place: known.get(place) for place in sorted(wanted)}, time.time_ns())
    return [*found, *too_large(known, _analysed(sites))]


def _analysed(sites: list[SiteSettings]) -> dict[tuple[str, str], AnalysedSize]:
    """Return what is analysed of each network camera; a URL that we may not read counts as one's."""
    return {
        (site.id, one.id): AnalysedSize(one.fps, one.long_side)
        for site in sites
        for one in site.cameras
        if kind_of(one) == "network"
    }
