"""A nats-server in operator mode: it takes accounts from JWTs alone (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/jwt)."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.bus.nkey import _text

_OPERATOR = 14 << 3


def config(port: int, _store: str) -> str:
    """Its configuration, of an operator that has no account yet."""
    key = Ed25519PrivateKey.generate()
    name = _text(bytes([_OPERATOR]) + key.public_key().public_bytes_raw())
    claims = {
        "iat": 1_700_000_000,
        "iss": name,
        "sub": name,
        "name": "operator",
        "nats": {"type": "operator", "version": 2},
    }
    return json.dumps({"listen": f"127.0.0.1:{port}", "operator": _token(key, claims), "resolver": "MEMORY"})


def _token(key: Ed25519PrivateKey, claims: dict[str, object]) -> str:
    digest = hashlib.sha256(json.dumps(claims).encode()).digest()
    claims |= {"jti": base64.b32encode(digest).decode().rstrip("=")}
    parts = [_base64(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)]
    return ".".join([*parts, _base64(key.sign(".".join(parts).encode()))])


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
