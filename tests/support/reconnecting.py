"""A camera whose peer breaks off again and again, alone in its process; prints what the process holds.

    python reconnecting.py URL BEFORE AFTER

One line of JSON after so many connections, and one at the end: bytes in use (mallinfo2(3)) and resident bytes, the
least of some moments: a decoder that is open has megabytes.
"""

import asyncio
import ctypes
import gc
import json
import os
import sys
from pathlib import Path

from watched_camera import MS, take, watching

from services.ingest.camera.camera import Camera
from services.ingest.core.reconnect import Backoff


class Mallinfo2(ctypes.Structure):
    """What mallinfo2(3) returns; all of them are sizes or counts."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
    )]  # fmt: skip


def in_use() -> int:
    """Return the allocated bytes of this process: FFmpeg's, and Python's larger objects."""
    gc.collect()
    asked = ctypes.CDLL(None).mallinfo2
    asked.restype = Mallinfo2
    found = asked()
    return int(found.uordblks + found.hblkhd)


def resident() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def least(camera: Camera) -> dict[str, int]:
    """Return both at their least in forty moments of several connections."""
    found = []
    for _ in range(40):
        await take(camera, 1)
        await asyncio.sleep(0.01)
        found.append({"in_use": in_use(), "resident": resident()})
    return {name: min(one[name] for one in found) for name in found[0]}


async def main(url: str, *marks: int) -> None:
    """Take a picture of each connection, until the last mark."""
    async with watching(url, backoff=Backoff(first_ns=5 * MS, limit_ns=10 * MS)) as (camera, states):
        for mark in marks:
            while sum(one.state == "live" for one in states) < mark:
                await take(camera, 1)
            print(json.dumps({"connections": mark} | await least(camera)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
