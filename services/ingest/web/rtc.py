"""A publishing WebRTC peer, with aiortc: ICE, DTLS, SRTP and RTP are its work, decoding is not (ADR 13).

`install` replaces two functions of aiortc and one of aioice, and nothing else of them is changed:

- `rtcrtpreceiver.decoder_worker`, the thread that decodes into an unbounded queue: ours hands the encoded frames on.
- `RTCCertificate._create_ssl_context`, which knows ECDSA peers only: ours adds the suites of RSA peers (GStreamer's).
- `stun.parse_message`, which fails with another error than its callers expect where an attribute has a wrong length.
"""

import asyncio
import queue
import struct
import threading
from typing import Any

from aioice import stun
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpTransceiver,
    RTCSessionDescription,
    rtcrtpreceiver,
)
from aiortc.rtcdtlstransport import RTCCertificate

from services.ingest.core.encoded import Codec
from services.ingest.core.presence import Presence
from services.ingest.core.sdp import OfferError, announcing, held, spelled_out, with_addresses_only
from services.ingest.peer import EncodedQueue

STEP_S = 0.25
_MOST_DATAGRAMS = 1024
_LARGEST_DATAGRAM = 2048
_MOST_STREAMS = 16
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
_parse_message = stun.parse_message


def install() -> None:
    """Put our functions in the place of theirs; again does nothing."""
    rtcrtpreceiver.decoder_worker = hand_on  # type: ignore[assignment]  # other names of the parameters
    RTCCertificate._create_ssl_context = _context_for_rsa_too  # type: ignore[method-assign,assignment]  # noqa: SLF001
    stun.parse_message = _parsed


def hand_on(
    loop: asyncio.AbstractEventLoop, frames: "queue.Queue[Any]", track: Any, key_wanted: threading.Event
) -> None:
    """Hand depacketised frames to the EncodedQueue that is in the track's place, and never wait.

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


def _parsed(data: bytes) -> stun.Message:
    """A STUN message; ValueError, which aioice expects, if it is none: what anybody may send must not reach the log."""
    try:
        return _parse_message(data)
    except struct.error:
        raise ValueError("a STUN attribute has a wrong length") from None


class Datagrams(asyncio.Queue[Any]):
    """aioice's queue of received datagrams, with a bound: what comes while it is full is lost, as UDP may be.

    Anybody may send to the socket, and aioice asks nobody who they are: an empty datagram would end the connection.
    """

    def put_nowait(self, item: Any) -> None:
        """Put, or drop; None, which says that the connection is closed, always finds room."""
        if item is None or (0 < len(item[0]) <= _LARGEST_DATAGRAM and self.qsize() < _MOST_DATAGRAMS):
            super().put_nowait(item)


class PeerConnection:
    """One peer, from its offer to its end. Everything belongs to the loop; it is over when `encoded` is closed."""

    def __init__(self, encoded: EncodedQueue, addresses: list[str]) -> None:
        self._encoded, self._addresses = encoded, addresses
        # Without servers nobody outside is asked for our address: aiortc's default is one of Google's.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._last: Any = None
        self._closing: asyncio.Task[None] | None = None

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
        text = spelled_out(with_addresses_only(offer))
        await self._connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        for transceiver in self._connection.getTransceivers():
            ice = transceiver.receiver.transport.transport._connection  # noqa: SLF001 - the only way to bound it
            ice._queue = Datagrams()  # noqa: SLF001
            if transceiver.kind == "audio":
                transceiver.direction = "inactive"
        video.receiver.track._queue = self._encoded  # type: ignore[attr-defined]  # noqa: SLF001 - decoder_worker's argument

    async def watch(self) -> None:
        """Close `encoded` when the peer is gone or sends nothing of use any more; returns when it is closed."""
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
        """Take the connection down: peers notice at once, and what they sent that was not handed on is dropped."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="close a peer")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self._connection.close(), _CLOSE_LIMIT_S)
        except TimeoutError:  # a task of aiortc's has failed, and it waits for that one
            for receiver in self._connection.getReceivers():
                await receiver.transport.transport._connection.close()  # noqa: SLF001 - all else ends with its sockets
        finally:
            self._drop()

    def _drop(self) -> None:
        """Drop what aiortc would keep until the garbage collector comes to its cycle of references."""
        for receiver in self._connection.getReceivers():
            packets = receiver._RTCRtpReceiver__jitter_buffer  # type: ignore[attr-defined]  # noqa: SLF001
            if packets._origin is not None:  # noqa: SLF001 - None until the first packet
                packets.remove(packets.capacity)
            datagrams = receiver.transport.transport._connection._queue  # noqa: SLF001
            while not datagrams.empty():
                datagrams.get_nowait()
            datagrams.put_nowait(None)  # whoever waits for one hears that no more will come

    def _has_sent(self) -> bool:
        """Whether a packet of video came since the last time."""
        receiver = next(t.receiver for t in self._connection.getTransceivers() if t.kind == "video")
        sources = receiver.getSynchronizationSources()
        if len(sources) > _MOST_STREAMS:
            self._encoded.close("other", "the peer sends more streams than it offered")
        before, self._last = self._last, max((one.timestamp for one in sources), default=self._last)
        return bool(self._last != before)


def _preferred(codec: Codec) -> list[Any]:
    """The codec alone, so that it can't change on the way, and its retransmission."""
    known = RTCRtpReceiver.getCapabilities("video")
    assert known is not None
    return [one for one in known.codecs if one.mimeType in {_MIME[codec], "video/rtx"}]
