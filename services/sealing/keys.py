"""Frame keys over time: a new one every second, none older than two (design §1.3). Clocks are passed in."""

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.sealing.seal import NONCE_BYTES, wipe

ROTATE_NS = 1_000_000_000
KEEP_NS = 2_000_000_000
"""No key outlives its birth by more, neither in ingest nor in a worker."""
LEAD_NS = 200_000_000
"""A new key is handed out so long before it is used, so that no frame outruns its key; later it isn't handed out."""
CHECK_NS = 100_000_000
"""Both sides look at least so often whether a key is due to be destroyed."""
SEAL_NS = KEEP_NS - CHECK_NS
OPEN_NS = KEEP_NS - LEAD_NS - CHECK_NS
"""A worker counts from the receipt, when the key may be LEAD_NS old already."""
_MOST = 256
"""A worker never keeps more keys than this, whatever it is sent."""


@dataclass(slots=True)
class FrameKey:
    """One key. `secret` is overwritten by `destroy`, and with the cipher OpenSSL cleanses its own copy."""

    id: bytes
    secret: bytearray
    cipher: AESGCM | None
    born: int
    sealed: int = 0

    def destroy(self) -> None:
        """Overwrite the key."""
        wipe(self.secret)
        self.cipher = None

    def nonce(self) -> bytes:
        """Return a nonce never used with this key before: a counter (SP 800-38D, 8.2.1)."""
        self.sealed += 1
        return self.sealed.to_bytes(NONCE_BYTES, "big")


def new_key(now: int) -> FrameKey:
    """Return a fresh random key, born now (monotonic ns)."""
    secret = bytearray(os.urandom(32))
    return FrameKey(os.urandom(8), secret, AESGCM(secret), now)


class SealingKeys:
    """Ingest's keys: one to seal with, the next one on its way, none older than KEEP_NS."""

    def __init__(self, now: int) -> None:
        self._keys = [new_key(now)]
        self._due = list(self._keys)

    def due(self, now: int) -> list[FrameKey]:
        """Return the living keys that were not handed out yet; the caller hands them out."""
        self._renew(now)
        due, self._due = self._due, []
        return [key for key in due if key.cipher is not None]

    def current(self, now: int) -> FrameKey:
        """Return the key to seal with: the newest that workers have had time to receive."""
        self._renew(now)
        ripe = [k for k in self._keys if now - k.born >= LEAD_NS]
        return ripe[-1] if ripe else self._keys[0]

    def joined(self, now: int) -> list[FrameKey]:
        """Return the keys for a worker that joined: only young ones, since it will keep them as long as any other."""
        self._renew(now)
        if now - self._keys[-1].born >= LEAD_NS:
            self._add(now)
        return [k for k in self._keys if now - k.born < LEAD_NS]

    def _renew(self, now: int) -> None:
        """Destroy what is too old, and make a new key if one is due."""
        for key in [k for k in self._keys if now - k.born >= SEAL_NS]:
            key.destroy()
            self._keys.remove(key)
        if not self._keys or now - self._keys[-1].born >= ROTATE_NS:
            self._add(now)

    def _add(self, now: int) -> None:
        self._keys.append(new_key(now))
        self._due.append(self._keys[-1])

    def destroy(self) -> None:
        """Overwrite all keys."""
        for key in self._keys:
            key.destroy()
        self._keys.clear()
        self._due.clear()


class OpeningKeys:
    """A worker's keys, by id, none kept for longer than OPEN_NS."""

    def __init__(self) -> None:
        self._keys: dict[bytes, FrameKey] = {}

    def add(self, key_id: bytes, secret: bytearray, now: int) -> None:
        """Keep a received key, and own `secret` from now on; at most _MOST are kept, the oldest goes first."""
        self.expire(now)
        if key_id in self._keys:
            wipe(secret)
            return
        while len(self._keys) >= _MOST:
            self._keys.pop(next(iter(self._keys))).destroy()
        self._keys[key_id] = FrameKey(key_id, secret, AESGCM(secret), now)

    def get(self, key_id: bytes, now: int) -> AESGCM | None:
        """Return the cipher, or None if we never had the key or no longer have it."""
        self.expire(now)
        key = self._keys.get(key_id)
        return key.cipher if key else None

    def expire(self, now: int) -> None:
        """Destroy the keys that are too old."""
        for key_id in [k for k, key in self._keys.items() if now - key.born >= OPEN_NS]:
            self._keys.pop(key_id).destroy()

    def __len__(self) -> int:
        """How many keys are held."""
        return len(self._keys)

    def destroy(self) -> None:
        """Overwrite all keys."""
        for key in self._keys.values():
            key.destroy()
        self._keys.clear()
