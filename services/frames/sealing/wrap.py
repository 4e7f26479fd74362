"""Wraps a frame key for one worker: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM, Ed25519 signatures.

Both sides sign their messages.
"""

import contextlib
import struct
from collections.abc import Iterable

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proto.frames import FrameKeyV1, WorkerV1
from services.frames.sealing.keys import FrameKey, forget
from services.frames.sealing.seal import SealError, wipe

# A wrapping key is used once, since the ephemeral key and the worker differ each time. So the nonce may be constant.
_NONCE = bytes(12)
KEY_BYTES = 32
_UNSIGNED = bytes(64)
_PURPOSE = b"moretta frame key v1"


def announce(identity: Ed25519PrivateKey, site: str, worker: str, public_key: bytes, at: int) -> WorkerV1:
    """Return a worker's announcement, signed by the inference identity."""
    message = WorkerV1(site=site, worker=worker, public_key=public_key, at=at, signature=_UNSIGNED, names=True)
    return msgspec.structs.replace(message, signature=identity.sign(_signed(message)))


def is_genuine(identities: Iterable[Ed25519PublicKey], message: WorkerV1 | FrameKeyV1) -> bool:
    """Return whether one of these identities signed the message."""
    return any(_is_signed(identity, message) for identity in identities)


def _is_signed(identity: Ed25519PublicKey, message: WorkerV1 | FrameKeyV1) -> bool:
    try:
        identity.verify(message.signature, _signed(message))
    except InvalidSignature:
        return False
    return True


def _signed(message: WorkerV1 | FrameKeyV1) -> bytes:
    # The kind and all lengths come first: no two different messages may give the same bytes.
    names = f"{message.site}{message.worker}".encode()
    sizes = struct.pack(">HH", len(message.site), len(message.worker))
    if isinstance(message, WorkerV1):
        return b"moretta worker v1" + sizes + struct.pack(">Q", message.at) + names + message.public_key
    ages = struct.pack(">QQ", message.age, message.waited)
    return b"moretta key v1" + sizes + ages + names + message.key + message.ephemeral + message.wrapped


def wrap_key(
    identity: Ed25519PrivateKey, key: FrameKey, worker: WorkerV1, *, age: int = 0, waited: int = 0
) -> FrameKeyV1:
    """Return the frame key encrypted to one worker and signed by the ingest identity.

    The message holds the key's `age` and how long ago the announcement came (`waited`), in ns. SealError if the
    worker's key is one of the few points that share no secret (RFC 7748, 6.1).
    """
    ephemeral = X25519PrivateKey.generate()
    names = _names(worker.site, worker.worker)
    cipher = _cipher(ephemeral, worker.public_key, worker.public_key + key.id + (names if worker.names else b""))
    message = FrameKeyV1(
        site=worker.site,
        worker=worker.worker,
        key=key.id,
        age=age,
        waited=waited,
        ephemeral=ephemeral.public_key().public_bytes_raw(),
        wrapped=cipher.encrypt(_NONCE, key.secret, names),
        signature=_UNSIGNED,
    )
    return msgspec.structs.replace(message, signature=identity.sign(_signed(message)))


def unwrap_key(private: X25519PrivateKey, message: FrameKeyV1) -> bytearray:
    """Return the frame key, in memory that can be overwritten; SealError if it was not made for us or was changed."""
    worker, names = private.public_key().public_bytes_raw(), _names(message.site, message.worker)
    secret = bytearray(KEY_BYTES)
    for bound in (names, b""):  # the second one is how an ingest of before derives it
        cipher = _cipher(private, message.ephemeral, worker + message.key + bound)
        with contextlib.suppress(InvalidTag):
            cipher.decrypt_into(_NONCE, message.wrapped, names, secret)
            return secret
    wipe(secret)
    raise SealError("the frame key was not made for this worker, or was changed")


def _shared(private: X25519PrivateKey, public_key: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise SealError("the X25519 key shares no secret") from None


def _cipher(private: X25519PrivateKey, other: bytes, bound: bytes) -> AESGCM:
    """Return the cipher that wraps one key for one worker; leave no copy of the shared secret or the wrapping key.

    `bound` is what the wrapping key is derived from besides: the worker's public key, the key's id, site and worker.
    """
    shared, key = _shared(private, other), bytearray(KEY_BYTES)
    try:
        HKDF(SHA256(), KEY_BYTES, None, _PURPOSE + bound).derive_into(shared, key)
        return AESGCM(key)
    finally:
        forget(shared)
        wipe(key)


def _names(site: str, worker: str) -> bytes:
    return f"{site}/{worker}".encode()
