"""Looks through all that another process may write to, for pieces of pictures. As root: ours are undumpable."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

CHUNK, LONGEST = 1 << 20, 64
_ZEROS = bytes(CHUNK + LONGEST)


def require() -> None:
    """Skip the test where this user may not look into a process that made itself undumpable."""
    if os.geteuid() != 0:
        assert not os.environ.get("MORETTA_REQUIRE_ALL"), "searching memory needs root"
        pytest.skip("searching memory needs root")


def regions(pid: int) -> Iterable[tuple[int, int]]:
    """From and to of everything that the process may write to."""
    with Path(f"/proc/{pid}/maps").open(encoding="utf-8") as lines:
        for line in lines:
            span, permissions = line.split()[:2]
            if "w" in permissions:
                low, high = (int(end, 16) for end in span.split("-"))
                yield low, high


def found(pid: int, wanted: Iterable[bytes]) -> set[bytes]:
    """Which of these pieces, of at most 64 bytes, are anywhere in the process's memory."""
    left, seen = set(wanted), set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for low, high in regions(pid):
            for start in range(low, high, CHUNK):
                data = _read(memory, start, min(CHUNK + LONGEST, high - start))
                if data != _ZEROS[: len(data)]:
                    seen |= {piece for piece in left if piece in data}
                    left -= seen
    return seen


def _read(memory, start: int, size: int) -> bytes:
    try:
        memory.seek(start)
        return memory.read(size)
    except OSError:  # given back since
        return b""
