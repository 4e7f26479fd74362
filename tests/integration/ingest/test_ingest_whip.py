"""Peers that publish by WHIP over real HTTPS, ICE, DTLS and SRTP: services.ingest.web, services.ingest.sources.peer."""

import asyncio
import contextlib
import hashlib
import inspect
import io
import json
import re
import socket
import ssl
import struct
import time
from functools import partial
from importlib.metadata import version
from types import SimpleNamespace
from urllib.parse import urlsplit

import aiohttp
import aioice.ice
import aiortc.rtcrtpreceiver
import pytest
import segno
import whip
from aioice import stun
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket, is_rtcp
from authority import ENDS, Authority, Volume, only_these
from hypothesis import given
from hypothesis import strategies as st
from patience import patient, until
from prometheus_client import REGISTRY
from whip import TOKEN, Publisher

from services.ingest.camera.camera import Camera
from services.ingest.camera.sharing import CameraSharing
from services.ingest.core import ice, reconnect
from services.ingest.core.ice import (
    FACTOR,
    MAX_STREAMS,
    OFFERED_BYTES,
    PER_S,
    RemoteCandidates,
    kind_of,
)
from services.ingest.settings import WebSettings
from services.ingest.sources.peer import MAX_FRAMES
from services.ingest.web import datagrams, rtc
from services.ingest.web import whip as whip_server
from services.ingest.web.server import WebServer
from services.kernel import listener
from services.kernel.app import App
from services.kernel.faults import StartError
from services.kernel.log import configure
from services.kernel.settings import Secret
from services.sites.settings import CameraSettings

LIMIT_S = patient(20)
GONE_S = 5 + patient(4)
"""Within 5 s a peer that says nothing is let go, and a busy machine adds to that."""
SDP = {"Content-Type": "application/sdp"}
AUTH = {"Authorization": f"Bearer {TOKEN}"}
FRIEND = "https://kiosk.example.org"


class ServedCamera:
    """A served peer camera, its states, and an HTTP client that trusts the certificate shown."""

    def __init__(self, **web):
        self.app = App("ingest")
        self.states = []
        self.phone = Camera(
            "cannes",
            CameraSettings(id="phone", url="whip://", token=Secret(TOKEN), long_side=320),
            lease=1,
            phase_ns=0,
            on_state=self.states.append,
        )
        settings = WebSettings(host="127.0.0.1", port=0, origins=[FRIEND], **web)
        self.server = WebServer(self.app, settings, self)
        self.http = None

    def find(self, site, camera):
        return self.phone if (site, camera) == ("cannes", "phone") else None

    camera = find

    def settings(self, site, camera):
        return self.find(site, camera) and self.phone.settings

    def figures(self, _site, _camera):
        return None

    async def claim(self, site, camera):
        return self.find(site, camera)

    @property
    def state(self):
        return self.states[-1].state if self.states else None

    def reasons(self, state):
        return [status.reason for status in self.states if status.state == state]

    async def ask(self, method, path="whip/cannes/phone", data=None, **headers):
        """Returns status, headers, text."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.request(method, self.server.url + path, data=data, headers=headers) as answer:
            return answer.status, answer.headers, await answer.text()

    async def publish(self, publisher, offered=str):
        """Publish, and wait until the camera is live; returns the session's path. `offered` changes the offer."""
        status, headers, answer = await self.ask("POST", data=offered(await publisher.offer()), **SDP, **AUTH)
        assert status == 201, answer
        await publisher.accept(answer)
        await self.picture()
        await until(lambda: self.state == "live", "the camera is live", every_s=0.01)
        return headers["Location"].removeprefix("/")

    async def picture(self):
        picture = await asyncio.wait_for(self.phone.take(), LIMIT_S)
        size = picture.width, picture.height
        assert max(picture.pixels[:100]) > 0
        picture.release()
        return size


def ice_of(session):
    return session.peer._connection.getTransceivers()[0].receiver.transport.transport._connection


@pytest.fixture(name="served")
async def _served():
    async with serving() as served:
        yield served


@contextlib.asynccontextmanager
async def serving(**web):
    served = ServedCamera(**web)
    with whip.loopback_only():
        await served.server.start()
        served.phone.start(asyncio.get_running_loop())
        # The fingerprint is what a person compares; everything else about a self-signed certificate is no proof.
        shown = aiohttp.Fingerprint(bytes.fromhex(served.server.fingerprint.replace(":", "")))
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=shown)) as served.http:
                yield served
        finally:
            await served.server.stop()
            assert await served.phone.stop(LIMIT_S)
            assert await served.app.close() == 0


@pytest.mark.parametrize(("codec", "decoder"), [("H264", "h264"), ("VP8", "vp8"), (None, "h264")])
async def test_a_peer_publishes_and_says_goodbye(served, codec, decoder, monkeypatch):
    """Its pictures come out of the camera's own decoder, aiortc has none; H.264 comes first, audio is inactive."""
    monkeypatch.delattr(aiortc.rtcrtpreceiver, "get_decoder")
    publisher = Publisher(codec, audio=True)
    session = await served.publish(publisher)
    ((_, kept),) = served.server._whip._sessions.items()
    for transceiver in kept.peer._connection.getTransceivers():
        ice = transceiver.receiver.transport.transport._connection
        assert (ice.stun_server, type(ice._queue)) == (
            None,
            datagrams.Datagrams,
        )  # nobody outside is asked; nothing grows
    assert await served.picture() == (320, 180)
    assert served.phone.stats().decoder == decoder
    assert "a=inactive" in publisher.connection.remoteDescription.sdp
    status, _, text = await served.ask("GET", "api/cannes/phone", **AUTH)
    assert (status, json.loads(text)["state"], json.loads(text)["width"]) == (200, "live", 320)
    assert (await served.ask("DELETE", session, If_Match='"of another time"', **AUTH))[0] == 200
    for receiver in kept.peer._connection.getReceivers():
        assert {type(one) for one in receiver._RTCRtpReceiver__jitter_buffer._packets} == {type(None)}
        assert receiver.transport.transport._connection._queue.qsize() == 1  # that it is closed
    await until(lambda: served.state == "connecting")
    assert served.reasons("stalled") == ["end-of-stream"]
    assert (await served.ask("DELETE", session, **AUTH))[0] == 404
    await publisher.close()


@pytest.mark.alone
async def test_an_rsa_peer_that_is_killed_is_noticed(served, monkeypatch):
    """GStreamer's webrtcbin publishes; after its SIGKILL the camera waits for the next peer within 5 s."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", whip.HOST_ADDRESSES)  # libnice leaves loopback out
    with whip.gstreamer(served.server.url + "whip/cannes/phone") as peer:
        assert await served.picture() == (320, 180)
        await until(lambda: served.state == "live")
        peer.kill()
        killed = time.monotonic()
        await until(lambda: "connecting" in [s.state for s in served.states[2:]])
    assert time.monotonic() - killed < GONE_S
    assert set(served.reasons("stalled")) == {"timeout"}


async def test_what_strangers_send_is_ignored(served, caplog):
    """Anybody may send to the socket of a peer: an empty datagram, damaged STUN, anything. The session goes on."""
    publisher = Publisher()
    await served.publish(publisher)
    ((_, kept),) = served.server._whip._sessions.items()
    (protocol,) = ice_of(kept)._protocols
    damaged = bytes.fromhex("000100082112a442" + "00" * 12 + "0024000100000000")  # PRIORITY, of one byte
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"", damaged, bytes(4096), b"\x16", b"\x80"):
            stranger.sendto(data, (protocol.local_candidate.host, protocol.local_candidate.port))
    before = served.phone.stats().pictures
    await until(lambda: served.phone.stats().pictures > before + 25)
    assert (kept.encoded.closed, [one.msg for one in caplog.records if one.levelname == "ERROR"]) == (None, [])
    await publisher.close()


@pytest.mark.alone
async def test_a_second_publisher_waits_until_the_first_has_vanished(served):
    """One peer a camera; one that says nothing any more is let go within 5 s, and needs no goodbye."""
    first, second = Publisher(), Publisher()
    await served.publish(first)
    offer = await second.offer()
    status, _, text = await served.ask("POST", data=offer, **SDP, **AUTH)
    assert (status, "another peer" in text) == (409, True)
    first.vanish()
    vanished = time.monotonic()
    await until(lambda: served.states[-1].state == "connecting")
    assert time.monotonic() - vanished < GONE_S
    await served.publish(second)
    await asyncio.gather(first.close(), second.close())


async def test_a_peer_that_was_away_for_a_moment_goes_on(served, monkeypatch):
    """Silent for less than it may be: the decoder was dropped meanwhile, so a fresh one asks for a key frame."""
    monkeypatch.setattr(reconnect, "SILENT_S", 2.0 * LIMIT_S)  # a slow machine may take its time to see the stall
    publisher = Publisher()
    await served.publish(publisher)
    publisher.vanish()
    await until(lambda: served.state == "stalled")
    publisher.reappear()
    await until(lambda: served.state == "live")
    assert served.reasons("connecting") == [None]
    await publisher.close()


async def test_a_peer_without_a_key_frame_does_not_keep_the_camera(served, monkeypatch):
    """It sends and sends, and nothing of it can be decoded: it is let go, and the next peer publishes."""
    monkeypatch.setattr(reconnect, "UNDECODABLE_S", 3.0)
    publisher, next_one = Publisher(), Publisher()
    with monkeypatch.context() as patch:
        patch.setattr("services.ingest.sources.peer.is_key", lambda *_: False)
        _, _, answer = await served.ask("POST", data=await publisher.offer(), **SDP, **AUTH)
        await publisher.accept(answer)
        await until(lambda: served.reasons("stalled") == ["undecodable"])
    await served.publish(next_one)
    await asyncio.gather(publisher.close(), next_one.close())


async def test_a_pause_lets_the_peer_go_and_takes_no_other(served):
    """The right to object: what came is dropped, a POST is refused until the camera is resumed."""
    publisher, late = Publisher(), Publisher()
    await served.publish(publisher)
    served.phone.pause()
    await until(lambda: publisher.connection.connectionState == "closed")
    status, _, text = await served.ask("POST", data=await late.offer(), **SDP, **AUTH)
    assert (status, "paused" in text) == (409, True)
    served.phone.resume()
    await until(lambda: served.state == "connecting")
    await served.publish(late)
    await asyncio.gather(publisher.close(), late.close())


async def test_a_camera_stays_where_its_peer_is(served):
    """Replicas share cameras evenly, but none takes one from its peer; one that waits for a peer is anybody's."""
    place, told = ("cannes", "phone"), []
    leases = SimpleNamespace(resets=0, held={place: None}, set_live=lambda _, live: told.append(live))
    clock = SimpleNamespace(forward=0, back=0)
    sharing = CameraSharing(served.app, SimpleNamespace(running={place: served.phone}), leases, clock)
    await until(lambda: served.state == "connecting")
    sharing._set_live()
    publisher = Publisher()
    assert sharing._movable() == {place}
    await served.publish(publisher)
    sharing._set_live()
    assert (sharing._movable(), told) == (set(), [False, True])
    await publisher.close()  # without DELETE: DTLS says goodbye
    await until(lambda: served.reasons("stalled") == ["end-of-stream"])


async def test_a_slow_decoder_cannot_make_a_queue_grow(served, monkeypatch):
    """Frames wait in one small queue; when it overflows all of it goes, and a key frame is asked for."""
    from services.ingest.sources.decoder import Decoder

    decode, waiting, keys = Decoder.decode, [], []
    publisher = Publisher()
    await served.publish(publisher)
    encoded = served.phone.peer_slot._queue
    monkeypatch.setattr(encoded, "_ask", lambda ask=encoded._ask: (keys.append(1), ask()))

    def slow(decoder, packet):
        waiting.append(len(encoded._frames))
        time.sleep(0.3)
        return decode(decoder, packet)

    monkeypatch.setattr(Decoder, "decode", slow)
    await until(lambda: len(keys) >= 2)
    monkeypatch.setattr(Decoder, "decode", decode)
    assert max(waiting) <= MAX_FRAMES
    before = served.phone.stats().pictures
    await until(lambda: served.phone.stats().pictures > before + 25)  # it recovers by itself
    assert served.phone.stats().undecodable == 0
    await publisher.close()


@pytest.mark.parametrize(
    ("headers", "body", "status", "word"),
    [
        ({}, "x", 401, "Bearer"),
        ({"Authorization": "Bearer wrong"}, "x", 401, "wrong"),
        ({"Authorization": f"Basic {TOKEN}"}, "x", 401, "Bearer"),
        (AUTH, "x", 415, "application/sdp"),
        (AUTH | SDP, "x", 400, "v=0"),
        (AUTH | SDP, b"\xff\xfe", 400, "UTF-8"),
        (AUTH | SDP, "v=0\r\n" + "a=x\r\n" * 4_000, 413, "larger"),
    ],
)
async def test_what_is_refused(served, headers, body, status, word):
    """Every error is a problem document that says what would be right; no token comes out."""
    got, answered, text = await served.ask("POST", data=body, **headers)
    assert (got, answered["Content-Type"]) == (status, "application/problem+json")
    assert word in json.loads(text)["detail"]
    assert ("WWW-Authenticate" in answered) == (status == 401)
    assert TOKEN not in text


async def test_an_offer_that_aiortc_refuses_leaves_the_seat_free(served):
    """Also one that looks right at first; the next peer publishes at once."""
    publisher = Publisher()
    offer = await publisher.offer()
    for bad, status in [
        (offer.replace("42e01f", "42zzzz").replace("42001f", "42zzzz"), 406),
        (offer.replace("a=setup:actpass", "a=setup:maybe"), 400),
        (offer.replace("a=rtpmap:99", "a=rtpmap:x"), 400),
    ]:
        got, _, text = await served.ask("POST", data=bad, **SDP, **AUTH)
        assert (got, json.loads(text)["status"]) == (status, status), bad
    await served.publish(publisher)
    await publisher.close()


async def test_a_publisher_that_leaves_before_its_answer_gives_the_seat_back(served, monkeypatch):
    """Stop was pressed while the offer was on its way: nobody knows the session, so nobody could end it."""
    publisher, answer = Publisher(), rtc.PeerConnection.answer
    asked, left = asyncio.Event(), asyncio.Event()

    async def slow(peer, offer):
        asked.set()
        await left.wait()
        return await answer(peer, offer)

    monkeypatch.setattr(rtc.PeerConnection, "answer", slow)
    posting = asyncio.create_task(served.ask("POST", data=await publisher.offer(), **SDP, **AUTH))
    await asyncio.wait_for(asked.wait(), LIMIT_S)
    posting.cancel()
    connections = served.server._runner.server.connections
    await until(lambda: all(one.transport is None for one in connections))
    left.set()
    await until(lambda: served.reasons("stalled") == ["end-of-stream"])
    await served.publish(publisher)
    await publisher.close()


async def test_a_failure_of_our_own_leaves_the_seat_free(served, monkeypatch):
    """Nothing of it is shown; the next peer publishes at once."""
    publisher = Publisher()
    with monkeypatch.context() as patch:
        patch.setattr("services.ingest.web.whip.PeerConnection", lambda *_, **__: 1 / 0)
        status, _, text = await served.ask("POST", data=await publisher.offer(), **SDP, **AUTH)
    assert (status, "division" in text) == (500, False)
    await served.publish(publisher)
    await publisher.close()


async def test_a_connection_that_does_not_end_by_itself_loses_its_sockets(served, monkeypatch):
    """aiortc waits for a task of its own that has failed (it does with 256 streams): nothing of the peer stays open."""
    receiver = aiortc.rtcrtpreceiver.RTCRtpReceiver

    async def fails(self):
        self._RTCRtpReceiver__rtcp_started.set()

    monkeypatch.setattr(receiver, "_run_rtcp", fails)
    monkeypatch.setattr(rtc, "_CLOSE_LIMIT_S", 0.2)
    publisher = Publisher()
    session = await served.publish(publisher)
    ((_, kept),) = served.server._whip._sessions.items()
    assert (await served.ask("DELETE", session, **AUTH))[0] == 200
    assert ice_of(kept)._protocols == []
    await publisher.close()


def undirected(offer):
    return re.sub(r"a=(sendonly|inactive)\r\n", "", offer)


def directed_at_once(offer):
    return undirected(offer).replace("\r\nm=", "\r\na=sendonly\r\nm=", 1)


def bundle_only(offer):
    head, first, second = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
    bare = re.sub(r"a=(ice-|fingerprint|setup|rtcp(?!-fb)|candidate|end-of).*\r\n", "", second)
    return head + first + re.sub(r"^(m=\w+) \d+", r"\1 0", bare) + "a=bundle-only\r\n"


@pytest.mark.parametrize("offered", [undirected, directed_at_once, bundle_only])
async def test_offers_that_aiortc_itself_would_not_understand(served, offered):
    """What the standards allow is taken, though other peers write it otherwise."""
    publisher = Publisher(audio=True)
    await served.publish(publisher, offered)
    await publisher.close()


async def test_the_answer_does_not_take_up_a_phone_s_rotation(served):
    """A browser that offers to send the angle beside its pictures, and gets no such answer, turns them itself."""
    publisher, turned = Publisher(), "a=extmap:9 urn:3gpp:video-orientation\r\n"
    offer = (await publisher.offer()).replace("a=rtcp-mux\r\n", f"a=rtcp-mux\r\n{turned}")
    assert turned in offer
    status, _, answer = await served.ask("POST", data=offer, **SDP, **AUTH)
    assert (status, "a=extmap:" in answer, "video-orientation" in answer) == (201, True, False)
    await publisher.close()


async def test_methods_and_origins(served):
    """RFC 9725: 405 for what is reserved, PATCH too, since there is no trickle ICE; CORS for listed origins alone."""
    session = "whip/cannes/phone/none"
    for method, path, allowed in [
        ("GET", "whip/cannes/phone", "POST, OPTIONS"),
        ("PUT", "whip/cannes/phone", "POST, OPTIONS"),
        ("PATCH", session, "DELETE, OPTIONS"),
        ("POST", session, "DELETE, OPTIONS"),
        ("POST", "api/cannes/phone", "GET, OPTIONS"),
        ("POST", "", "GET, HEAD"),
    ]:
        status, headers, _ = await served.ask(method, path, **AUTH)
        assert (status, headers["Allow"]) == (405, allowed)
    status, headers, _ = await served.ask("OPTIONS", Origin=FRIEND)
    assert (status, headers["Accept-Post"]) == (200, "application/sdp")
    assert headers["Access-Control-Allow-Origin"] == FRIEND
    assert headers["Access-Control-Expose-Headers"] == "Location, ETag, Link"
    assert "PATCH" in headers["Access-Control-Allow-Methods"]  # else a browser shows no 405, but a failed preflight
    status, headers, _ = await served.ask("POST", Origin="https://elsewhere.example.org")
    assert "Access-Control-Allow-Origin" not in headers


async def test_a_guesser_is_slowed_down(served):
    """Ten wrong tokens a minute, also for cameras that don't exist; who has the right one never waits for a guesser."""
    for path in ["whip/cannes/phone", "api/cannes/none"] * 5:
        assert (await served.ask("POST" if "whip" in path else "GET", path, Authorization="Bearer x"))[0] in {401, 404}
    status, headers, _ = await served.ask("POST", "whip/cannes/phone", Authorization="Bearer x")
    assert status == 429
    assert 0 < int(headers["Retry-After"]) <= 60
    assert [(await served.ask("GET", "api/cannes/phone", **AUTH))[0] for _ in range(3)] == [200] * 3


async def test_who_offers_all_the_time_is_slowed_down(served, monkeypatch):
    """Each offer is work and takes the seat for a while: sixty a minute to a camera; one that does not come is 408."""
    monkeypatch.setattr(whip_server, "BODY_S", 1.0)

    async def drips():
        yield b"v=0"
        await asyncio.sleep(LIMIT_S)

    assert (await served.ask("POST", data=drips(), **AUTH, **SDP))[0] == 408
    assert {(await served.ask("POST", data="x", **AUTH, **SDP))[0] for _ in range(59)} == {400}
    status, headers, text = await served.ask("POST", data="x", **AUTH, **SDP)
    assert (status, "offers" in text) == (429, True)
    assert 0 < int(headers["Retry-After"]) <= 60


async def test_the_page_shows_its_own_address_as_a_code(served):
    """A phone scans it off a computer's screen: the address that people type, whatever the browser's own is."""
    status, headers, drawn = await served.ask("GET", "phone.svg")
    assert (status, headers["Content-Type"]) == (200, "image/svg+xml; charset=utf-8")
    expected = io.BytesIO()
    segno.make(served.server.url, micro=False).save(expected, kind="svg", xmldecl=False, omitsize=True, light="#fff")
    assert drawn == expected.getvalue().decode()
    assert (await served.ask("POST", "phone.svg"))[0] == 405


async def test_the_page_comes_with_strict_headers(served):
    """And nothing but the page's files is served."""
    status, headers, text = await served.ask("GET", "")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<html" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    for path in ("__init__.py", "..%2fsettings.py", "page/index.html", "index.htm"):
        assert (await served.ask("GET", path))[0] == 404


async def test_nobody_holds_all_connections(served, monkeypatch):
    """Who only connects, never ends a request or reads no answer is let go; beyond the bound nobody comes in."""
    for name, value in [("MAX_CONNECTIONS", 10), ("HANDSHAKE_S", 3.0), ("UNREAD_S", 2.0)]:
        monkeypatch.setattr(listener, name, value)
    monkeypatch.setattr(listener, "IDLE_S", 3.0)
    other = WebServer(served.app, WebSettings(host="127.0.0.1", port=0), served)
    await other.start()
    address = "127.0.0.1", urlsplit(other.url).port
    async with asyncio.timeout(2 * LIMIT_S):
        held = [await asyncio.open_connection(*address, ssl=secured) for secured in [None] * 8 + [anybody()] * 2]
        held[-1][1].write(b"GET / HTTP/1.1\r\nHost: ")
        await refused(address)
        for reader, writer in held:
            assert await reader.read() == b""
            writer.close()
        # The server forgets a connection a moment after its end.
        reader, writer = await until(partial(asyncio.open_connection, *address, ssl=anybody()), ignoring=(OSError,))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000)  # and reads none of it
        await until(lambda: not other._runner.server.connections, "nobody is connected")
        writer.close()
    await other.stop()


async def test_a_request_that_is_no_http_is_not_logged(served, caplog):
    """It is answered; the line that is wrong may be the one with the token."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(served.server.url).port, ssl=anybody())
    writer.write(f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\0\r\n\r\n".encode())
    assert b" 400 " in await asyncio.wait_for(reader.readline(), LIMIT_S)
    writer.close()
    assert caplog.text == ""


def anybody():
    """TLS with a server whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def refused(address):
    """A connection is closed before a word is said."""
    reader, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()


async def shown_by(served):
    """The fingerprint of what a new connection is shown."""
    address = "127.0.0.1", urlsplit(served.server.url).port
    _, writer = await asyncio.open_connection(*address, ssl=anybody())
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return hashlib.sha256(shown).hexdigest().upper()


async def test_a_certificate_is_renewed_while_a_peer_publishes(tmp_path, capsys, monkeypatch):
    """New connections see the new one, which the log tells; the session goes on, and so does the connection kept open.
    A broken one changes nothing."""
    configure("ingest")
    only_these(monkeypatch)
    authority = Authority()
    secret = Volume(tmp_path / "tls", pem=authority.issue("127.0.0.1"))
    async with serving(certificate=secret.pem, key=secret.pem) as served:
        publisher = Publisher()
        session = await served.publish(publisher)
        before = await shown_by(served)
        secret.put(pem=authority.issue("127.0.0.1", ends=ENDS))
        after = await shown_by(served)
        assert before != after == served.server.fingerprint.replace(":", "")
        secret.put(pem=b"nothing")
        assert await shown_by(served) == after
        labels = {"use": "whip", "side": "own"}
        assert REGISTRY.get_sample_value("moretta_certificate_expiry_timestamp_seconds", labels) == ENDS.timestamp()
        for _ in range(3):
            assert await served.picture() == (320, 180)
        assert (await served.ask("DELETE", session, **AUTH))[0] == 200
        await publisher.close()
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    pages = [line["fingerprint"] for line in told if line["event"] == "camera page"]
    assert [page.replace(":", "") for page in pages] == [before, after]


async def test_a_port_in_use_is_named(served):
    """The operator's mistake, by the path of the setting; nothing is left open."""
    port = int(served.server.url.rstrip("/").rpartition(":")[2])
    other = WebServer(served.app, WebSettings(host="127.0.0.1", port=port), served)
    with pytest.raises(StartError, match=rf"ingest\.web\.port: cannot listen on 127\.0\.0\.1:{port}: .* or 0"):
        await other.start()


def binding(username, password, *, priority=True):
    """A request for a peer's socket, as an ICE agent sends it."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    if priority:
        message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    if password is not None:
        message.add_message_integrity(password.encode())
    return bytes(message)


async def all_read(served):
    """Wait until ingest has read what came to its sockets before: 10 more pictures came after it."""
    before = served.phone.stats().pictures
    await until(lambda: served.phone.stats().pictures > before + 10)


def received(stranger):
    """All that came to a socket so far."""
    data = []
    with contextlib.suppress(BlockingIOError):
        while True:
            data.append(stranger.recv(65_536))
    return data


async def test_who_does_not_prove_the_password_gets_no_answer(served, caplog, monkeypatch):
    """Neither an error, nor a check, nor a place in a queue, whatever comes: no integrity, a wrong password, more."""
    publisher = Publisher()
    await served.publish(publisher)
    ((_, kept),) = served.server._whip._sessions.items()
    agent, queued = ice_of(kept), []
    take = agent.data_received
    monkeypatch.setattr(agent, "data_received", lambda data, component: (queued.append(data), take(data, component)))
    ((host, port),) = [(one.host, one.port) for one in agent.local_candidates]
    ours, theirs = agent.local_username, agent.remote_username
    large = binding(f"{ours}:{theirs}", agent.local_password + "x")
    bad = [
        binding(f"{ours}:{theirs}", None),
        binding(f"{ours}:{theirs}", "wrong" * 5),
        binding(f"none:{theirs}", agent.local_password),
        binding(f"{ours}:{theirs}", agent.local_password, priority=False),
        large[:2] + struct.pack("!H", 60_000) + large[4:20] + bytes(60_000),
        b"\x00\x03" + large[2:], b"\x01\x01" + large[2:], b"\x01\x11" + large[2:],
        b"\x16\xfe\xfd" + bytes(1000), b"\x80\x60" + bytes(1000), b"\x80\xc8" + bytes(100),
    ]  # fmt: skip
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for data in bad * 20:
            stranger.sendto(data, (host, port))
        await all_read(served)
        assert received(stranger) == []
        assert stranger.getsockname()[1] not in [one.port for one in agent.remote_candidates]
    assert set(bad).isdisjoint(queued)
    assert queued  # the peer's own
    assert [one.msg for one in caplog.records if one.levelname == "ERROR"] == []
    await publisher.close()


async def test_a_forged_source_gets_little(served, monkeypatch):
    """An address that never answers gets three times the bytes of what it seems to have sent, at most (ADR 13)."""
    publisher = Publisher()
    await served.publish(publisher)
    ((_, kept),) = served.server._whip._sessions.items()
    agent = ice_of(kept)
    monkeypatch.setattr(stun, "RETRY_RTO", 0.01)  # aioice's seven tries, in less than two seconds
    ((host, port),) = [(one.host, one.port) for one in agent.local_candidates]
    request = binding(f"{agent.local_username}:{agent.remote_username}", agent.local_password)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.setblocking(False)
        victim.bind((host, 0))
        victim.sendto(request, (host, port))
        await until(lambda: checked(agent, victim), "the check has failed")
        got = received(victim)
    print(f"{len(request)} bytes sent, {sum(map(len, got))} received in {len(got)} datagrams")
    assert got
    assert sum(map(len, got)) <= FACTOR * len(request)
    assert kept.encoded.closed is None
    await publisher.close()


def checked(agent, victim):
    """Whether the check of this address is over."""
    states = [pair.state for pair in agent._check_list if pair.remote_addr == victim.getsockname()]
    return states == [aioice.ice.CandidatePair.State.FAILED]


async def test_an_offer_makes_us_send_little_to_whom_it_names(served, monkeypatch):
    """An address of an offer that never answers gets 512 bytes at most; the 17th, and a cloud's, get nothing."""
    monkeypatch.setattr(stun, "RETRY_RTO", 0.01)
    publisher = Publisher()
    with contextlib.ExitStack() as stack:
        victims = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(17)]
        for victim in victims:
            victim.setblocking(False)
            victim.bind(("127.0.0.1", 0))
        hosts = ["169.254.169.254 4000", "::ffff:a9fe:a9fe 4000", "224.0.0.1 4000", "127.0.0.1 53"]
        places = [*hosts, *(f"127.0.0.1 {victim.getsockname()[1]}" for victim in victims)]
        lines = "".join(f"a=candidate:1 1 udp 2130706431 {place} typ host\r\n" for place in places)
        offer = re.sub(r"a=candidate:.*\r\n", "", await publisher.offer()).replace(
            "a=ice-ufrag", f"{lines}a=ice-ufrag", 1
        )
        status, headers, answer = await served.ask("POST", data=offer, **SDP, **AUTH)
        assert status == 201, answer
        ((_, kept),) = served.server._whip._sessions.items()
        agent = ice_of(kept)
        await until(lambda: all(checked(agent, victim) for victim in victims[:16]), "the checks have failed")
        got = [sum(map(len, received(victim))) for victim in victims]
        assert {one.host for one in agent.remote_candidates} == {"127.0.0.1"}
    print(f"bytes to each address that the offer names: {got}")
    assert all(0 < one <= OFFERED_BYTES for one in got[:16])
    assert got[16] == 0
    assert (await served.ask("DELETE", headers["Location"].removeprefix("/"), **AUTH))[0] == 200
    await publisher.close()


async def test_a_thousand_streams_of_a_peer_take_no_room(served, monkeypatch):
    """Each would be a record in libsrtp and in aiortc; the peer's own stream goes on.

    They come no faster than a peer may send, and than they are refused: else the peer's own packets were lost, too.
    One of them has taken another's place, and the next one may not before the test is over.
    """
    monkeypatch.setattr(ice, "NEW_STREAM_S", 1e6)
    publisher = Publisher()
    await served.publish(publisher)
    ((_, kept),) = served.server._whip._sessions.items()
    receiver = kept.peer._connection.getTransceivers()[0].receiver
    codec = kept.peer._connection.getTransceivers()[0]._codecs[0]
    transport = publisher.transceiver.sender.transport
    (candidates,) = kept.peer._candidates
    for ssrc in range(1, 1_001):
        packet = RtpPacket(payload_type=codec.payloadType, ssrc=ssrc, sequence_number=ssrc, payload=bytes(20))
        await transport._send_rtp(packet.serialize())
        if ssrc % 20 == 0:
            await asyncio.sleep(20 / (0.75 * PER_S["rtp"]))
            await until(lambda sent=ssrc: candidates.refused >= sent - MAX_STREAMS - 1, "refused", every_s=0.005)
    await all_read(served)
    assert len(receiver.transport._rtp_router.ssrc_table) <= MAX_STREAMS + 1 + 2  # those of the offer
    assert len(receiver.getSynchronizationSources()) <= MAX_STREAMS + 1
    assert kept.encoded.closed is None
    await publisher.close()


@given(st.lists(st.integers(0, 65_535) | st.integers(-140, 140), max_size=40), st.integers(0, 65_535))
def test_a_leap_costs_no_more_than_what_is_kept_of_it(numbers, first):
    """The same packets are missing as aiortc says, and none that it forgot; of a leap not each number is counted."""
    ours, theirs, last, counted = rtc.MissingPackets(), rtc._Nacks(), first, []
    for number in [0, *numbers]:
        packet = RtpPacket(sequence_number=(last + number) % 65_536 if number < 141 else number)
        last = packet.sequence_number
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aiortc.rtcrtpreceiver, "uint16_add", lambda a, b: (counted.append(1), (a + b) & 0xFFFF)[1])
            said = ours.add(packet)
        assert said == theirs.add(packet)
        assert ours.max_seq == theirs.max_seq
        assert ours.missing == {one for one in theirs.missing if (theirs.max_seq - one) & 0xFFFF <= 128}
    assert len(counted) <= (len(numbers) + 1) * 131


def test_aiortc_is_the_one_that_was_patched():
    """What `services.ingest.web.rtc` replaces or reaches into is as it was read; else read it again (ADR 13)."""
    assert [version(name).rpartition(".")[0] for name in ("aiortc", "aioice")] == ["1.16", "0.13"]
    assert list(inspect.signature(rtc._decoder_worker).parameters) == ["loop", "input_q", "output_q", "decode_error"]
    receive = inspect.getsource(aiortc.rtcrtpreceiver.RTCRtpReceiver.receive)
    for part in ("target=decoder_worker", "self.__decoder_queue", "self._track._queue", "self.__decoder_error"):
        assert part in receive
    handle = inspect.getsource(aiortc.rtcrtpreceiver.RTCRtpReceiver._handle_rtp_packet)
    assert "self.__decoder_error.is_set()" in handle  # a picture loss indication is sent
    assert list(inspect.signature(rtc._create_ssl_context).parameters) == ["self", "srtp_profiles"]
    queue = datagrams.Datagrams(RemoteCandidates("name"))
    for size in [0, 2049] * 2_000 + [1, 2048] * 1_000:
        queue.put_nowait((bytes(size), 1))
    queue.put_nowait(None)
    assert queue.qsize() == 1025
    assert "ECDHE-RSA" not in inspect.getsource(rtc._create_ssl_context)  # else our cipher list is needless


def test_aioice_is_the_one_that_was_patched():
    """All that comes and goes passes the socket that is replaced, and a request is found by its identity."""
    socket_of, parts = inspect.getsource(datagrams.Theirs), aioice.ice.Connection
    assert "lambda: StunProtocol(self)" in inspect.getsource(parts.get_component_candidates)
    for part in (
        "self.receiver.request_received(message, addr, self)",
        "self.receiver.data_received(data, self.local_candidate.component)",
        "transaction.response_received(message, addr)",
        "self.transactions[request.transaction_id] = transaction",
        "del self.transactions[request.transaction_id]",
    ):
        assert part in socket_of
    assert list(inspect.signature(datagrams.Theirs.request).parameters) == [
        "self", "request", "addr", "integrity_key", "retransmissions",
    ]  # fmt: skip
    assert list(inspect.signature(datagrams.Theirs.send_stun).parameters) == ["self", "message", "addr"]
    assert "self.__protocol.send_stun(self.__request, self.__addr)" in inspect.getsource(stun.Transaction)
    for name in ("request_received", "respond_error"):
        assert "protocol.send_stun(response, addr)" in inspect.getsource(getattr(parts, name))
    assert 'message.attributes["PRIORITY"]' in inspect.getsource(parts.check_incoming)  # else we need not look at it
    assert "self._queue.put_nowait((data, component))" in inspect.getsource(parts.data_received)
    assert "NackGenerator()" in inspect.getsource(aiortc.rtcrtpreceiver.RTCRtpReceiver.__init__)
    assert RTP_HISTORY_SIZE == 128
    for second in range(256):
        data = bytes([128, second]) + bytes(12)
        assert (kind_of(data) == "rtcp") == is_rtcp(data)
