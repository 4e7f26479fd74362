"""The try-out's two cameras, whose films are drawn once: the simulated market's gate by RTSP, its hall by MJPEG."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from testbed.servers.http_camera import jpeg_camera
from testbed.servers.rtsp_camera import RtspCamera, payloads
from testbed.servers.server import Handle
from testbed.simulation.crowd_plan import Plan
from testbed.simulation.film import count, film, pictures
from testbed.simulation.market import plans

_QUALITY = 85


def planned() -> tuple[Plan, Plan]:
    """Return the plans of the camera at the gate and of the one in the hall."""
    seen = plans()
    return seen["gate-in"], seen["hall"]


def length(gate: Plan, hall: Plan) -> int:
    """Return how many pictures both films have."""
    return count(gate) + count(hall)


def drawn(folder: Path, gate: Plan, hall: Plan, advance: Callable[[], None]) -> tuple[Handle, Handle]:
    """Draw both films, the first by a file in `folder`; `advance` is called after each picture."""
    packets = payloads(film(folder / "gate.mp4", gate, advance=advance))
    jpegs = list(_jpegs(hall, advance))
    return RtspCamera(packets, gate.scenario.fps).connected, jpeg_camera(jpegs, hall.scenario.fps).connected


def _jpegs(plan: Plan, advance: Callable[[], None]) -> Iterator[bytes]:
    for picture in pictures(plan):
        picture.save(coded := io.BytesIO(), "JPEG", quality=_QUALITY)
        advance()
        yield coded.getvalue()
