"""Sealing and opening one frame with AES-256-GCM (NIST SP 800-38D), in preallocated buffers."""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from proto.frames import FrameV1

TAG_BYTES = 16
NONCE_BYTES = 12
_ZEROS = memoryview(bytes(1 << 20))


class SealError(ValueError):
    """A frame cannot be opened; the text says why, without any of its bytes."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a frame's seal binds beside its pixels: change any of it and it does not open."""

    subject: str
    lease: int
    sequence: int
    at: int
    width: int
    height: int

    def associated_data(self) -> bytes:
        """Return the bytes that are authenticated with the pixels."""
        numbers = struct.pack(">QQQII", self.lease, self.sequence, self.at, self.width, self.height)
        return numbers + self.subject.encode()


def i420_bytes(width: int, height: int) -> int:
    """Return the size of a planar 4:2:0 picture of 8 bits: three bytes for two pixels."""
    return width * height * 3 // 2


def header_of(frame: FrameV1, subject: str) -> Header:
    """Return what the seal of a received frame must bind."""
    return Header(subject, frame.lease, frame.sequence, frame.at, frame.width, frame.height)


def seal_into(key: AESGCM, nonce: bytes, pixels: memoryview, header: Header, out: memoryview) -> None:
    """Write ciphertext and tag of `pixels` into `out`, which is TAG_BYTES longer."""
    key.encrypt_into(nonce, pixels, header.associated_data(), out)


def check_sizes(frame: FrameV1) -> None:
    """Raise SealError unless width, height and the payload's length belong together."""
    if frame.width % 4 or frame.height % 4:
        raise SealError(f"{frame.width}x{frame.height} is not a multiple of 4 each way")
    want = i420_bytes(frame.width, frame.height) + TAG_BYTES
    if len(frame.sealed) != want:
        raise SealError(f"{len(frame.sealed)} bytes; {frame.width}x{frame.height} needs {want}")


def open_into(key: AESGCM, frame: FrameV1, subject: str, out: memoryview) -> None:
    """Write the frame's pixels into `out`; SealError if the seal is broken. `out` may hold a part then: wipe it."""
    try:
        key.decrypt_into(frame.nonce, frame.sealed, header_of(frame, subject).associated_data(), out)
    except InvalidTag:
        raise SealError("the seal is broken: wrong key, subject, sequence or changed bytes") from None


def wipe(view: memoryview | bytearray) -> None:
    """Overwrite a buffer with zeros, in place."""
    size = len(view)
    for start in range(0, size, len(_ZEROS)):
        end = min(size, start + len(_ZEROS))
        view[start:end] = _ZEROS[: end - start]


@contextlib.contextmanager
def wiped(size: int) -> Iterator[memoryview]:
    """Yield a buffer of this size that is overwritten whatever happens to its user."""
    view = memoryview(bytearray(size))
    try:
        yield view
    finally:
        wipe(view)
