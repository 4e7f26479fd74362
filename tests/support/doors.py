"""Every door by which figures may leave a box: what each identity hears, what is answered, told, measured and shown."""

import asyncio
import io
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from command_line import moretta
from nats.aio.client import Client
from nats.aio.msg import Msg
from patience import patient
from rich.console import Console

from operate.box.box import Box
from operate.box.screen import Screen
from operate.live_state import LiveState
from proto.permissions import SERVICES, control_subjects, inbox_name, rights_of
from proto.stats import StatsReplyV1, StatsRequestV1
from proto.subjects import STATS, STATS_SERVICE, Identity
from services.bus import Bus
from services.sites.settings import SiteSettings

OTHERS: tuple[Identity, ...] = ("ingest", "inference", "notify", "operator", "subscriber", "page")
"""All but aggregate."""
STEPS = ("window", "hour", "day", "total")
_DENIED = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.IGNORECASE)


@dataclass
class Ear:
    """One identity's connection: all that it hears, and what it was denied."""

    client: Client
    heard: list[Msg] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)

    async def take(self, msg: Msg) -> None:
        self.heard.append(msg)

    def once(self) -> list[Msg]:
        """Return what it heard; what a writer had to store again, after an answer that was lost, once.

        Subscribers hear each attempt, the stream takes one: the same bytes under one id or behind one end of it.
        """
        found, known = list[Msg](), set[tuple[str, bytes, str]]()
        for msg in self.heard:
            headers = msg.headers or {}
            attempt = headers.get("Nats-Expected-Last-Subject-Sequence") or headers.get("Nats-Msg-Id")
            if attempt is None or (msg.subject, msg.data, attempt) not in known:
                found.append(msg)
            if attempt is not None:
                known.add((msg.subject, msg.data, attempt))
        return found

    async def settle(self) -> None:
        """Wait until the server has judged all that was sent; nats-py's first PING overtakes what is buffered."""
        await self.client.flush()
        await self.client.flush()


async def listen(box: Box, identity: Identity) -> Ear:
    """Hear all that an identity may subscribe to."""
    settings, ear = box.nats(identity), Ear(Client())

    async def refused(error: Exception) -> None:
        if found := _DENIED.search(str(error)):
            ear.denied.add(found[2])

    assert settings.seed is not None
    ear.client._public_nkey = settings.seed.public
    prefix = f"_INBOX_{inbox_name(identity, 'MORETTA')}".encode()
    await ear.client.connect(settings.url, signature_cb=settings.seed.sign, inbox_prefix=prefix, error_cb=refused)
    for subject in rights_of(identity, "MORETTA").subscribe:
        assert " " not in subject, "a place in a queue group would take what others need"
        await ear.client.subscribe(subject, cb=ear.take)
    await ear.settle()
    return ear


async def answers(bus: Bus, site: str, zones: Iterable[str], since: int, until: int) -> list[StatsReplyV1]:
    """Return what the micro service answers about a site: every zone by every step."""
    asked = [
        StatsRequestV1(site=site, zone=zone, since=since, until=until, step=step)  # type: ignore[arg-type]
        for zone in zones
        for step in STEPS
    ]
    return [await bus.request(STATS, question, timeout=patient(10)) for question in asked]


async def of_itself(bus: Bus) -> str:
    """Return what the micro service tells of itself: PING, INFO, STATS (NATS ADR-32)."""
    told = [await bus.ask_all(subject, wait_s=0.3) for subject in control_subjects(STATS_SERVICE) if "*" not in subject]
    return b"\n".join(answer for all_ in told for answer in all_).decode()


async def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `moretta stats`."""
    return await asyncio.to_thread(moretta, "stats", *arguments)


async def metrics(box: Box) -> dict[str, str]:
    """Return what each service measures, by service: its own metrics, without Python's and histograms' bounds."""
    texts = {name: await asyncio.to_thread(_get, f"{box.probe_url(name)}/metrics") for name in SERVICES}
    own = {name: "\n".join(re.findall(r"^moretta_.*$", text, re.MULTILINE)) for name, text in texts.items()}
    return {name: re.sub(r'\ble="[^"]*"', "", text) for name, text in own.items()}


_SHOWN = re.compile(r'^moretta_window_(\w+){site="\w+",zone="(\w+)"} (\S+)$', re.MULTILINE)


def windows_measured(text: str) -> dict[tuple[str, str], float]:
    """Return what metrics say of a site's published windows, by zone and figure."""
    return {(zone, name): float(value) for name, zone, value in _SHOWN.findall(text)}


def windows_told(messages: Iterable[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """Return what they have to say after these messages: the newest window of each zone, without what is null."""
    found = {}
    for one in sorted((m for m in messages if m["type"] == "WindowV1"), key=lambda m: int(m["end"])):
        low, high = one.get("interval") or (None, None)
        figures = {"rate_ratio": one.get("rate"), "rate_low_ratio": low, "rate_high_ratio": high}
        figures |= {"persons": one.get("persons"), "coverage_ratio": one.get("coverage")}
        figures["end_timestamp_seconds"] = one["end"] / 1e9
        found |= {(one["zone"], name): value for name, value in figures.items()}
    return {key: value for key, value in found.items() if value is not None}


async def readiness(box: Box, name: str) -> str:
    """Return what a service says about whether it is ready."""
    return await asyncio.to_thread(_get, f"{box.probe_url(name)}/readyz")


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=patient(5)) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def table(view: LiveState, sites: Sequence[SiteSettings]) -> str:
    """Return the live table as text."""
    text = io.StringIO()
    Console(file=text, width=200).print(Screen(view, list(sites)))
    return text.getvalue()


def logged(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the structured lines of the services, without their times and the names of their traces."""
    found = []
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            told = {"text": line}
        found.append({key: value for key, value in told.items() if key not in {"timestamp", "trace_id"}})
    return found


def holds(text: str, number: float | str) -> bool:
    """Whether a text holds a number as a number: not as a part of another one, of a name or of a hash."""
    return re.search(rf"(?<![\w.]){re.escape(str(number))}(?:\.0+)?(?![\w.])", text) is not None
