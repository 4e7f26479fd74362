"""Sealing and opening one frame with AES-256-GCM (NIST SP 800-38D), in preallocated buffers."""

import contextlib
import hmac
import struct
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proto.frames import FrameV1, Outcome
from proto.subjects import FRAMES

TAG_BYTES = 16
PROOF_BYTES = 16
NONCE_BYTES = 12
_ZEROS = memoryview(bytes(1 << 20))


class SealError(ValueError):
    """A frame cannot be opened; the text says why, without any of its bytes."""


def associated_data(frame: FrameV1) -> bytes:
    """Return what the seal binds besides the pixels: all of a frame but its age, which grows with each retry."""
    numbers = (frame.lease, frame.sequence, frame.at, frame.budget, frame.period, frame.key_age)
    shape = struct.pack(">6QII?", *numbers, frame.width, frame.height, frame.aim)
    return shape + frame.key + FRAMES.of(frame).encode()


def i420_bytes(width: int, height: int) -> int:
    """Return the size of a planar 4:2:0 picture of 8 bits: three bytes for two pixels."""
    return width * height * 3 // 2


def seal_into(key: AESGCM, frame: FrameV1, pixels: memoryview) -> None:
    """Write ciphertext and tag of `pixels` into the frame's `sealed`, which is TAG_BYTES longer."""
    key.encrypt_into(frame.nonce, pixels, associated_data(frame), frame.sealed)


def check_form(frame: FrameV1, subject: str) -> None:
    """Raise SealError unless the frame came on its own subject, and width, height and the payload's length agree."""
    if subject != FRAMES.of(frame):
        raise SealError("it is another camera's")
    if frame.width % 4 or frame.height % 4:
        raise SealError(f"{frame.width}x{frame.height} is not a multiple of 4 each way")
    want = i420_bytes(frame.width, frame.height) + TAG_BYTES
    if len(frame.sealed) != want:
        raise SealError(f"{len(frame.sealed)} bytes; {frame.width}x{frame.height} needs {want}")


def open_into(key: AESGCM, frame: FrameV1, out: memoryview) -> None:
    """Write the frame's pixels into `out`; SealError if the seal is broken.

    After an error, `out` may hold a part of the pixels: wipe it.
    """
    try:
        key.decrypt_into(frame.nonce, frame.sealed, associated_data(frame), out)
    except InvalidTag:
        raise SealError("the seal is broken: wrong key, subject, sequence or changed bytes") from None


def reply_key(secret: bytearray, frame: FrameV1) -> bytes:
    """Return the key that proves the answers to this one frame; it reveals nothing about the frame key."""
    return hmac.digest(secret, b"moretta reply v1" + frame.nonce + associated_data(frame), "sha256")


def proof_of(key: bytes, outcome: Outcome) -> bytes:
    """Return the proof that a holder of the frame's key gave this answer (HMAC, RFC 2104)."""
    return hmac.digest(key, outcome.encode(), "sha256")[:PROOF_BYTES]


def wipe(view: memoryview | bytearray) -> None:
    """Overwrite a buffer with zeros, in place."""
    size = len(view)
    for start in range(0, size, len(_ZEROS)):
        end = min(size, start + len(_ZEROS))
        view[start:end] = _ZEROS[: end - start]


@contextlib.contextmanager
def wiped(size: int) -> Iterator[memoryview]:
    """Yield a buffer of this size that is overwritten in any case, even after an error."""
    view = memoryview(bytearray(size))
    try:
        yield view
    finally:
        wipe(view)
