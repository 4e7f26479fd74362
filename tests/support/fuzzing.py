"""Inputs that are nearly right: seeds of a corpus, broken in a few places; each is told by its seed alone.

`MORETTA_FUZZ` says how many inputs a target gets; `make test-long` gives each 1000 and `make fuzz` 10 000. What once
broke something is kept as an example of its own beside the test.
"""

import math
import os
import random
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

COUNT = int(os.environ.get("MORETTA_FUZZ", "60"))
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
TEXTS = (
    b"nan", b"1e999", b"-1", b"null", b"true", b"[]", b"{}", b"\0", b"\xff\xfe", b"\r\n", b"..", b"*", b">", b"'", b'"',
    b"&a [*a]", b"!!python/object", b"9" * 400, b"[" * 200, b"\xf0\x9f\x98\xb7", b"%00", b"${x}", b"\xc0" * 12,
    b"\xcb\x7f\xf8\0\0\0\0\0\0",
)  # fmt: skip
"""The last one is a msgpack float that is no number."""
fuzzed = settings(
    max_examples=COUNT, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
seeds = st.integers(0, 2**32 - 1)


def mutate(corpus: Sequence[bytes], seed: int, most: int = 6) -> bytes:
    """Return one of the corpus with one to `most` faults; the same seed gives the same bytes."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, most)):
        chance.choice(FAULTS)(data, chance, corpus)
    return bytes(data)


def _flip(data, chance, corpus):
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data, chance, corpus):
    del data[chance.randint(0, len(data)) :]


def _drop(data, chance, corpus):
    start = chance.randint(0, len(data))
    del data[start : start + chance.randint(1, 64)]


def _double(data, chance, corpus):
    start = chance.randint(0, len(data))
    data[start:start] = data[start : start + chance.randint(1, 256)]


def _number(data, chance, corpus):
    number, size = chance.choice(NUMBERS), chance.choice((1, 2, 4, 8))
    start = chance.randint(0, len(data))
    data[start : start + size] = (number % (1 << 8 * size)).to_bytes(size, chance.choice(("big", "little")))


def _text(data, chance, corpus):
    start = chance.randint(0, len(data))
    data[start : start + chance.choice((0, 1, 4))] = chance.choice(TEXTS)


def _splice(data, chance, corpus):
    other = chance.choice(corpus)
    start, theirs = chance.randint(0, len(data)), chance.randint(0, len(other))
    data[start : start + chance.randint(0, 64)] = other[theirs : theirs + chance.randint(1, 128)]


def _noise(data, chance, corpus):
    start = chance.randint(0, len(data))
    data[start:start] = chance.randbytes(chance.randint(1, 32))


FAULTS = (_flip, _cut, _drop, _double, _number, _text, _splice, _noise)


VALUES = (
    None, True, -1, 0, 1, 2**31, 2**63, 2**64 - 1, -0.0, 1.0000000001, 1e308, math.nan, math.inf,
    "", "_site", "a" * 33, "A", "a b", "\n", "\x7f", "\u2028", "*", ">", "..", b"", b"x" * 33,
    [], {}, [0.5, 0.25], [1, 0, 0, 1], ["x"] * 70,
)  # fmt: skip
"""What stands in a field that wants something else, or that is just beyond its limits."""


def altered(tree: Any, seed: int) -> Any:
    """Return a message's tree with one or two of its values in the place of others; the same seed gives the same."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 2)):
        tree = _altered(tree, chance)
    return tree


def _altered(tree: Any, chance: random.Random) -> Any:
    if isinstance(tree, dict) and tree and chance.random() < 0.95:
        key = chance.choice(sorted(tree))
        if chance.random() < 0.05:
            return {name: value for name, value in tree.items() if name != key}
        return tree | {key: _altered(tree[key], chance)}
    if isinstance(tree, list) and tree and chance.random() < 0.8:
        place = chance.randrange(len(tree))
        return [*tree[:place], _altered(tree[place], chance), *tree[place + 1 :]]
    if isinstance(tree, (int, float)) and not isinstance(tree, bool) and chance.random() < 0.5:
        return min(tree + chance.choice((-1, 1, 1e-9, -1e-9, 10**6)), 2**64 - 1)
    return chance.choice(VALUES)


def report(target: str, **counts: int) -> None:
    """Say what a target got; `make fuzz` shows it."""
    if "MORETTA_FUZZ" in os.environ:
        print(f"\nfuzz {target}: {', '.join(f'{count} {what}' for what, count in counts.items())}")
