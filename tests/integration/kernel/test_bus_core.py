"""Core NATS under typed messages, on a real server: served, answered, dropped, buried, reconnected, closed."""

import asyncio
import contextlib
import json
import signal

import pytest
from golden import BY_TYPE
from msgspec import Struct, structs
from nats_process import NatsProcess
from on_bus import connected, settled
from patience import patient, until
from prometheus_client import REGISTRY

from proto.codec import ContractError, encode
from proto.control import PauseReplyV1, PauseRequestV1, PauseStateV1
from proto.frames import FrameReplyV1, FrameV1
from proto.leases import CameraLeaseV1
from proto.public import CameraV1, WindowV1
from proto.sightings import TickV1
from proto.subjects import CAMERA_LEASES, CAMERAS, DEAD, FRAMES, PAUSE, PAUSE_STATE, STREAMS, TICKS, WINDOWS
from services.bus import Bus, NatsSettings, NoWorkers, StreamReset
from services.bus.connection.client import SecureClient, tasks_of
from services.kernel.clock import boottime_ns
from services.kernel.log import configure
from services.kernel.settings import Secret

MS = 1_000_000


def window(start: int) -> WindowV1:
    return WindowV1(site="s", zone="_site", profile="lab", start=start * MS, end=(start + 10) * MS)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_served_with_what_a_handler_needs(bus: Bus):
    """The message, its subject, headers, size and when it came off the socket."""
    seen: list[tuple[Struct, object]] = []

    async def handler(message: Struct, request) -> None:
        seen.append((message, request))

    await bus.serve(WINDOWS, handler, site="s")
    await settled(bus)
    before = boottime_ns()
    await bus.publish(WINDOWS, window(10), headers={"traceparent": "00-1"})
    await bus.publish(WINDOWS, WindowV1(site="other", zone="_site", profile="lab", start=0, end=1))
    await bus.publish(WINDOWS, window(20))
    await until(lambda: len(seen) == 2)
    message, request = seen[0]
    assert [m for m, _ in seen] == [window(10), window(20)]
    assert (message, request.subject) == (window(10), "moretta.v1.windows.s._site")
    assert request.headers == {"Content-Type": "application/json", "traceparent": "00-1"}
    assert request.size > 50
    assert before <= request.received <= boottime_ns()
    await request.reply(window(10))  # nobody asked: nothing happens


async def test_request_and_typed_reply(bus: Bus):
    """The answer comes as its own message."""

    async def handler(message: PauseRequestV1, request) -> None:
        await request.reply(PauseReplyV1(site=message.site, paused=message.action == "pause", cameras=4))

    await bus.serve(PAUSE, handler)
    await settled(bus)
    answer = await bus.request(PAUSE, BY_TYPE[PauseRequestV1], timeout=patient(2))
    assert answer == PauseReplyV1(site="cannes", paused=True, cameras=4)


async def test_a_request_to_nobody(bus: Bus):
    """NoWorkers at once, not after the time-out."""
    async with asyncio.timeout(patient(20)):
        with pytest.raises(NoWorkers, match=r"moretta\.v1\.control\.cannes\.pause"):
            await bus.request(PAUSE, BY_TYPE[PauseRequestV1], timeout=60)


async def test_a_request_without_an_answer(bus: Bus):
    """TimeoutError after the time given, the standard library's own."""

    async def handler(_message, _request) -> None:
        pass

    await bus.serve(PAUSE, handler)
    await settled(bus)
    with pytest.raises(TimeoutError):
        await bus.request(PAUSE, BY_TYPE[PauseRequestV1], timeout=0.05)


async def test_a_broken_message_does_not_leave(bus: Bus):
    """A producer's error is raised where it was made."""
    with pytest.raises(ContractError, match=r"site"):
        await bus.publish(TICKS, TickV1(site="UP"))
    with pytest.raises(ContractError):
        await bus.store(TICKS, TickV1(site="UP"))
    with pytest.raises(ContractError):
        await bus.publish(WINDOWS, TickV1(site="s"))


async def test_a_handler_that_fails_is_counted(bus: Bus):
    """Its next message is handled all the same."""
    seen: list[int] = []
    before = metric("moretta_bus_handler_errors_total", row="WindowV1")

    async def handler(message: WindowV1, _request) -> None:
        seen.append(message.start // MS)
        if message.start // MS == 10:
            raise ValueError("no")

    await bus.serve(WINDOWS, handler)
    await settled(bus)
    await bus.publish(WINDOWS, window(10))
    await bus.publish(WINDOWS, window(20))
    await until(lambda: seen == [10, 20])
    assert metric("moretta_bus_handler_errors_total", row="WindowV1") == before + 1


async def test_the_oldest_is_dropped(bus: Bus):
    """A handler that is behind gets what is newest: of more than `pending` waiting messages the oldest go, counted."""
    seen: list[int] = []
    going = asyncio.Event()
    before = metric("moretta_bus_dropped_total", row="WindowV1")

    async def handler(message: WindowV1, _request) -> None:
        seen.append(message.start // MS)
        await going.wait()

    await bus.serve(WINDOWS, handler, pending=2)
    await settled(bus)
    await bus.publish(WINDOWS, window(0))
    await until(lambda: seen == [0])
    for start in range(1, 6):
        await bus.publish(WINDOWS, window(start))
    await until(lambda: metric("moretta_bus_dropped_total", row="WindowV1") == before + 3)
    going.set()
    await until(lambda: seen == [0, 4, 5])


async def buried(bus: Bus, service: str):
    """What was stored of the first undecodable message, as soon as it is."""
    return (await until(lambda: bus.history(DEAD, service=service), "a dead letter"))[0].message


@pytest.mark.parametrize("fails", ["hangs", "raises"])
async def test_what_cannot_be_buried_holds_nothing_up(bus: Bus, fails):
    """JetStream may be away when somebody sends rubbish: the messages behind it are handled all the same."""
    seen: list[int] = []

    async def handler(message: WindowV1, _request) -> None:
        seen.append(message.start // MS)

    async def bury(*_) -> None:
        if fails == "raises":
            raise TimeoutError("no answer")
        await asyncio.Event().wait()

    bus.on_undecodable = bury
    await bus.serve(WINDOWS, handler)
    await settled(bus)
    for start in range(20):
        await bus.client.publish("moretta.v1.windows.s._site", b"rubbish")
        await bus.publish(WINDOWS, window(start))
    await until(lambda: seen == list(range(20)))
    held = 8 if fails == "hangs" else 0
    await until(lambda: len(bus._dead_letters) == held, lambda: f"{bus._dead_letters}")


@pytest.mark.parametrize("payload", [b"no json", b'{"type":"WindowV1","site":"UP"}', b'{"x":"\xff"}', b""])
async def test_an_undecodable_message_is_buried_whole(bus: Bus, payload: bytes):
    """In the main account: counted, stored with its reason, and the next message is handled."""
    seen: list[int] = []
    before = metric("moretta_bus_undecodable_total", row="WindowV1")

    async def handler(message: WindowV1, _request) -> None:
        seen.append(message.start // MS)

    await bus.serve(WINDOWS, handler)
    await settled(bus)
    await bus.client.publish("moretta.v1.windows.s._site", payload)
    await bus.publish(WINDOWS, window(20))
    await until(lambda: seen == [20])
    dead = await buried(bus, "aggregate")
    assert (dead.payload, dead.size, dead.subject) == (payload, len(payload), "moretta.v1.windows.s._site")
    assert dead.reason.startswith("WindowV1: ")
    assert metric("moretta_bus_undecodable_total", row="WindowV1") == before + 1


async def test_of_a_frame_no_byte_is_buried(nats_server: NatsProcess, bus: Bus):
    """Of what came in the account MORETTA_FRAMES only subject, size and reason are stored."""
    seen: list[Struct] = []

    async def handler(message: Struct, _request) -> None:
        seen.append(message)

    async with connected(nats_server.url, "inference", "MORETTA_FRAMES") as frames:
        frames.dead_letters = bus
        await frames.serve(FRAMES, handler)
        await settled(frames)
        await frames.client.publish("moretta.v1.frames.s.c", b"\x81pixels" * 1000)
        await frames.publish(FRAMES, BY_TYPE[FrameV1])
        await until(lambda: len(seen) == 1)
    stored = await bus.history(DEAD)
    assert [(d.message.payload, d.message.size, d.message.subject) for d in stored] == [
        (None, 7000, "moretta.v1.frames.s.c")
    ]
    assert "pixels" not in stored[0].message.reason


async def test_of_a_large_message_the_beginning_is_buried(bus: Bus):
    """64 KiB at most; the size tells the rest."""
    await bus._store_dead_letter(WINDOWS, "moretta.v1.windows.s.z", b"x" * 100_000, "too long")
    dead = (await bus.history(DEAD))[0].message
    assert (len(dead.payload), dead.size) == (65_536, 100_000)


async def test_stop_serving(bus: Bus):
    """After the intake is off nothing is handled, and replies to what comes are none."""
    seen: list[Struct] = []

    async def handler(message: Struct, _request) -> None:
        seen.append(message)

    await bus.serve(PAUSE, handler)
    await bus.stop_serving()
    with pytest.raises(NoWorkers):
        await bus.request(PAUSE, BY_TYPE[PauseRequestV1], timeout=2)
    assert seen == []


async def test_what_was_sent_already_is_handled(nats_server: NatsProcess):
    """Of two that share a queue one takes no more, under load: no question is lost, and each goes to the other then."""
    answered, asking = [0, 0], True
    question = structs.replace(BY_TYPE[FrameV1], sealed=b"x" * 1_000)

    async def ask(bus: Bus) -> None:
        while asking:
            await bus.request(FRAMES, question, timeout=patient(5))

    def answering(bus: Bus, number: int):
        async def handler(_message: Struct, request) -> None:
            answered[number] += 1
            await request.reply(BY_TYPE[FrameReplyV1])

        return bus.serve(FRAMES, handler)

    async with (
        connected(nats_server.url, "inference") as stays,
        connected(nats_server.url, "ingest") as asks,
    ):
        await answering(stays, 0)
        askers = []
        for _ in range(5):
            async with connected(nats_server.url, "inference") as goes:
                await answering(goes, 1)
                await settled(goes)
                askers = askers or [asyncio.create_task(ask(asks)) for _ in range(32)]
                before = answered[1]
                await until(lambda before=before: answered[1] > before + 100, limit_s=60)
                await goes.stop_serving()
                before = answered[0]
                await until(lambda before=before: answered[0] > before + 100, limit_s=60)
        asking = False
        await asyncio.gather(*askers)


async def test_a_flush_is_behind_what_was_sent(bus: Bus, monkeypatch: pytest.MonkeyPatch):
    """What it waits for must have left before; nats-py writes its PING ahead of what waits to be sent."""
    client, sent = bus.client, bytearray()
    transport = client._transport
    write, write_lines = transport.write, transport.writelines

    def written(data: bytes) -> None:
        sent.extend(data)
        write(data)

    def lines_written(lines: list[bytes]) -> None:
        sent.extend(b"".join(lines))
        write_lines(lines)

    monkeypatch.setattr(transport, "write", written)
    monkeypatch.setattr(transport, "writelines", lines_written)
    await client._send_unsubscribe(77)
    await client.flush()
    assert sent.index(b"UNSUB 77") < sent.rindex(b"PING")


async def test_connecting_waits_for_the_server(nats_server: NatsProcess):
    """A service may start before its server does."""
    nats_server.stop()
    connecting = asyncio.create_task(Bus.connect(NatsSettings(url=nats_server.url), "notify"))
    done, _ = await asyncio.wait([connecting], timeout=0.3)
    assert not done
    nats_server.start()
    async with asyncio.timeout(patient(20)):
        bus = await connecting
    assert bus.connected
    await bus.close()


async def test_a_wrong_password_is_said_and_tried_on(tmp_path, capsys: pytest.CaptureFixture[str]):
    """One line that names the server and what may be wrong, not one a second, and no password in it."""
    configure("notify")
    server = NatsProcess(tmp_path, config="authorization { user: a, password: right }").start()
    settings = NatsSettings(url=server.url, user="a", password=Secret("hunter2"))
    lines: list[dict[str, str]] = []

    def said() -> list[str]:
        lines.extend(json.loads(line) for line in capsys.readouterr().err.splitlines())
        return [f"{line['url']}: {line['error']}" for line in lines if line["level"] == "error"]

    connecting = asyncio.create_task(Bus.connect(settings, "notify"))
    await until(lambda: "Authorization Violation" in "".join(said()), lambda: f"{lines}")
    await asyncio.wait([connecting], timeout=2.5)  # it tries again every second
    assert not connecting.done()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    server.stop()
    errors = said()
    assert len(errors) == len(set(errors)) <= 2
    assert all(server.url in line and "are user and password right" in line for line in errors)
    assert "hunter2" not in str(lines)


async def test_connected_says_so(bus: Bus, nats_server: NatsProcess):
    """Readiness hangs on it: false within seconds of a kill, true again after the restart."""
    assert bus.connected
    assert metric("moretta_nats_connected", account="MORETTA") == 1
    nats_server.kill()
    await until(lambda: not bus.connected)
    await until(lambda: metric("moretta_nats_connected", account="MORETTA") == 0)
    nats_server.start()
    await until(lambda: bus.connected)
    await until(lambda: metric("moretta_nats_connected", account="MORETTA") == 1)


async def test_a_frozen_server_is_noticed(bus: Bus, nats_server: NatsProcess):
    """No answer to two pings is a lost connection."""
    nats_server.signal(signal.SIGSTOP)
    await until(lambda: not bus.connected)
    nats_server.signal(signal.SIGCONT)
    await until(lambda: bus.connected)


async def test_a_frozen_server_is_noticed_behind_a_backlog(bus: Bus, nats_server: NatsProcess):
    """Also while more waits to be sent than nats-py wants to keep: the ping does not wait with it."""
    nats_server.signal(signal.SIGSTOP)
    client = bus.client
    sending = [asyncio.create_task(client.publish("backlog", bytes(700_000))) for _ in range(40)]
    await until(lambda: not bus.connected)
    nats_server.signal(signal.SIGCONT)
    await until(lambda: bus.connected)
    await asyncio.gather(*sending)
    await client.flush()


async def test_a_ping_of_the_last_connection_ends_no_flush(bus: Bus, nats_server: NatsProcess):
    """What waited to be sent is sent on the next connection, but not its pings: their answers would come too early."""
    client = bus.client
    nats_server.signal(signal.SIGSTOP)
    sending = [asyncio.create_task(client.publish("backlog", bytes(700_000))) for _ in range(20)]
    flushing = [asyncio.create_task(client.flush()) for _ in range(3)]
    await until(lambda: not bus.connected)
    nats_server.signal(signal.SIGCONT)
    await until(lambda: bus.connected)
    await asyncio.gather(*sending, *flushing, return_exceptions=True)
    await client.flush()
    await until(lambda: client._pongs == [], "no answer is left over")  # but for a ping that is under way just now


async def test_serving_goes_on_after_a_restart(bus: Bus, nats_server: NatsProcess):
    """Subscriptions come back by themselves."""
    seen: list[int] = []

    async def handler(message: WindowV1, _request) -> None:
        seen.append(message.start // MS)

    await bus.serve(WINDOWS, handler)
    nats_server.kill()
    await until(lambda: not bus.connected)
    nats_server.start()
    await until(lambda: bus.connected)
    await settled(bus)
    await bus.publish(WINDOWS, window(30))
    await until(lambda: seen == [30])


async def test_storing_waits_for_the_server(bus: Bus, nats_server: NatsProcess):
    """A store during an outage ends when the server is back, stored once."""
    nats_server.kill()
    storing = asyncio.create_task(
        bus.store(WINDOWS, WindowV1(site="t", zone="z", profile="lab", start=10 * MS, end=20 * MS))
    )
    once = asyncio.create_task(bus.store_once(WINDOWS, window(20), is_done=lambda last: last.start >= 20 * MS))
    done, _ = await asyncio.wait([storing, once], timeout=0.5)
    assert not done
    nats_server.start()
    async with asyncio.timeout(patient(20)):
        await asyncio.gather(storing, once)
    found = sorted((s.message.site, s.message.start // MS, s.sequence) for s in await bus.history(WINDOWS))
    assert [one[:2] for one in found] == [("s", 20), ("t", 10)], found


async def test_file_streams_keep_what_they_hold(bus: Bus, nats_server: NatsProcess):
    """A killed server's file streams come back as they were, the memory streams empty and new."""
    await bus.store(WINDOWS, window(10))
    await bus.store(TICKS, TickV1(site="s"))
    nats_server.kill()
    await until(lambda: not bus.connected)
    nats_server.start()
    await until(lambda: bus.connected)
    assert [s.message for s in await bus.history(WINDOWS)] == [window(10)]
    assert await bus.store(TICKS, TickV1(site="s")) == 1


async def test_what_a_long_stream_ends_with(bus: Bus):
    """From a sequence on, of some subjects; and the last message of each, in the order of the stream."""
    for start, zone in ((10, "b"), (20, "a"), (30, "b"), (40, "c"), (50, "a")):
        await bus.store(WINDOWS, structs.replace(window(start), zone=zone))
    assert [s.message.start // MS for s in await bus.history_from(3, WINDOWS)] == [30, 40, 50]
    assert [s.message.start // MS for s in await bus.history_from(2, WINDOWS, zone="b")] == [30]
    assert await bus.history_from(6, WINDOWS) == []
    assert [s.message.start // MS for s in await bus.latest(WINDOWS)] == [30, 40, 50]
    assert [s.message.start // MS for s in await bus.latest(WINDOWS, zone="a")] == [50]
    assert await bus.latest(DEAD) == []


async def test_storing_under_the_same_id_is_storing_once(bus: Bus):
    """A message id is de-duplicated within the server's window."""
    assert await bus.store(WINDOWS, window(10), message_id="a") == await bus.store(WINDOWS, window(10), message_id="a")
    assert len(await bus.history(WINDOWS)) == 1


async def test_camera_states_keep_the_last_value(bus: Bus):
    """One value per camera, and all cameras."""
    for camera in ("a", "b"):
        for at in (1, 2, 3):
            await bus.store(CAMERAS, CameraV1(site="s", camera=camera, state="live", since=0, at=at * MS))
    assert [(s.message.camera, s.message.at // MS) for s in await bus.history(CAMERAS)] == [("a", 3), ("b", 3)]


async def test_streams_are_made_as_the_table_says(bus: Bus):
    """Name, subjects, storage, age, size, per-subject limit, and direct reads."""
    for stream in STREAMS:
        config = (await bus.streams.js.stream_info(stream.name)).config
        assert tuple(config.subjects) == stream.subjects
        assert config.storage == stream.storage
        assert config.max_age == (stream.max_age_s or 0)
        assert (config.max_bytes, config.max_msgs_per_subject) == (stream.max_bytes, stream.per_subject)
        assert config.allow_direct


async def test_streams_are_brought_up_to_the_table(bus: Bus):
    """An earlier release's stream is changed and keeps what it holds."""
    await bus.store(WINDOWS, window(10))
    info = await bus.streams.js.stream_info("WINDOWS")
    info.config.max_age = info.config.duplicate_window = 60.0
    await bus.streams.js.update_stream(info.config)
    await bus.ensure_streams(["WINDOWS"])
    config = (await bus.streams.js.stream_info("WINDOWS")).config
    assert config.max_age == {s.name: s for s in STREAMS}["WINDOWS"].max_age_s
    assert len(await bus.history(WINDOWS)) == 1


async def test_services_make_a_stream_at_the_same_time(nats_server: NatsProcess):
    """Who comes second finds it there."""
    async with connected(nats_server.url, "notify") as one, connected(nats_server.url, "notify") as two:
        await asyncio.gather(*(bus.ensure_streams([s.name for s in STREAMS]) for bus in (one, two)))
        await one.store(WINDOWS, window(10))
        assert len(await two.history(WINDOWS)) == 1


async def test_a_store_waits_for_its_stream(nats_server: NatsProcess):
    """A stream that another service has not made yet."""
    async with connected(nats_server.url, "notify") as bus:
        storing = asyncio.create_task(bus.store(WINDOWS, window(10)))
        done, _ = await asyncio.wait([storing], timeout=0.6)
        assert not done
        await bus.ensure_streams(["WINDOWS"])
        async with asyncio.timeout(patient(20)):
            assert await storing == 1


async def test_follow_from_a_sequence(bus: Bus):
    """A replay begins where it is told to, and then goes on with what comes."""
    for start in range(5):
        await bus.store(WINDOWS, window(start))
    seen = []
    async with asyncio.timeout(patient(20)):
        async for item in bus.follow("WINDOWS", [WINDOWS.wildcard(site="s")], start=4):
            seen.append((item.sequence, item.message.start // MS))
            if item.sequence == 5:
                await bus.store(WINDOWS, window(5))
            if item.sequence == 6:
                break
    assert seen == [(4, 3), (5, 4), (6, 5)]


async def test_follow_passes_over_what_it_cannot_read(bus: Bus):
    """One unreadable message does not stop all that follow."""
    js = bus.streams.js
    await js.publish("moretta.v1.site.s.tick", b"\xc1")
    await js.publish("moretta.v1.site.s.unknown", b"")
    await bus.store(TICKS, TickV1(site="s"))
    async with asyncio.timeout(patient(20)):
        async for item in bus.follow("SIGHTINGS", ["moretta.v1.site.s.*"]):
            assert item.sequence == 3
            break


async def test_nothing_is_removed_but_from_a_bucket(bus: Bus):
    """A header that says so, by whoever may store there, is nothing to a reader who knows no removals."""
    js, tick = bus.streams.js, TickV1(site="cannes")
    for marker in ({"KV-Operation": "DEL"}, {"Nats-Marker-Reason": "MaxAge"}):
        for data in (b"", encode(TICKS, tick)):
            await js.publish(TICKS.of(tick), data, headers=marker)
    await bus.store(TICKS, tick)
    found = []
    async with asyncio.timeout(patient(20)), contextlib.aclosing(bus.follow("SIGHTINGS", [TICKS.wildcard()])) as stored:
        async for one in stored:
            found.append(one.message)
            if one.sequence == 5:
                break
    assert found == [tick] * 3


async def test_what_is_stored_on_anothers_subject_is_nobodys(bus: Bus):
    """Rights are of subjects, and readers go by fields: who may tell of one site can't tell of another."""
    own, js = window(0), bus.streams.js
    foreign = WINDOWS.subject(site="elsewhere", zone=own.zone)
    await js.publish(foreign, encode(WINDOWS, own))
    await bus.store(WINDOWS, own)
    assert [one.sequence for one in await bus.history(WINDOWS)] == [2]
    assert await bus.last(WINDOWS, site="elsewhere", zone=own.zone) is None
    assert await bus.first(WINDOWS, site="elsewhere", zone=own.zone) is None


async def test_what_cannot_be_read_undoes_nothing_that_was_said_before(bus: Bus):
    """Whoever may ask JetStream can have the answer sent to a subject (ADR 20): a pause stays, a lease is nobody's."""
    js, order = bus.streams.js, BY_TYPE[PauseStateV1]
    await bus.store(PAUSE_STATE, structs.replace(order, why="first"))
    await bus.store(PAUSE_STATE, order)
    await js.publish(PAUSE_STATE.of(order), b'{"type": "io.nats.jetstream.api.v1.stream_msg_get_response"}')
    last = await bus.last(PAUSE_STATE, site=order.site)
    assert (last.sequence, last.message) == (2, order)
    sequence, kept = await bus.streams.amend(
        PAUSE_STATE, PAUSE_STATE.of(order), lambda before: structs.replace(before, why="third"), message_id=None
    )
    assert (sequence, kept) == (4, structs.replace(order, why="third"))
    lease = CAMERA_LEASES.of(BY_TYPE[CameraLeaseV1])
    revision = (await js.publish(lease, b"{}")).seq
    assert await bus.streams.entry(CAMERA_LEASES, lease) == (revision, None)


async def test_follow_beyond_the_end_of_another_stream(bus: Bus, nats_server: NatsProcess):
    """Whoever was further than the new stream is told so, and reads it from its beginning."""
    for _ in range(3):
        await bus.store(TICKS, TickV1(site="s"))
    seen: list[object] = []

    async def read() -> None:
        async for item in bus.follow("SIGHTINGS", [TICKS.wildcard()]):
            seen.append(item if isinstance(item, StreamReset) else item.sequence)
            if len(seen) == 3:
                nats_server.kill()
                nats_server.start()
                await bus.store(TICKS, TickV1(site="s"))
            if len(seen) == 5:
                return

    async with asyncio.timeout(patient(20)):
        await read()
    assert seen[:3] == [1, 2, 3]
    assert isinstance(seen[3], StreamReset)
    assert seen[4] == 1


async def test_a_long_replay_is_in_order(bus: Bus):
    """Thousands of messages at once, each once and in order: flow control holds."""
    js = bus.streams.js
    payload = WINDOWS.of(window(0)), encode(WINDOWS, window(0))
    for _ in range(5_000):
        await bus.client.publish(*payload)  # nobody waits for its acknowledgement
    await settled(bus)

    async def stored() -> bool:
        return (await js.stream_info("WINDOWS")).state.last_seq == 5_000

    await until(stored, "all are stored")
    assert [s.sequence for s in await bus.history(WINDOWS)] == list(range(1, 5001))


async def test_close_twice_and_after_a_kill(nats_server: NatsProcess):
    """Closing never raises and never hangs, whatever the server does."""
    bus = await Bus.connect(NatsSettings(url=nats_server.url), "notify")
    nats_server.kill()
    async with asyncio.timeout(patient(20)):
        await bus.close()
        await bus.close()
    assert not bus.connected


async def test_closing_ends_a_reconnection_that_loses_a_cancellation(nats_server: NatsProcess, monkeypatch):
    """A closed bus stays closed, though nats-py was just connecting again and lost the one cancellation.

    On Python 3.11 `wait_for` loses it when it meets the moment at which its own wait ends.
    """
    bus = await Bus.connect(NatsSettings(url=nats_server.url), "notify")
    client, moment, plain = bus.client, asyncio.Event(), SecureClient._process_connect_init

    async def connecting(self: SecureClient) -> None:
        moment.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(patient(20))
        await plain(self)

    monkeypatch.setattr(SecureClient, "_process_connect_init", connecting)
    nats_server.kill()
    nats_server.start()
    async with asyncio.timeout(patient(20)):
        await moment.wait()
        await bus.close()
    assert client.is_closed
    assert tasks_of(client) == []


async def test_closing_sends_what_was_published(nats_server: NatsProcess, bus: Bus):
    """The last words of a service arrive."""
    seen: list[int] = []

    async def handler(message: WindowV1, _request) -> None:
        seen.append(message.start // MS)

    await bus.serve(WINDOWS, handler, pending=1000)
    await settled(bus)
    async with connected(nats_server.url, "notify") as other:
        for start in range(100):
            await other.publish(WINDOWS, window(start))
    await until(lambda: seen == list(range(100)))
