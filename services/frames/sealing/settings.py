"""The section `sealing` of the settings file: identities by which ingest and its workers authenticate each other."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from services.kernel.settings import Secret

_MAX_KEYS = 8
"""The most identities at a time; no replacement needs more."""


class SealingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Ed25519 keys (RFC 8032), 32 bytes as 64 hexadecimal digits: `signing_key` our own, `verify_key` the other side's.

    `verify_key` may have several lines, so that an identity can be replaced while both are valid.
    """

    signing_key: Secret | None = None
    verify_key: Secret | None = None

    def private(self) -> Ed25519PrivateKey:
        """Return the key that signs this service's messages; ValueError says what is missing or wrong."""
        (raw,) = _keys("sealing.signing_key", self.signing_key, most=1)
        return Ed25519PrivateKey.from_private_bytes(raw)

    def trusted(self) -> tuple[Ed25519PublicKey, ...]:
        """Return the keys that check the other side's messages; ValueError says what is missing or wrong."""
        return tuple(
            map(Ed25519PublicKey.from_public_bytes, _keys("sealing.verify_key", self.verify_key, most=_MAX_KEYS))
        )


def _keys(path: str, secret: Secret | None, most: int) -> list[bytes]:
    right = f"`{path}_file` names a file with 64 hexadecimal digits"
    if secret is None:
        raise ValueError(f"{path} is missing; {right}")
    lines = secret.reveal().split()
    keys = [_bytes(line) for line in lines]
    if not 1 <= len(keys) <= most or any(len(key) != 32 for key in keys):
        raise ValueError(f"{path} is no Ed25519 key; {right}")
    return keys


def _bytes(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""
