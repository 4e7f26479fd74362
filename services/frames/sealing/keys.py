"""Frame keys over time: a new one every second, none older than two seconds (docs/privacy.md). Clocks are passed in.

A secret leaves no copy: random bytes are made in place, and the bytes that a library returns are overwritten.
"""

import ctypes
import heapq
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.frames.sealing.seal import NONCE_BYTES, wipe

_HEADER_BYTES = bytes.__basicsize__ - 1
"""Offset of a bytes object's content in CPython, counted from the object's address."""


def fresh_secret(size: int) -> bytearray:
    """Return random bytes of which no other copy exists: `os.urandom` would leave one in freed memory."""
    secret = bytearray(size)
    with Path("/dev/urandom").open("rb", buffering=0) as kernel:
        if kernel.readinto(secret) != size:
            raise OSError("the kernel gave too few random bytes")
    return secret


def forget(data: bytes) -> None:
    """Overwrite a bytes object that a library returned and that nobody else holds (CPython keeps the content in it)."""
    if len(data) > 1:  # shorter ones are shared by the whole interpreter
        ctypes.memset(id(data) + _HEADER_BYTES, 0, len(data))


ROTATE_NS = 1_000_000_000
KEEP_NS = 2_000_000_000
"""No key gets older than this, neither in ingest nor in a worker."""
RECENT_NS = 60_000_000_000
"""How far the clocks of ingest and of a worker may differ, and how long a new ingest takes a recorded announcement."""
FOLLOW_NS, AHEAD_NS = 58_000_000_000, 55_000_000_000
"""A worker's announcements follow its clock if that was set back by more than FOLLOW_NS; after a smaller step they stay
as far from ingest's clock as they were, and do not look like a replay. Ingest takes an earlier time if the last one is
ahead of its own clock by more than AHEAD_NS, as when the clock of both was set back. The three are so near each other
that both hold: a last announcement is half a second old."""
LEAD_NS = 200_000_000
"""A new key is handed out this long before its first use, so that no frame arrives before its key. An older key is not
handed out."""
CHECK_NS = 100_000_000
"""Both sides check at least this often whether a key is due to be destroyed."""
SEAL_NS = OPEN_NS = KEEP_NS - CHECK_NS
"""How long a key seals and opens after it was made; a worker assumes the greatest age that it can have."""
MAX_OF_SITE = 256
"""A worker never keeps more keys of one site than this, whatever is sent to it. An ingest with cameras of the site has
two keys alive, and a few more for a moment when workers join."""
MAX_GIVERS = MAX_OF_SITE // 2
"""So many ingests may have cameras of one site: then none of their living keys is displaced. A key seals until it is
1.2 s old, so frames without their key come from 213 ingests on."""
_COUNTER_BYTES = 4


@dataclass(slots=True)
class FrameKey:
    """One key. `destroy` overwrites `secret`; with the cipher, OpenSSL cleanses its own copy."""

    id: bytes
    secret: bytearray
    cipher: AESGCM | None
    born: int
    """When it was made, by the holder's clock (`boottime_ns`); a worker knows only that it was not earlier."""
    doubt: int = 0
    """By how much it may be younger than `born` says."""
    sealed: int = 0

    def destroy(self) -> None:
        """Overwrite the key."""
        wipe(self.secret)
        self.cipher = None

    def nonce(self) -> bytes:
        """Return a nonce never used with this key before: a counter, then random bits (SP 800-38D, 8.2).

        The counter would do within one process. Two machines restored from one snapshot have the same key and the same
        counter: there the random bits differ, once their kernels' do (docs/privacy.md).
        """
        self.sealed += 1
        return self.sealed.to_bytes(_COUNTER_BYTES, "big") + os.urandom(NONCE_BYTES - _COUNTER_BYTES)


def new_key(now: int) -> FrameKey:
    """Return a fresh random key, born now (ns, `boottime_ns`)."""
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
        """Return the keys for a worker that joined: only young ones, since it keeps every key for the same time."""
        self._renew(now)
        if now - self._keys[-1].born >= LEAD_NS:
            self._add(now)
        return [k for k in self._keys if now - k.born < LEAD_NS]

    def _renew(self, now: int) -> None:
        """Destroy keys that are too old, and make a new key if one is due."""
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
    """A worker's keys, by site and id, none of them older than OPEN_NS.

    Each site has room of its own: one site's ingests displace no other site's keys. `on_displaced` is called with the
    site for each key that makes room for a newer one.
    """

    def __init__(self, on_displaced: Callable[[str], None] = lambda _site: None) -> None:
        self._sites: dict[str, dict[bytes, FrameKey]] = {}
        self._births: list[tuple[int, int, str, FrameKey]] = []
        """A heap, the earliest birth first: with thousands of keys, no frame waits until all were looked at."""
        self._added = 0
        self._on_displaced = on_displaced

    def add(self, site: str, key_id: bytes, secret: bytearray, now: int, *, age: int = 0, doubt: int = 0) -> bool:
        """Keep a key that was `age` when it was sent, at most `doubt` ago (ns), and own `secret` from now on.

        Return False if the key is too old by now, or known already. At most MAX_OF_SITE keys of a site are kept; the
        oldest goes first.
        """
        self.expire(now)
        born = now - age - doubt
        if key_id in self._sites.get(site, {}) or now - born >= OPEN_NS:
            wipe(secret)
            return False
        held = self._sites.setdefault(site, {})
        while len(held) >= MAX_OF_SITE:
            held.pop(next(iter(held))).destroy()
            self._on_displaced(site)
        held[key_id] = key = FrameKey(key_id, secret, AESGCM(secret), born, doubt)
        self._added += 1
        heapq.heappush(self._births, (born, self._added, site, key))
        return True

    def get(self, site: str, key_id: bytes, now: int) -> FrameKey | None:
        """Return a site's key, or None if we never had it or no longer have it."""
        self.expire(now)
        return self._sites.get(site, {}).get(key_id)

    def expire(self, now: int) -> None:
        """Destroy the keys that are too old."""
        while self._births and now - self._births[0][0] >= OPEN_NS:
            _, _, site, key = heapq.heappop(self._births)
            key.destroy()
            held = self._sites.get(site, {})
            if held.get(key.id) is key:  # else it was displaced before
                del held[key.id]
            if not held:
                self._sites.pop(site, None)

    def __len__(self) -> int:
        """Return how many keys are held."""
        return sum(map(len, self._sites.values()))

    def destroy(self) -> None:
        """Overwrite all keys."""
        for *_, key in self._births:
            key.destroy()
        self._births.clear()
        self._sites.clear()
