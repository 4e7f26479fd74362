"""Frame keys over time: a new one every second, none older than two (docs/privacy.md). Clocks are passed in."""

import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.frames.sealing.seal import NONCE_BYTES, wipe
from services.frames.sealing.secret import fresh_secret

ROTATE_NS = 1_000_000_000
KEEP_NS = 2_000_000_000
"""No key outlives its birth by more, neither in ingest nor in a worker."""
LEAD_NS = 200_000_000
"""A new key is handed out so long before it is used, so that no frame outruns its key; later it isn't handed out."""
CHECK_NS = 100_000_000
"""Both sides look at least so often whether a key is due to be destroyed."""
SEAL_NS = OPEN_NS = KEEP_NS - CHECK_NS
"""From its birth a key seals, and opens, for so long; a worker takes it to be as old as it can possibly be."""
_MOST = 256
"""A worker never keeps more keys than this, whatever it is sent."""


@dataclass(slots=True)
class FrameKey:
    """One key. `secret` is overwritten by `destroy`, and with the cipher OpenSSL cleanses its own copy."""

    id: bytes
    secret: bytearray
    cipher: AESGCM | None
    born: int
    """When it was made, by the holder's monotonic clock; a worker knows only that it was not earlier."""
    doubt: int = 0
    """How much later than `born` it may have been."""
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
    secret = fresh_secret(32)
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
    """A worker's keys, by id, none of them older than OPEN_NS."""

    def __init__(self) -> None:
        self._keys: dict[bytes, FrameKey] = {}

    def add(self, key_id: bytes, secret: bytearray, now: int, *, age: int = 0, doubt: int = 0) -> bool:
        """Keep a key that was `age` when it was sent, `doubt` ago at most, and own `secret` from now on.

        False if it is too old by now, or known. At most _MOST are kept, the oldest goes first.
        """
        self.expire(now)
        born = now - age - doubt
        if key_id in self._keys or now - born >= OPEN_NS:
            wipe(secret)
            return False
        while len(self._keys) >= _MOST:
            self._keys.pop(next(iter(self._keys))).destroy()
        self._keys[key_id] = FrameKey(key_id, secret, AESGCM(secret), born, doubt)
        return True

    def get(self, key_id: bytes, now: int) -> FrameKey | None:
        """Return the key, or None if we never had it or no longer have it."""
        self.expire(now)
        return self._keys.get(key_id)

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
