"""The lines for the command `nats` in docs/recipes/README.md: natscli knows their arguments, what it sends is answered.

The binary is not here. Arguments, subjects and bodies are those of its source: cli/*_command.go in versions of 2025 and
2026, and of jsm.go and nats.go, which it calls.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import re
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from on_bus import settled
from patience import patient, until
from recipe_place import TODAY, Place, store
from recipes import FOLDER, published
from windows import HOUR, MINUTE, window

from proto.public import WindowV1
from proto.stats import StatsRequestV1
from proto.subjects import STATS
from services.bus import NoWorkers

pytestmark = pytest.mark.usefixtures("needs_recipes")
TIMEOUT_S = 5
"""How long `nats` waits for an answer, unless told."""
PERSONS = 11
"""In each window."""
Line = argparse.Namespace


@dataclass
class Command:
    """What `nats` has with the server: a connection as subscriber with the default inbox, and what it was refused."""

    site: Place
    client: Client = field(default_factory=Client)
    refused: list[str] = field(default_factory=list)
    stored: list[WindowV1] = field(default_factory=list)

    async def error(self, error: Exception) -> None:
        self.refused.append(str(error))

    async def publish(self) -> list[WindowV1]:
        """Store the next window of the site and of a zone, all of them within today's last three hours."""
        start = TODAY - 3 * HOUR + len(self.stored) // 2 * 20 * MINUTE
        new = [window(start, site="cannes", zone=zone) for zone in ("_site", "gate")]
        await store(self.site, *new)
        self.stored += new
        return new

    async def mirrors(self) -> bool:
        """Whether the reader's stream has all windows."""
        return bool((await self.get("STREAM.INFO.WINDOWS"))["state"]["messages"] == len(self.stored))

    async def ask(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what JetStream's API answers."""
        data = json.dumps(body).encode() if body else b""
        answer = await self.client.request(f"$JS.API.{call}", data, timeout=patient(TIMEOUT_S))
        return dict(json.loads(answer.data))

    async def get(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what JetStream's API answers to what it grants."""
        answer = await self.ask(call, body)
        assert "error" not in answer, (call, answer["error"])
        return answer

    async def sent(self, subject: str, body: bytes) -> Msg:
        """Publish with an inbox for one reply, and return that."""
        inbox = self.client.new_inbox()
        listening = await self.client.subscribe(inbox, max_msgs=1)
        await self.client.publish(subject, body, reply=inbox)
        return await listening.next_msg(timeout=patient(TIMEOUT_S))

    async def settled(self) -> None:
        """Have the server judge what was sent; what it refuses is an error."""
        await settled(self.client)
        assert self.refused == []


async def subscribe(one: Command, line: Line) -> None:
    """A plain subscription: what is published comes once."""
    listening = await one.client.subscribe(line.subject)
    await one.settled()
    new = await one.publish()
    assert [told((await listening.next_msg(timeout=patient(TIMEOUT_S))).data) for _ in new] == [*map(published, new)]
    await listening.unsubscribe()


async def stream_get(one: Command, line: Line) -> None:
    """Is the stream there, then its last message of the subject."""
    latest = one.stored[-2]
    await one.get(f"STREAM.INFO.{line.stream}")

    async def is_latest() -> bool:
        message = (await one.get(f"STREAM.MSG.GET.{line.stream}", {"last_by_subj": line.last_for}))["message"]
        assert message["subject"] == line.last_for
        return told(base64.b64decode(message["data"])) == published(latest)

    await until(is_latest, "the last window")


async def consumer_add(one: Command, line: Line) -> None:
    """There is none of that name, but the stream; then a durable one, by the subject of one release or of another."""
    assert (line.pull, line.defaults) == (True, True), "it would ask"
    name = f"{line.stream}.{line.consumer}"
    assert (await one.ask(f"CONSUMER.INFO.{name}"))["error"]["description"] == "consumer not found"
    await one.get(f"STREAM.INFO.{line.stream}")
    config = {
        "ack_policy": "explicit", "deliver_policy": "all", "durable_name": line.consumer, "max_deliver": -1,
        "replay_policy": "instant", "num_replicas": 0,
    }  # fmt: skip
    for call in ("CONSUMER.DURABLE.CREATE", "CONSUMER.CREATE"):
        assert (await one.get(f"{call}.{name}", made(line.stream, config) | {"action": ""}))["name"] == line.consumer


async def consumer_next(one: Command, line: Line) -> None:
    """Is the consumer there, then so many requests for one window, each of which it acknowledges."""
    name = f"{line.stream}.{line.consumer}"

    async def waiting(count: int) -> bool:
        info = await one.get(f"CONSUMER.INFO.{name}")
        return (info["num_pending"], info["num_ack_pending"]) == (count, 0)

    await until(partial(waiting, len(one.stored)), "every window")
    asked = json.dumps({"expires": TIMEOUT_S * 10**9, "batch": 1}).encode()
    for wanted in one.stored[: line.count]:
        msg = await one.sent(f"$JS.API.CONSUMER.MSG.NEXT.{name}", asked)
        assert told(msg.data) == published(wanted)
        await msg.respond(b"+ACK")
    assert len(one.stored) > line.count
    await until(partial(waiting, len(one.stored) - line.count), "that they are acknowledged")


async def request(one: Command, line: Line) -> None:
    """The body as it stands; today's sums come back from an aggregate."""
    noon = 12 - datetime.now(UTC).hour  # there it is about noon, so that all windows are today's
    site = {"id": "cannes", "timezone": f"Etc/GMT{-noon:+}", "profile": "alerting", "zones": [{"id": "gate"}]}
    one.site.write({"log": {"format": "json"}, "sites": [site]})
    aggregate = await asyncio.to_thread(one.site.start, "aggregate")  # the connection answers pings meanwhile
    try:
        async with one.site.bus("operator") as bus:
            is_there = partial(bus.request, STATS, StatsRequestV1(site="cannes"), timeout=2)
            await until(is_there, "an aggregate that answers", 30, ignoring=(NoWorkers, TimeoutError))
        answer = await one.sent(line.subject, line.body.encode())
        assert "Nats-Service-Error" not in (answer.headers or {})
        sums = [period["persons"] for period in json.loads(answer.data)["periods"]]
        assert sum(filter(None, sums)) == PERSONS * len(one.stored) // 2
    finally:
        assert await asyncio.to_thread(aggregate.stop) == 0


def told(data: bytes) -> str:
    """What a window's JSON says: its end, site and zone."""
    return " ".join(json.loads(data)[name] for name in ("end", "site", "zone"))


def made(stream: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"stream_name": stream, "config": config}


Play = Callable[[Command, Line], Awaitable[None]]
FLAG: dict[str, Any] = {"action": "store_true"}
COMMANDS: dict[str, tuple[Play, list[str], dict[str, dict[str, Any]]]] = {
    "sub": (subscribe, ["subject"], {}),
    "stream get": (stream_get, ["stream"], {"--last-for": {}}),
    "consumer add": (consumer_add, ["stream", "consumer"], {"--pull": FLAG, "--defaults": FLAG}),
    "consumer next": (consumer_next, ["stream", "consumer"], {"--count": {"type": int}}),
    "request": (request, ["subject", "body"], {}),
}
"""What a line does, its arguments in their order, and its flags, as natscli declares them."""


def lines() -> list[str]:
    """The commands that the section of README.md shows."""
    section = (FOLDER / "README.md").read_text("utf-8").split("\n## With the command `nats`\n")[1].split("\n## ")[0]
    return [line for block in re.findall(r"```\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]


def read(line: str) -> tuple[str, Line]:
    """Return which command a line is, and what it is given; AssertionError for one that is not known here."""
    program, *words = shlex.split(line)
    found = [name for name in COMMANDS if words[: len(name.split())] == name.split()]
    assert (program, len(found)) == ("nats", 1), f"nobody plays {line}"
    parser = argparse.ArgumentParser(found[0], allow_abbrev=False)
    _, arguments, flags = COMMANDS[found[0]]
    for name, how in ({key: {} for key in arguments} | flags).items():
        parser.add_argument(name, **how)
    return found[0], parser.parse_args(words[len(found[0].split()) :])


@contextlib.asynccontextmanager
async def connected(site: Place) -> AsyncIterator[Command]:
    one, seed = Command(site), site.identities.seeds["subscriber"]
    one.client._public_nkey = seed.public
    await one.client.connect(site.server.url, signature_cb=seed.sign, error_cb=one.error, allow_reconnect=False)
    try:
        yield one
    finally:
        await one.client.close()


async def test_each_line_for_nats_is_answered(own_site):
    """What README.md shows, from the first line to the last, as somebody would type it."""
    await own_site.mirrored()
    played = [read(line) for line in lines()]
    assert {name for name, _ in played} == {*COMMANDS}
    async with connected(own_site) as one:
        for _ in range(5):
            await one.publish()
        await until(one.mirrors, "what is published, in the mirrors")
        for name, line in played:
            try:
                await COMMANDS[name][0](one, line)
                await one.settled()
            except Exception as error:
                error.add_note(f"nats {name}: {line}, refused: {one.refused}")
                raise


async def test_what_is_refused_is_no_answer(own_site):
    """The test above would say so: all subjects, and an API that is not a reader's."""
    await own_site.mirrored()
    async with connected(own_site) as one:
        with pytest.raises(AssertionError, match="permissions violation for subscription"):
            await subscribe(one, Line(subject=">"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(one.get("STREAM.PURGE.WINDOWS"), 1)
        assert "stream.purge" in one.refused[-1].lower()


def test_a_line_that_nobody_plays():
    """A command, an argument or a flag that is not known here fails the test."""
    with pytest.raises(AssertionError, match="nobody plays"):
        read("nats stream ls")
    for line in ("nats sub 'moretta.>' --all", "nats stream get WINDOWS more"):
        with pytest.raises(SystemExit):
            read(line)
