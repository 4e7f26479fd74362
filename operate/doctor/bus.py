"""What the bus shows: the connection, who we are there, the clock, the streams, what was published, who answers."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any, cast, get_args

import nats.errors
from nats.aio.client import Client

from operate.doctor.core import judged, rights, storage, times
from operate.doctor.core.findings import Finding, fail, left_out, ok, warn
from operate.orders import told_sites
from proto.permissions import APART, JETSTREAM_API, api_prefix, rights_of, stream_info
from proto.public import CameraV1, WindowV1
from proto.subjects import CAMERAS, STREAMS, WINDOWS, Account, Identity, Stream
from proto.types import WHOLE_SITE
from services.bus import Bus, Connection, NatsSettings
from services.bus.client import words_of
from services.bus.clock import MOST_NS
from services.bus.sizes import Sizes, sized
from services.kernel.log import redact
from services.kernel.tls import CertificateError
from services.sites.settings import SiteSettings

_CONNECT_S = 4.0
_ANSWER_S = 3.0
_FLUSH_S = 3


def identity_of(settings: NatsSettings) -> Identity:
    """Return as whom we come: `nats.user` names it; an operator without one."""
    user = settings.user or "operator"
    known: tuple[Identity, ...] = get_args(Identity)
    return next((one for one in known if one == user), "operator")


async def connected(settings: NatsSettings) -> tuple[Bus | None, Finding]:
    """Return the connection, which the caller closes, and what is to be said of it."""
    heard: list[str] = []
    who = identity_of(settings)
    check, where = "NATS", redact(settings.url)
    try:
        async with asyncio.timeout(_CONNECT_S):
            bus = await Bus.connect(settings, who, on_trouble=heard.append)
    except TimeoutError:
        telling = (one for one in reversed(heard) if one.startswith(("nats:", "[SSL")))
        said = redact(next(telling, heard[-1] if heard else "no answer"))
        todo = words_of(nats.errors.Error(said), secure=settings.ca_file is not None)
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
    """Return how far our clock is from the server's, as its answer about a stream shows that we may ask for."""
    if who in APART:
        return [left_out("clock", f"{who} is not told the server's time")]
    found = await bus.clock_offset(next(stream.name for stream in STREAMS if _may_ask(stream, who)))
    if found is None:
        return [fail("clock", "the server did not tell its time", "see the lines of NATS and of streams")]
    return [times.clock(found.ns / 1e9, found.uncertainty_ns / 1e9, MOST_NS / 1e9)]


async def granted(settings: NatsSettings, who: Identity) -> list[Finding]:
    """Return whether the server grants what this identity is to have, and refuses a sample of what it is not."""
    if settings.seed is None:
        return [rights.open_server()]
    account: Account = "MAIN"
    denied: list[str] = []
    connection = await Connection.open(settings, f"{who}-rights", account, denied.append)
    try:
        connection._trouble.tell = denied.append  # noqa: SLF001 - what is meant to be refused is no error in a log
        tried = rights.probes(who, account)
        await _try(connection.client, tried)
    finally:
        await connection.close()
    return rights.judged(who, tried, denied)


async def _try(client: Client, tried: Iterable[rights.Probe]) -> None:
    """Try each. The server answers in order: once it has answered the last flush, all its refusals were heard."""

    async def ignore(_msg: Any) -> None:
        return None

    for probe in tried:
        if probe.way == "publish":
            await client.publish(probe.subject, b"")
            continue
        subscription = await client.subscribe(probe.subject, cb=ignore)
        await subscription.unsubscribe()
    await client.flush(timeout=_FLUSH_S)
    await client.flush(timeout=_FLUSH_S)  # nats-py's first PING overtakes what is buffered


async def streams(bus: Bus, who: Identity, replicas: int, sizes: Sizes) -> list[Finding]:
    """Return whether the streams that this identity may ask for are there as version and settings want them."""
    found = await _seen(bus, who, sizes)
    seen = {stream.name for stream in found}
    unseen = [stream.name for stream in STREAMS if stream.name not in seen]
    lines = storage.streams(found, replicas)
    if unseen:
        lines.append(left_out("streams", f"not for {who} to see: {', '.join(unseen)}"))
    return lines


async def reserved(bus: Bus | None, who: Identity, sizes: Sizes) -> int:
    """Return the bytes that streams may take on the disk: as the server tells of those that we may ask for."""
    infos = await _seen(bus, who, sizes) if bus else {}
    told = {stream.name: storage.limit(info) for stream, info in infos.items() if info}
    return sum(told.get(one.name, one.max_bytes) for one in sized(sizes) if one.storage == "file")


async def _seen(bus: Bus, who: Identity, sizes: Sizes) -> dict[Stream, dict[str, Any] | None]:
    wanted = [stream for stream in sized(sizes) if _may_ask(stream, who)]
    return {stream: await _info(bus, stream_info(stream.name), who) for stream in wanted}


def _may_ask(stream: Stream, who: Identity) -> bool:
    return stream_info(stream.name).replace(JETSTREAM_API, api_prefix(who)) in rights_of(who, "MAIN").publish


async def _info(bus: Bus, subject: str, who: Identity) -> dict[str, Any] | None:
    own = subject.replace(JETSTREAM_API, api_prefix(who))
    answer: dict[str, Any] = json.loads(await bus.ask(own, timeout=_ANSWER_S))
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
        age = None if last is None else (now - cast("WindowV1", last.message).end) / 1e9
        found.append(times.last_window(site.id, age, site.window_s, site.lateness_s))
    return found


async def services(bus: Bus, sites: list[SiteSettings]) -> list[Finding]:
    """Return who answers: aggregate by its micro service, ingest by its cameras' states."""
    told = set(await told_sites(bus))
    lacking = sorted({site.id for site in sites} - told)
    todo = "is aggregate running, and has it this settings file? Its log says which sites it has"
    here = ok("aggregate", f"counts for {', '.join(sorted(told)) or 'no site'}")
    found = [fail("aggregate", f"nobody answers for {', '.join(lacking)}", todo) if lacking else here]
    unseen = left_out("notify", "its leases are not for others to see; its /readyz and its log say whether it is well")
    return [*found, *await _cameras(bus, sites), unseen]


async def _cameras(bus: Bus, sites: list[SiteSettings]) -> list[Finding]:
    stored = [cast("CameraV1", one.message) for one in await bus.latest(CAMERAS)]
    wanted = {(site.id, camera.id) for site in sites for camera in site.cameras}
    told = {(one.site, one.camera): one for one in stored}
    return judged.cameras({place: told.get(place) for place in sorted(wanted)}, time.time_ns())
