"""Searches another process's memory (Linux, /proc/PID/mem) for secrets, whole or in halves of 16 bytes."""

from collections.abc import Hashable, Mapping
from pathlib import Path

import numpy as np

HALF = 16
_CHUNK = 8 << 20


def halves(secret: bytes) -> list[bytes]:
    """The parts of a secret that are searched for, at any offset."""
    return [secret[i : i + HALF] for i in range(0, len(secret), HALF)]


def found(pid: int, secrets: Mapping[Hashable, bytes]) -> dict[Hashable, int]:
    """How often a part of each secret is in the process's writable memory; only those that are there."""
    names = {half: name for name, secret in secrets.items() for half in halves(secret)}
    begins = np.zeros(1 << 16, bool)
    begins[np.frombuffer(b"".join(half[:2] for half in names), "<u2")] = True
    counts: dict[Hashable, int] = {}
    for data in _writable(pid):
        for half in _within(data, begins, names):
            counts[names[half]] = counts.get(names[half], 0) + 1
    return counts


def _writable(pid: int):
    """The process's own memory, in chunks that overlap by a half."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                low, high = (int(end, 16) for end in span.split("-"))
                for start in range(low, high, _CHUNK):
                    memory.seek(start)
                    yield memory.read(min(_CHUNK + HALF, high - start))


def _within(data: bytes, begins, names: Mapping[bytes, Hashable]):
    """The halves in the data; looked up by their first two bytes, then compared."""
    for shift in (0, 1):
        words = np.frombuffer(data, "<u2", count=max(0, len(data) - shift) // 2, offset=min(shift, len(data)))
        for i in np.flatnonzero(begins[words]).tolist():
            half = data[i * 2 + shift : i * 2 + shift + HALF]
            if half in names:
                yield half


def schedule(key: bytes) -> bytes:
    """The round keys of AES-256 after the first two, which are the key itself (FIPS 197, 5.2): any two give it away."""
    words = [key[i : i + 4] for i in range(0, 32, 4)]
    constant = 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = bytes(_SBOX[b] for b in word[1:] + word[:1])
            word, constant = bytes([word[0] ^ constant]) + word[1:], constant << 1
        elif i % 8 == 4:
            word = bytes(_SBOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word, strict=True)))
    return b"".join(words[8:])


def _sbox() -> bytes:
    """The substitution box: the inverse in GF(2^8), then an affine map (FIPS 197, 5.1.1)."""
    box, p, q = bytearray(256), 1, 1
    while True:
        p ^= (p << 1) ^ (0x11B if p & 0x80 else 0)  # times three
        p &= 0xFF
        for step in (1, 2, 4):
            q ^= (q << step) & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        turned = [(q << n | q >> 8 - n) & 0xFF for n in range(5)]
        box[p] = turned[0] ^ turned[1] ^ turned[2] ^ turned[3] ^ turned[4] ^ 0x63
        if p == 1:
            break
    box[0] = 0x63
    return bytes(box)


_SBOX = _sbox()
