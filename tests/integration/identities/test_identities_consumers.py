"""Consumers of a reader that deliver without end into its account's imports: found and removed, and others are not."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import secrecy
from command_line import moretta
from mirrored import has, owner, publish
from msgspec import structs
from nats.aio.msg import Msg
from nats_process import NatsProcess
from on_bus import connected
from patience import until
from readers import ACME, CITY, Ear, Readers, coming
from structlog.testing import capture_logs

from operate.doctor import mirrors as doctor
from operate.identities import IdentityFolder, ServerEntry
from proto.subjects import STATS
from services.aggregate.mirrors import keeper
from services.aggregate.mirrors.keeper import Mirrors
from services.bus import Bus
from services.bus.nkey import Seed

NS = 1_000_000_000
ACCOUNT = "MORETTA_SUBSCRIBERS_acme"
DURABLE = {"ack_policy": "explicit", "ack_wait": 30 * NS, "max_ack_pending": 1_000}
HURRIED = {"ack_policy": "explicit", "ack_wait": 1_000_000, "max_ack_pending": 1_000}
IMPORTS = ("_ORIGIN.CONSUMER.CREATE.WINDOWS", "moretta.v1.stats.cannes", "$SYS.REQ.USER.INFO")
"""What a reader's account imports: the origin's API, statistics, and the system account's answer on one's rights."""


async def api(one: Ear, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = await one.client.request(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"", timeout=10)
    found: dict[str, Any] = json.loads(answer.data)
    return found


async def add(one: Ear, name: str, config: dict[str, Any]) -> None:
    """Make a durable consumer of WINDOWS, or change the one of that name."""
    body = {"stream_name": "WINDOWS", "config": {"durable_name": name} | config}
    assert "error" not in await api(one, f"CONSUMER.DURABLE.CREATE.WINDOWS.{name}", body)


async def consumers(one: Ear) -> dict[str, int]:
    """Return how often each consumer of WINDOWS has delivered something."""
    found = (await api(one, "CONSUMER.LIST.WINDOWS")).get("consumers") or ()
    return {each["name"]: each["delivered"]["consumer_seq"] for each in found}


async def ignore(_msg: Msg) -> None:
    """Statistics have somebody who answers: where nobody does, nothing is delivered."""


@pytest.mark.parametrize("place", IMPORTS)
async def test_what_is_delivered_into_an_import_without_end_is_removed(server: Readers, place: str):
    """Pushed, and pulled by one request that its reader leaves behind. Durables within the limits keep their place."""
    await publish(server, "one", "two")
    async with coming(server, ACME) as one, owner(server) as bus:
        await bus.client.subscribe(STATS.wildcard(), STATS.queue or "", cb=ignore)
        await until(lambda: has(one.client.jetstream(), "WINDOWS", 2), "both")
        await add(one, "mine", DURABLE)
        bound = await one.client.jetstream().pull_subscribe_bind("mine", "WINDOWS")
        [mine] = await bound.fetch(1)
        await mine.ack_sync()
        await add(one, "pushed", HURRIED | {"deliver_subject": place})
        await add(one, "pulled", HURRIED)
        await one.client.publish("$JS.API.CONSUMER.MSG.NEXT.WINDOWS.pulled", b'{"batch":100000000}', reply=place)

        async def flooded() -> bool:
            return (await consumers(one))["pulled"] > 20  # two messages, again and again

        await until(flooded, "deliveries without end")
        removed, mirrors = list[str](), Mirrors(bus)
        mirrors.consumer_removed.append(removed.append)
        with capture_logs() as lines:
            await mirrors.limit()
        assert (await consumers(one), removed) == ({"mine": 1}, [ACCOUNT] * 2)
        said = {line["consumer"]: line["reason"] for line in lines if line["event"] == "reader's consumer removed"}
        assert said.keys() == {"pushed", "pulled"}
        assert said["pushed"].startswith(f"deliver_subject {place} is not in _INBOX.>")
        assert said["pulled"].startswith("max_ack_pending 1000 with a wait of 0.001 s delivers")
        assert {line["account"] for line in lines if "consumer" in line} == {ACCOUNT}


async def test_one_that_was_changed_afterwards_is_removed(server: Readers):
    """JetStream tells nobody of a change. Its request for all messages at once goes with it; doctor names it before."""
    async with coming(server, ACME) as one, owner(server) as bus:
        await add(one, "mine", DURABLE)
        mirrors = Mirrors(bus)
        await mirrors.limit()
        assert await consumers(one) == {"mine": 0}
        assert [each.state for each in await doctor.of_all(bus)] == ["ok"]
        await add(one, "mine", HURRIED)
        await add(one, "hoard", DURABLE | {"max_waiting": 50_000_000})
        [found] = await doctor.of_all(bus)
        assert found.check == f"reader {ACCOUNT}"
        assert "consumer mine of WINDOWS: max_ack_pending 1000 with a wait of 0.001 s delivers" in found.found
        assert "consumer hoard of WINDOWS: max_waiting 50000000 is more than 512" in found.found
        await mirrors.limit()
        assert await consumers(one) == {}


async def test_a_reader_has_no_say_over_anothers_consumers(server: Readers):
    """Those of another reader stay while one's are removed."""
    async with coming(server, ACME) as one, coming(server, CITY) as other, owner(server) as bus:
        await add(other, "mine", DURABLE)
        await add(one, "mine", HURRIED)
        await Mirrors(bus).limit()
        assert (await consumers(one), await consumers(other)) == ({}, {"mine": 0})


def without_lists(text: str) -> str:
    """Return a server's configuration in which the maker of readers' streams may not list consumers."""
    config = json.loads(text)
    for one in config["accounts"]["MORETTA"]["users"]:
        allowed = one["permissions"]["publish"]["allow"] if "permissions" in one else []
        allowed[:] = [subject for subject in allowed if "CONSUMER.LIST" not in subject]
    return json.dumps(config)


async def test_readers_are_served_while_their_consumers_cannot_be_listed(
    server: Readers, monkeypatch: pytest.MonkeyPatch
):
    """As by a server whose nats.conf is of an earlier version: mirrors are kept up, and the log says what to do."""
    monkeypatch.setattr(keeper, "_FLOODED_S", 1.0)
    server.stop()
    server.whole = lambda port, store: without_lists(server.text(port, store))
    server.start()
    async with owner(server) as bus:
        mirrors = Mirrors(bus)
        with capture_logs() as lines:
            await asyncio.gather(mirrors.turn(), mirrors.limit())
        assert mirrors.states == {"served": 3, "failed": 0}
        said = [line["error"] for line in lines if line["event"] == "reader's consumers not limited"]
        assert (
            said
            == ["no answer about its consumers; is nats.conf of this version? `moretta nats apply` brings it up"] * 3
        )


@pytest.fixture(name="kept_server")
def _kept_server(tmp_path: Path) -> Iterator[tuple[IdentityFolder, NatsProcess]]:
    """A folder of `moretta nats apply` with two readers, and its server."""
    streams = {"acme": ["WINDOWS", "ALERTS"], "city": ["WINDOWS"]}
    where = ServerEntry(listen="127.0.0.1:-1", store=str(tmp_path / "js"), url="nats://127.0.0.1:4222")
    kept = IdentityFolder.make(tmp_path / "identities", where)
    kept.update(structs.replace(where, readers=streams))
    server = NatsProcess(kept.folder, whole=lambda *_: (kept.folder / "nats.conf").read_text())
    server.start()
    yield kept, server
    server.stop()


def entering(kept: IdentityFolder, server: NatsProcess, user: str) -> contextlib.AbstractAsyncContextManager[Bus]:
    """A bus by the seed of a folder's user."""
    seed = Seed((kept.folder / f"{user}.nk").read_text())
    secrecy.keep(seed.reveal())
    identity = "subscriber" if user.startswith("subscriber") else user
    return connected(server.url, identity, user=identity, seed=seed)


async def test_what_an_old_key_left_behind_is_ended(kept_server: tuple[IdentityFolder, NatsProcess], tmp_path: Path):
    """All consumers of one reader, and no other's; a name that is none is refused."""
    kept, server = kept_server
    file = tmp_path / "here.yaml"
    file.write_text(f"nats: {{url: {server.url}}}\n")
    ends = ("nats", "streams", kept.folder, "-c", file, "--end-consumers")
    async with (
        entering(kept, server, "aggregate") as maker,
        entering(kept, server, "subscriber-acme") as acme,
        entering(kept, server, "subscriber-city") as city,
    ):
        await maker.ensure_streams(["WINDOWS", "ALERTS"])
        await Mirrors(maker).turn()
        one, other = Ear("acme", acme.client), Ear("city", city.client)
        for each in (one, other):
            await add(each, "left-behind", DURABLE)
        said = await asyncio.to_thread(moretta, *ends, "acme")
        assert said.stdout == "acme: consumer left-behind of WINDOWS removed\n"
        assert (await consumers(one), await consumers(other)) == ({}, {"left-behind": 0})
        assert (await asyncio.to_thread(moretta, *ends, "acme")).stdout == "acme: no consumer\n"
    wrong = await asyncio.to_thread(moretta, *ends, "acne")
    assert wrong.returncode == 2
    assert f"--end-consumers: {kept.folder} has no reader 'acne'; there are: acme, city" in wrong.stderr
