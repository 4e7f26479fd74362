"""A running camera without the rest of ingest, and the list of its states."""

import asyncio
from contextlib import asynccontextmanager

from patience import patient

from services.ingest.camera.camera import Camera
from services.ingest.core.reconnect import Backoff
from services.kernel.clock import boottime_ns
from services.sites.settings import CameraSettings

MS = 1_000_000
LIMIT_S, STOP_S = patient(20), patient(10)
NOISE_S = patient(3)
"""What a busy machine may add to a time."""


@asynccontextmanager
async def watching(url, *, stop_limit_s=STOP_S, backoff=None, slow_retry_s=0.3, **more):
    """A running camera and the list of its states; `more` are settings of it, or arguments of Camera."""
    states = []
    own = {name: more.pop(name) for name in ("resolve", "stuck_limit_s", "on_stuck") if name in more}
    fields = {"id": "cam", "fps": 5.0, "long_side": 320, "open_timeout_s": 3.0, "read_timeout_s": 3.0} | more
    camera = Camera(
        "site",
        CameraSettings(url=url, **fields),
        lease=3,
        phase_ns=0,
        on_state=states.append,
        backoff=backoff or Backoff(first_ns=100 * MS, limit_ns=400 * MS),
        slow_retry_s=slow_retry_s,
        **own,
    )
    camera.start(asyncio.get_running_loop())
    try:
        yield camera, states
    finally:
        assert await camera.stop(stop_limit_s)


async def take(camera, count):
    """Take and release so many pictures; returns (sequence, event time, age at taking, size) of each."""
    kept = []
    for _ in range(count):
        picture = await asyncio.wait_for(camera.take(), LIMIT_S)
        age = boottime_ns() - picture.decoded_ns
        kept.append((picture.sequence, picture.at, age, (picture.width, picture.height)))
        picture.release()
    return kept


def seen(states):
    """Every state so far with its reason; the last one alone may hide one that lasted a moment."""
    return [(state.state, state.reason) for state in states]


def last(states):
    """The last state's name and reason."""
    return (states[-1].state, states[-1].reason) if states else None
