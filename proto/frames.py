"""What ingest and inference say to each other in the account FRAMES (design §1.3, §6).

A frame's pixels travel sealed with AES-256-GCM: without the frame key of that second they are noise. None of these
messages is ever stored.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.types import (
    CameraId,
    Duration,
    Key32,
    Milliseconds,
    Nanoseconds,
    Pixels,
    Sequence,
    SiteId,
    WorkerId,
)

Nonce = Annotated[bytes, Meta(min_length=12, max_length=12)]
KeyId = Annotated[bytes, Meta(min_length=8, max_length=8)]
Signature = Annotated[bytes, Meta(min_length=64, max_length=64)]
WrappedKey = Annotated[bytes, Meta(min_length=48, max_length=48)]
Outcome = Literal["done", "busy", "late", "no-key", "invalid", "failed"]


class FrameV1(Struct, frozen=True, tag="FrameV1", kw_only=True):
    """One sampled picture: planar I420 of `width` x `height`, sealed."""

    site: SiteId
    camera: CameraId
    lease: Sequence
    sequence: Sequence
    at: Nanoseconds
    """Event time: ingest's UTC at arrival (design §5)."""
    age: Duration
    """How old the picture was when it was sent, since `decode()` returned it; a duration, so no clock crosses hosts."""
    budget: Duration
    """How long the picture may live, from `decode()` to the reply: 100 ms for a camera, longer for a recorded file."""
    period: Duration
    """The time between two samples of this camera."""
    width: Pixels
    height: Pixels
    key: KeyId
    nonce: Nonce
    sealed: memoryview
    """Ciphertext and 16-byte tag: width * height * 3 / 2 + 16 bytes. Decoding aliases the received buffer."""


class FrameReplyV1(Struct, frozen=True, tag="FrameReplyV1", kw_only=True):
    """What became of a frame. Sent after its pixels were overwritten, whatever the outcome."""

    outcome: Outcome
    worker: WorkerId
    service_ms: Milliseconds = 0.0
    """Time from taking the frame to overwriting it; 0 where it was not taken."""


class WorkerV1(Struct, frozen=True, tag="WorkerV1", kw_only=True):
    """An inference worker's announcement: the X25519 key it wants frame keys for, signed by the inference identity."""

    site: SiteId
    worker: WorkerId
    public_key: Key32
    at: Nanoseconds
    signature: Signature
    """Ed25519 over the other fields (see services.sealing)."""


class FrameKeyV1(Struct, frozen=True, tag="FrameKeyV1", kw_only=True):
    """One second's frame key, wrapped for one worker (X25519, HKDF-SHA256, AES-256-GCM)."""

    site: SiteId
    worker: WorkerId
    key: KeyId
    ephemeral: Key32
    wrapped: WrappedKey
