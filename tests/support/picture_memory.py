"""Looks through all that another process may write to, for pieces of pictures. As root: ours are undumpable."""

import os
from collections.abc import Iterable

import pytest

from testbed.proof import memory
from testbed.proof.core.needles import Needles


def require() -> None:
    """Skip the test where this user may not look into a process that made itself undumpable."""
    if os.geteuid() != 0:
        assert not os.environ.get("MORETTA_REQUIRE_ALL"), "searching memory needs root"
        pytest.skip("searching memory needs root")


def found(pid: int, wanted: Iterable[bytes]) -> set[bytes]:
    """Which of these pieces, of 32 bytes, are anywhere in the process's memory."""
    search = Needles({piece: piece for piece in wanted})
    return {piece for data in memory.chunks(pid) for _, piece in search.found(data)}
