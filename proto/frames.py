"""What ingest and inference say to each other in the account MORETTA_FRAMES (ADR 14, ADR 23).

A frame's pixels travel sealed with AES-256-GCM: without the frame key of that second they are noise. None of these
messages is ever stored.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from proto.types import (
    Box,
    CameraId,
    Duration,
    Fraction,
    Key32,
    Length,
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
Proof = Annotated[bytes, Meta(min_length=16, max_length=16)]
Outcome = Literal["done", "busy", "late", "no-key", "invalid", "failed"]
NoVerdict = Literal["too-small", "unsure"]


class FrameV1(Struct, frozen=True, tag="FrameV1", kw_only=True):
    """One sampled picture: planar I420 of `width` x `height`, sealed."""

    site: SiteId
    camera: CameraId
    lease: Sequence
    sequence: Sequence
    at: Nanoseconds
    """Event time: ingest's UTC at arrival."""
    age: Duration
    """How old the picture was when it was sent, since `decode()` returned it; a duration, so no clock crosses hosts."""
    budget: Duration
    """How long the picture may live, from `decode()` to the reply: 100 ms for a camera, longer for a recorded file."""
    period: Duration
    """The time between two samples of this camera."""
    width: Pixels
    height: Pixels
    key: KeyId
    key_age: Duration
    """How old the key was when the picture was sealed: a worker that has the key can tell how long ago that was."""
    nonce: Nonce
    sealed: memoryview
    """Ciphertext and 16-byte tag: width * height * 3 / 2 + 16 bytes. Decoding aliases the received buffer."""
    aim: bool = False
    """Whether the reply is to tell the picture's quality: an operator is aiming this camera."""


class FaceQualityV1(Struct, frozen=True):
    """One face's place and size, and why it got no verdict; never the verdict."""

    box: Box
    size: Length
    """The root of the box's area, in pixels of the analysed picture."""
    unknown: NoVerdict | None = None


class FrameQualityV1(Struct, frozen=True, kw_only=True):
    """How good a picture is for finding faces. Only for frames with `aim`, in the account MORETTA_FRAMES."""

    brightness: Fraction
    """Mean luma: 0 black, 1 white."""
    dark: Fraction
    """Share of pixels that are nearly black."""
    clipped: Fraction
    """Share of pixels that are white."""
    sharpness: Fraction | None
    """Energy of the Laplacian over eight times the energy of the gradient: 0 smooth, 1 finest checks; in sharp pictures
    0.15 to 0.35. None without any contrast. See services.inference.core.picture_quality."""
    smallest: Length
    """The smallest face that this model judges, in pixels of the analysed picture."""
    faces: list[FaceQualityV1] = []


class FrameReplyV1(Struct, frozen=True, tag="FrameReplyV1", kw_only=True):
    """What became of a frame. Sent after its pixels were overwritten, whatever the outcome."""

    outcome: Outcome
    worker: WorkerId
    service_ms: Milliseconds = 0.0
    """Time from taking the frame to overwriting it; 0 where it was not taken."""
    quality: FrameQualityV1 | None = None
    """Where the frame asked for it by `aim`."""
    proof: Proof | None = None
    """HMAC-SHA256 of the outcome under the frame's key, 16 bytes: only who holds it can say so. None without it."""


class WorkerV1(Struct, frozen=True, tag="WorkerV1", kw_only=True):
    """An inference worker's announcement: the X25519 key it wants frame keys for, signed by the inference identity."""

    site: SiteId
    worker: WorkerId
    public_key: Key32
    at: Nanoseconds
    signature: Signature
    """Ed25519 over the fields above (see services.frames.sealing)."""
    names: bool = False
    """Whether this worker opens keys whose wrapping key is derived from site and worker, too. Unsigned, since an ingest
    of before checks the signature without it; the older derivation is bound to both by its associated data alone."""


class FrameKeyV1(Struct, frozen=True, tag="FrameKeyV1", kw_only=True):
    """One second's frame key, wrapped for one worker (X25519, HKDF-SHA256, AES-256-GCM), signed by ingest."""

    site: SiteId
    worker: WorkerId
    key: KeyId
    age: Duration
    """How old the key was when it was wrapped."""
    waited: Duration
    """How long ago the worker's announcement had come by then. Both are durations: no clock crosses hosts."""
    ephemeral: Key32
    wrapped: WrappedKey
    signature: Signature
    """Ed25519 by the ingest identity over the other fields: a worker opens no picture of anybody else."""
