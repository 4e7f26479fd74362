"""A publishing WebRTC peer, with aiortc, which does ICE, DTLS, SRTP and RTP, but no decoding (ADR 13).

`install` replaces two functions of aiortc, and one class of it and one of aioice by subclasses. Nothing else changes:

- `rtcrtpreceiver.decoder_worker`, the thread that decodes into an unbounded queue: ours hands the encoded frames on.
- `RTCCertificate._create_ssl_context`, which knows only ECDSA peers: ours adds the suites of RSA peers (GStreamer's).
- `rtcrtpreceiver.NackGenerator`, which counts up to a far sequence number one by one: ours skips what it would forget.
- `ice.StunProtocol`, a socket that hears and answers everybody: ours asks `RemoteCandidates` before it reads or sends.
"""

import asyncio
import queue
import threading
from typing import Any

from aioice import ice
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
    rtcrtpreceiver,
)
from aiortc.rtcdtlstransport import RTCCertificate
from aiortc.rtp import RTP_HISTORY_SIZE, RtpPacket

from services.ingest.core.ice import RemoteCandidates
from services.ingest.core.reconnect import Presence
from services.ingest.core.sdp import (
    Codec,
    OfferError,
    announcing,
    candidates_of,
    held,
    spelled_out,
    with_addresses_only,
)
from services.ingest.sources.peer import EncodedQueue
from services.ingest.web.datagrams import Datagrams, PeerSocket

STEP_S = 0.25
_CLOSE_LIMIT_S = 2.0
_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
    b":ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    b":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
    b":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
)
_MIME: dict[Codec, str] = {"h264": "video/H264", "vp8": "video/VP8"}

_decoder_worker = rtcrtpreceiver.decoder_worker
_create_ssl_context = RTCCertificate._create_ssl_context  # noqa: SLF001 - the patch point
_Nacks = rtcrtpreceiver.NackGenerator


def install() -> None:
    """Install our functions and classes in place of theirs; a second call does nothing."""
    rtcrtpreceiver.decoder_worker = hand_on  # type: ignore[assignment]  # other names of the parameters
    RTCCertificate._create_ssl_context = _context_for_rsa_too  # type: ignore[method-assign,assignment]  # noqa: SLF001
    rtcrtpreceiver.NackGenerator = MissingPackets  # type: ignore[misc]
    ice.StunProtocol = PeerSocket  # type: ignore[misc]


def hand_on(
    loop: asyncio.AbstractEventLoop, frames: "queue.Queue[Any]", track: Any, key_wanted: threading.Event
) -> None:
    """Hand depacketised frames to the EncodedQueue that stands in for the track, and never wait for room.

    aiortc sends a picture loss indication with the next packet after `key_wanted` was set.
    """
    if not isinstance(track, EncodedQueue):  # a connection that isn't ours
        _decoder_worker(loop, frames, track, key_wanted)
        return
    track.on_key_wanted(key_wanted.set)
    while (task := frames.get()) is not None:
        _, frame = task
        track.offer(frame.data, frame.timestamp)
    track.close("end-of-stream", "the peer ended its stream")


def _context_for_rsa_too(certificate: RTCCertificate, *args: Any, **more: Any) -> Any:
    context = _create_ssl_context(certificate, *args, **more)
    context.set_cipher_list(_CIPHERS)
    return context


class MissingPackets(_Nacks):
    """The packets to ask for again: of a leap in the sequence numbers only the last 128, which are all that is kept."""

    def add(self, packet: RtpPacket) -> bool:
        """Record a packet; return whether others are missing before it."""
        number = packet.sequence_number
        if self.max_seq is not None and RTP_HISTORY_SIZE < (number - self.max_seq) & 0xFFFF < 0x8000:
            self.max_seq = (number - RTP_HISTORY_SIZE - 1) & 0xFFFF
            self.missing.clear()
        return super().add(packet)


class PeerConnection:
    """One peer, from its offer to its end. Use it only on the loop; it ends when `encoded` is closed."""

    def __init__(self, encoded: EncodedQueue, addresses: list[str], *, link_local: bool = False) -> None:
        """`addresses` are told in place of the machine's own; with `link_local` the peer may have a link-local one."""
        self._encoded, self._addresses, self._link_local = encoded, addresses, link_local
        # Without servers no outside host is asked for our address: aiortc's default is one of Google's.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._last: Any = None
        self._closing: asyncio.Task[None] | None = None
        self._candidates: list[RemoteCandidates] = []

    async def answer(self, offer: str) -> str:
        """Return the answer, with all candidates; OfferError if the offer can't be answered."""
        video = self._connection.addTransceiver("video", direction="recvonly")
        video.setCodecPreferences(_preferred(self._encoded.codec))
        try:
            await self._accept(offer, video)
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # aiortc fails in many ways
            raise OfferError(406 if "parameters" in str(error) else 400, "the offer can't be read or used") from None
        return announcing(held(self._connection.localDescription.sdp, self._encoded.codec), self._addresses)

    async def _accept(self, offer: str, video: RTCRtpTransceiver) -> None:
        text = spelled_out(with_addresses_only(offer, link_local=self._link_local))
        await self._connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        for transceiver in self._connection.getTransceivers():
            agent = transceiver.receiver.transport.transport._connection  # noqa: SLF001 - the only way to bound it
            candidates = RemoteCandidates(agent.local_username, candidates_of(text), link_local=self._link_local)
            agent._queue = Datagrams(candidates)  # noqa: SLF001
            self._candidates.append(candidates)
            if transceiver.kind == "audio":
                transceiver.direction = "inactive"
        video.receiver.track._queue = self._encoded  # type: ignore[attr-defined]  # noqa: SLF001 - decoder_worker's argument

    @property
    def refused(self) -> int:
        """How many datagrams were dropped unread: a flood, or more than a peer may send."""
        return sum(candidates.refused for candidates in self._candidates)

    async def watch(self) -> None:
        """Close `encoded` when the peer is gone or sends nothing useful any more; return when it is closed."""
        loop = asyncio.get_running_loop()
        presence = Presence(loop.time())
        while self._encoded.closed is None:
            await asyncio.sleep(STEP_S)
            gone = presence.judge(loop.time(), heard=self._has_sent(), frames=self._encoded.accepted)
            if gone is not None:
                self._encoded.close(*gone)
            elif self._connection.connectionState == "failed":
                self._encoded.close("timeout", "the connection to the peer failed")
            elif self._connection.connectionState == "closed":
                self._encoded.close("end-of-stream", "the peer closed the connection")

    async def close(self) -> None:
        """Close the connection: the peer notices at once, and its data that was not handed on is dropped."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="close a peer")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self._connection.close(), _CLOSE_LIMIT_S)
        except TimeoutError:  # one of aiortc's tasks has failed, and aiortc waits for it
            for receiver in self._connection.getReceivers():
                await receiver.transport.transport._connection.close()  # noqa: SLF001 - all else ends with its sockets
        finally:
            self._drop()

    def _drop(self) -> None:
        """Drop the data that aiortc would keep until the garbage collector reaches its cycle of references."""
        for receiver in self._connection.getReceivers():
            packets = receiver._RTCRtpReceiver__jitter_buffer  # type: ignore[attr-defined]  # noqa: SLF001
            if packets._origin is not None:  # noqa: SLF001 - None until the first packet
                packets.remove(packets.capacity)
            datagrams = receiver.transport.transport._connection._queue  # noqa: SLF001
            while not datagrams.empty():
                datagrams.get_nowait()
            datagrams.put_nowait(None)  # this tells a waiting reader that no more will come

    def _has_sent(self) -> bool:
        """Whether a packet of video came since the last call."""
        receiver = next(t.receiver for t in self._connection.getTransceivers() if t.kind == "video")
        sources = receiver.getSynchronizationSources()
        before, self._last = self._last, max((one.timestamp for one in sources), default=self._last)
        return bool(self._last != before)


def _preferred(codec: Codec) -> list[Any]:
    """Return only this codec and its retransmission, so that the codec can't change during the session."""
    known = RTCRtpReceiver.getCapabilities("video")
    assert known is not None
    return [one for one in known.codecs if one.mimeType in {_MIME[codec], "video/rtx"}]
