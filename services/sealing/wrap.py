"""Handing a frame key to one worker: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869), AES-256-GCM; Ed25519 announcements."""

import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proto.frames import FrameKeyV1, WorkerV1
from services.sealing.seal import SealError, wipe

# The wrapping key is used once: ephemeral key and worker differ for each, so the nonce may be constant.
_NONCE = bytes(12)
KEY_BYTES = 32
_PURPOSE = b"moretta frame key v1"


def announce(identity: Ed25519PrivateKey, site: str, worker: str, public_key: bytes, at: int) -> WorkerV1:
    """Return a worker's announcement, signed by the inference identity."""
    signature = identity.sign(_signed(site, worker, public_key, at))
    return WorkerV1(site=site, worker=worker, public_key=public_key, at=at, signature=signature)


def is_genuine(identity: Ed25519PublicKey, message: WorkerV1) -> bool:
    """Whether the inference identity signed this announcement."""
    try:
        identity.verify(message.signature, _signed(message.site, message.worker, message.public_key, message.at))
    except InvalidSignature:
        return False
    return True


def _signed(site: str, worker: str, public_key: bytes, at: int) -> bytes:
    # Lengths first: no two different announcements may be the same bytes.
    return (
        b"moretta worker v1" + struct.pack(">HHQ", len(site), len(worker), at) + f"{site}{worker}".encode() + public_key
    )


def wrap_key(frame_key: bytearray, key_id: bytes, worker: WorkerV1) -> FrameKeyV1:
    """Return the frame key encrypted to one worker; site and names are authenticated with it.

    SealError if the worker's key is one of the few points that share no secret (RFC 7748, 6.1).
    """
    ephemeral = X25519PrivateKey.generate()
    shared = _shared(ephemeral, worker.public_key)
    wrapped = _cipher(shared, worker.public_key, key_id).encrypt(_NONCE, frame_key, _names(worker.site, worker.worker))
    return FrameKeyV1(
        site=worker.site,
        worker=worker.worker,
        key=key_id,
        ephemeral=ephemeral.public_key().public_bytes_raw(),
        wrapped=wrapped,
    )


def unwrap_key(private: X25519PrivateKey, message: FrameKeyV1) -> bytearray:
    """Return the frame key, in memory that can be overwritten; SealError if it was not made for us or was changed."""
    shared = _shared(private, message.ephemeral)
    cipher = _cipher(shared, private.public_key().public_bytes_raw(), message.key)
    secret = bytearray(KEY_BYTES)
    try:
        cipher.decrypt_into(_NONCE, message.wrapped, _names(message.site, message.worker), secret)
    except InvalidTag:
        wipe(secret)
        raise SealError("the frame key was not made for this worker, or was changed") from None
    return secret


def _shared(private: X25519PrivateKey, public_key: bytes) -> bytes:
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        raise SealError("the X25519 key shares no secret") from None


def _cipher(shared: bytes, public_key: bytes, key_id: bytes) -> AESGCM:
    key = bytearray(KEY_BYTES)
    HKDF(SHA256(), KEY_BYTES, None, _PURPOSE + public_key + key_id).derive_into(shared, key)
    cipher = AESGCM(key)
    wipe(key)
    return cipher


def _names(site: str, worker: str) -> bytes:
    return f"{site}/{worker}".encode()
