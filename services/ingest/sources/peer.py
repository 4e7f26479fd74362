"""A camera that a WebRTC peer publishes to: a slot for one peer, and a queue of encoded frames for the decoder.

Encoded frames wait in one small queue while the decoder handles earlier ones. When the queue overflows, all its frames
are dropped and the peer is asked for a key frame, so that latency cannot grow (ADR 13).
"""

from __future__ import annotations  # PyAV's Packet is generic for type checkers only

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self, cast

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from proto.types import CameraReason
from services.ingest.core.sdp import Codec, is_key
from services.ingest.sources.address import Address, SourceError

MAX_FRAMES = 16
MAX_BYTES = 4 * 1024 * 1024
_ASK_AGAIN_NS = 500_000_000
_CLOCK = Fraction(1, 90_000)
PEER = Address("peer", "whip://", "the peer")


class EncodedQueue:
    """One peer's encoded frames, oldest first. `offer` belongs to one thread, `take` to another."""

    def __init__(
        self,
        codec: Codec,
        *,
        on_close: Callable[[], None],
        on_drop: Callable[[int], None] = lambda _: None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.codec: Codec = codec
        self._on_close, self._on_drop, self._clock = on_close, on_drop, clock
        self._changed = threading.Condition()
        self._frames: deque[tuple[bytes, int, bool]] = deque()
        self._bytes = 0
        self._needs_key = True
        self._ask: Callable[[], None] | None = None
        self._asked_ns: int | None = None
        self._end: SourceError | None = None
        self.accepted = 0
        """How many frames have been appended so far."""

    def on_key_wanted(self, ask: Callable[[], None]) -> None:
        """Set the function that asks the peer for a key frame; any thread may call that function."""
        self._ask = ask

    def offer(self, data: bytes, timestamp: int) -> None:
        """Append a frame, or drop it: after an overflow all frames are dropped up to the next key frame.

        An empty frame is ignored: for a decoder it would mean the end of the stream.
        """
        if not data:
            return
        key = is_key(self.codec, data)
        with self._changed:
            if self._end is not None:
                return
            dropped = self._make_room(len(data), key=key)
            if key or not self._needs_key:
                self._needs_key = False
                self._frames.append((data, timestamp, key))
                self._bytes += len(data)
                self.accepted += 1
                self._changed.notify()
            else:
                dropped += 1
        if dropped:
            self._on_drop(dropped)
            self.request_key_frame()

    def take(self) -> tuple[bytes, int, bool]:
        """Return the oldest frame as soon as there is one: data, time stamp (90 kHz), whether it is a key frame.

        SourceError with the reason when the peer is gone; its remaining frames are dropped.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._end is not None)
            if self._end is not None:
                raise self._end
            frame = self._frames.popleft()
            self._bytes -= len(frame[0])
            return frame

    def close(self, reason: CameraReason, message: str) -> None:
        """Close the queue and drop its frames; the first reason counts. Any thread may call it."""
        with self._changed:
            if self._end is not None:
                return
            self._end = SourceError(reason, message)
            self._frames.clear()
            self._bytes = 0
            self._changed.notify_all()
        self._on_close()

    @property
    def closed(self) -> SourceError | None:
        """Why the queue was closed; None while it is open."""
        return self._end

    def request_key_frame(self) -> None:
        """Ask the peer for a key frame, unless it was asked a moment ago. Any thread may call it."""
        now = self._clock()
        if self._ask is None or (self._asked_ns is not None and now - self._asked_ns < _ASK_AGAIN_NS):
            return
        self._asked_ns = now
        self._ask()

    def _make_room(self, size: int, *, key: bool) -> int:
        """Drop all that waits if there is no room, or if a fresh start makes it needless; returns how many."""
        is_full = len(self._frames) >= MAX_FRAMES or self._bytes + size > MAX_BYTES
        if not is_full:
            return 0
        dropped = len(self._frames)
        self._frames.clear()
        self._bytes = 0
        self._needs_key = not key
        return dropped


class PeerSlot:
    """A slot for one peer. The camera's thread waits at it; the WHIP endpoint takes it for a peer."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._queue: EncodedQueue | None = None
        self._is_waited_at = False

    @property
    def is_taken(self) -> bool:
        """Whether a peer has the slot and is still there."""
        queue = self._queue
        return queue is not None and queue.closed is None

    def take(self, queue: EncodedQueue) -> bool:
        """Give the slot to a peer; return False if another peer has it, or the camera isn't waiting for one."""
        with self._changed:
            if self._queue is not None or not self._is_waited_at:
                return False
            self._queue = queue
            self._changed.notify_all()
            return True

    def wait(self, leaving: threading.Event) -> PeerSource:
        """Wait for a peer, on the camera's thread; SourceError if the camera is paused or stopped before one came."""
        with self._changed:
            self._is_waited_at = True
            self._changed.wait_for(lambda: self._queue is not None or leaving.is_set())
            self._is_waited_at = False
            queue = self._queue
        if queue is None:
            raise SourceError("end-of-stream", "the camera was left before a peer came")
        return PeerSource(queue, self)

    def clear(self, message: str = "the camera let the peer go") -> None:
        """Disconnect the peer and wake the waiting thread; any thread may call it."""
        with self._changed:
            queue, self._queue = self._queue, None
            self._changed.notify_all()
        if queue is not None:
            queue.close("end-of-stream", message)


@dataclass(frozen=True)
class EncodedStream:
    """The properties of a peer's stream that a decoder needs."""

    codec_context: VideoCodecContext
    time_base: Fraction | None = _CLOCK


class PeerSource:
    """One peer as a source of packets, like `services.ingest.sources.source.Source`."""

    is_file = comes_at_once = False
    address = PEER

    def __init__(self, queue: EncodedQueue, peer_slot: PeerSlot) -> None:
        self._queue, self._peer_slot = queue, peer_slot
        self.stream = EncodedStream(av.CodecContext.create(queue.codec, "r"))

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Yield the packets until the peer is gone; SourceError says why."""
        while True:
            data, timestamp, key = self._queue.take()
            packet = cast("Packet[VideoStream]", Packet(data))
            packet.pts = packet.dts = timestamp
            packet.time_base = _CLOCK
            packet.is_keyframe = key
            yield packet
            del data, packet  # so that nothing keeps it while we wait for the next one

    def request_key_frame(self) -> None:
        """Ask the peer for a key frame."""
        self._queue.request_key_frame()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect the peer."""
        self._peer_slot.clear()
