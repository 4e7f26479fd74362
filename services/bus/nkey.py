"""nkeys of NATS users: Ed25519 keys (RFC 8032) in NATS's own text form, and the signature that a server asks for.

The form is base32 (RFC 4648) of a prefix, the 32 bytes and their CRC-16 (XMODEM), low byte first:
https://docs.nats.io/using-nats/developer/connecting/nkey. ADR 20 says why PyPI's nkeys is not used.
"""

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.kernel.settings import Secret

_USER = 20 << 3
_SEED = 18 << 3
_SEED_PREFIX = bytes([_SEED | _USER >> 5, (_USER & 31) << 3])
_CHARACTERS = 58
RIGHT = "the seed of a NATS user's nkey: 58 characters that begin with SU, as `moretta nats apply` makes them"


class Seed(Secret):
    """The seed of a NATS user's key pair, such as `SUAM...`. Any other text raises a ValueError without that text."""

    __slots__ = ("_key",)

    def __init__(self, value: str) -> None:
        super().__init__(value.strip())
        self._key = Ed25519PrivateKey.from_private_bytes(_decode(self.reveal()))

    @classmethod
    def new(cls) -> "Seed":
        """Return a new random seed."""
        return cls(_text(_SEED_PREFIX + Ed25519PrivateKey.generate().private_bytes_raw()))

    @property
    def public(self) -> str:
        """The public key, such as `UDXU...`, which the server's configuration names."""
        return _text(bytes([_USER]) + self._key.public_key().public_bytes_raw())

    def sign(self, nonce: str) -> bytes:
        """Return the signature of the nonce that the server sent, in base64, as nats-py wants it."""
        return base64.b64encode(self._key.sign(nonce.encode()))


def _text(raw: bytes) -> str:
    whole = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(whole).rstrip(b"=").decode()


def _decode(seed: str) -> bytes:
    try:
        raw = base64.b32decode(seed + "=" * 6) if len(seed) == _CHARACTERS else b""
    except (ValueError, binascii.Error):
        raw = b""
    body, check = raw[:-2], raw[-2:]
    if body[:2] != _SEED_PREFIX or binascii.crc_hqx(body, 0).to_bytes(2, "little") != check:
        raise ValueError(RIGHT)
    return body[2:]
