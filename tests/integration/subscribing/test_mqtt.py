"""Readers that come by MQTT: what they hear, what they may not, what a session costs; and Home Assistant's sensors."""

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import mqtt_client
import pytest
import recipes
from authority import Authority
from nats.aio.msg import Msg
from nats_process import NatsProcess
from patience import until
from recipe_place import PYTHON, TODAY
from recipes import Recipe
from up_process import UpProcess
from windows import window

from operate.identities import Identities, Mqtt, Tls, nats_config
from operate.identities.mqtt import new_password
from proto.codec import decode
from proto.subjects import STREAMS, WINDOWS
from services.bus import Bus, NatsSettings

PASSWORD, HASHED = new_password()
OF_MQTT = {"$MQTT_msgs", "$MQTT_out", "$MQTT_qos2in", "$MQTT_rmsgs", "$MQTT_sess"}
_LISTENING = re.compile(r"Listening for MQTT clients on (?:mqtt|tls)://127\.0\.0\.1:(\d+)")
WINDOW = window(TODAY, site="cannes")
TOPIC = "moretta/v1/windows/cannes/_site"


class Place:
    """A server with TLS and an MQTT listener, as `moretta nats apply` has it, and its readers' mirrors."""

    def __init__(self, folder: Path) -> None:
        pem, self.authority = Authority(), folder / "ca.pem"
        self.authority.write_bytes(pem.pem)
        self.certificate = folder / "server.pem"
        self.certificate.write_bytes(pem.issue("localhost", "127.0.0.1"))
        tls = Tls(str(self.certificate), str(self.certificate), str(self.authority))
        people = Identities.make(folder / "identities")
        mqtt = Mqtt("127.0.0.1:-1", {"subscriber": HASHED})
        self.people = people
        self.server = NatsProcess(
            folder, whole=lambda port, store: nats_config(port, store, people.public, tls=tls, mqtt=mqtt)
        )
        self.server.start()

    @property
    def mqtt(self) -> str:
        [port] = _LISTENING.findall("".join(self.server.output))
        return f"localhost:{port}"

    async def bus(self, identity: str) -> Bus:
        one = self.people.settings(identity, f"tls://localhost:{self.server.port}")
        own = {"ca_file": str(self.authority), "client_cert_file": str(self.certificate)}
        return await Bus.connect(NatsSettings(url=one.url, user=one.user, seed=one.seed, **own), identity)


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.server.stop()


async def test_what_is_told_is_heard_and_nothing_may_be_said(place: Place):
    """Each window once, at any quality of service; another topic, publishing, a retained message are refused."""
    owner, reader = await place.bus("aggregate"), await place.bus("subscriber")
    try:
        await owner.ensure_streams(stream.name for stream in STREAMS)
        await owner.mirrors().turn()
        with (
            mqtt_client.connected(place.mqtt, "subscriber", PASSWORD, ca=place.authority) as passing,
            mqtt_client.connected(place.mqtt, "subscriber", PASSWORD, name="panel", ca=place.authority) as panel,
        ):
            assert [*passing.answers, *panel.answers] == ["Success"] * 2
            assert await asyncio.to_thread(passing.subscribe, "moretta/#")
            assert await asyncio.to_thread(panel.subscribe, "moretta/v1/windows/cannes/+", 1)
            for topic in ("#", "other/#", "$SYS/#", "$JS/API/STREAM/NAMES", "_MIRROR/#"):
                assert not await asyncio.to_thread(passing.subscribe, topic), topic
            said: list[str] = []

            async def note(msg: Msg) -> None:
                said.append(msg.subject)

            await reader._connection.client.subscribe("moretta.>", cb=note)
            await reader._connection.client.flush()
            passing.client.publish(TOPIC, b'{"rate": 1}', qos=1, retain=True)
            await owner.store(WINDOWS, WINDOW)
            await until(lambda: passing.messages and panel.messages, "the window")
            assert [decode(WINDOWS, bytes(one.payload)) for one in (*passing.messages, *panel.messages)] == [WINDOW] * 2
            assert {(one.topic, one.qos, one.retain) for one in panel.messages} == {(TOPIC, 0, False)}
            await until(lambda: said, "the window by NATS")
            assert said == [WINDOWS.of(WINDOW)]
        streams = {one.config.name: one for one in await reader._connection.client.jetstream().streams_info()}
        assert streams.keys() >= OF_MQTT
        assert not any(streams[name].state.messages for name in OF_MQTT - {"$MQTT_sess"})
        assert not [line for line in place.server.output if "insufficient" in line or "maximum" in line]
    finally:
        await reader.close()
        await owner.close()


async def test_what_a_client_may_cost(place: Place):
    """What it publishes with QoS 2 ends its connection and is stored nowhere; nor is a will told or kept.

    Each subscription with QoS 1 is a consumer, of which a reader has 32.
    """
    owner, reader = await place.bus("aggregate"), await place.bus("subscriber")
    said: list[str] = []

    async def note(msg: Msg) -> None:
        said.append(msg.subject)

    try:
        await owner.ensure_streams(stream.name for stream in STREAMS)
        await owner.mirrors().turn()
        await reader._connection.client.subscribe("moretta.>", cb=note)
        await reader._connection.client.flush()
        with mqtt_client.connected(place.mqtt, "subscriber", PASSWORD, ca=place.authority, will=TOPIC) as one:
            granted = [await asyncio.to_thread(one.subscribe, f"moretta/v1/windows/s{n}/+", 1) for n in range(33)]
            assert granted == [True] * 32 + [False]
            assert await asyncio.to_thread(one.subscribe, "moretta/v1/alerts/#"), "QoS 0 is no consumer"
            one.client.publish(TOPIC, b"x" * 60_000, qos=2)
            await until(lambda: one.ended, "the server ends it")
        await owner.store(WINDOWS, WINDOW)
        await until(lambda: said, "a window")
        assert said == [WINDOWS.of(WINDOW)]
        streams = await reader._connection.client.jetstream().streams_info()
        assert {
            one.config.name: one.state.messages for one in streams if one.config.name in OF_MQTT - {"$MQTT_sess"}
        } == (dict.fromkeys(OF_MQTT - {"$MQTT_sess"}, 0))
    finally:
        await reader.close()
        await owner.close()


async def test_a_wrong_password_and_a_seed_are_refused(place: Place):
    """And nobody comes in without a password; no other identity has one."""
    for user, password in (("subscriber", "wrong"), (None, ""), ("aggregate", PASSWORD), ("page", PASSWORD)):
        with mqtt_client.connected(place.mqtt, user, password, ca=place.authority) as one:
            assert one.answers[0] == "Not authorized", (user, one.answers)


@pytest.mark.timeout(240)
@pytest.mark.first
async def test_a_box_and_home_assistants_sensors(tmp_path: Path, needs_recipes):
    """`moretta up --mqtt` says where; each zone is a sensor of a broker that keeps what it has, with its last rate."""
    broker = NatsProcess(
        tmp_path,
        whole=lambda port, store: json.dumps(
            {"listen": f"127.0.0.1:{port}", "jetstream": {"store_dir": store}, "mqtt": {"listen": "127.0.0.1:-1"}}
        ),
    ).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    box = UpProcess(["--simulate", "--mqtt", address]).start()
    try:
        [home] = _LISTENING.findall("".join(broker.output))
        start = f"subscribers by MQTT: {address}, user subscriber, with the password in "
        await asyncio.to_thread(box.wait_for, lambda: start in "\n".join(box.words), 90, "where it is")
        [password] = [one.removeprefix(start) for one in box.words if one.startswith(start)]
        folder = recipes.copied(tmp_path)
        wrong = Recipe(f"{PYTHON} home_assistant.py {address} subscriber ca.txt 127.0.0.1:{home}", folder, {})
        (folder / "ca.txt").write_text("wrong")
        code, _, words = await asyncio.to_thread(wrong.result)
        assert (code, words) == (2, [f"{address}: Not authorized"])
        run = f"{PYTHON} home_assistant.py {address} subscriber {password} 127.0.0.1:{home}"
        with Recipe(run, folder, {}), mqtt_client.connected(f"127.0.0.1:{home}") as assistant:
            await asyncio.to_thread(assistant.subscribe, "homeassistant/#")
            await until(lambda: len({*assistant.topics()}) >= 3, "a sensor for each zone", 120)
            found = {one["unique_id"]: one for one in (json.loads(one.payload) for one in assistant.messages)}
            assert found.keys() >= {"moretta_demo__site", "moretta_demo_gate", "moretta_demo_hall"}
            about = found["moretta_demo_gate"]
            assert (about["unit_of_measurement"], about["expire_after"]) == ("%", 80)
        with mqtt_client.connected(f"127.0.0.1:{home}") as later:
            await asyncio.to_thread(later.subscribe, about["state_topic"])
            await until(lambda: later.messages, "the last value, kept for who comes later")
            assert later.messages[0].retain
            assert json.loads(later.messages[0].payload)["zone"] == "gate"
    finally:
        code = await asyncio.to_thread(box.stop)
        broker.stop()
    assert code == 0
