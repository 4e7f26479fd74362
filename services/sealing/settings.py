"""The section `sealing` of the settings file: the inference identity, by which ingest knows its workers."""

import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from services.settings import Secret


class SealingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Inference holds `signing_key`, ingest `verify_key`: Ed25519 (RFC 8032), 32 bytes as 64 hexadecimal digits."""

    signing_key: Secret | None = None
    verify_key: Secret | None = None

    def private(self) -> Ed25519PrivateKey:
        """Return the key that signs announcements; ValueError says what is missing or wrong."""
        return Ed25519PrivateKey.from_private_bytes(_bytes("sealing.signing_key", self.signing_key))

    def public(self) -> Ed25519PublicKey:
        """Return the key that checks announcements; ValueError says what is missing or wrong."""
        return Ed25519PublicKey.from_public_bytes(_bytes("sealing.verify_key", self.verify_key))


def _bytes(path: str, secret: Secret | None) -> bytes:
    right = f"`{path}_file` names a file with 64 hexadecimal digits"
    if secret is None:
        raise ValueError(f"{path} is missing; {right}")
    try:
        raw = bytes.fromhex(secret.reveal())
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise ValueError(f"{path} is no Ed25519 key; {right}")
    return raw
