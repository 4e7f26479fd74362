"""Findings on cameras whose stream is much larger than what is analysed of it."""

from collections.abc import Mapping
from typing import NamedTuple

from operate.cameras.core.cost import part, saving
from operate.doctor.core.findings import Finding, warn
from operate.doctor.core.judged import SiteCamera
from proto.public import CameraV1


class AnalysedSize(NamedTuple):
    """What the settings of a camera ask for."""

    fps: float
    long_side: int


def too_large(states: Mapping[SiteCamera, CameraV1 | None], wanted: Mapping[SiteCamera, AnalysedSize]) -> list[Finding]:
    """Return a line for each live camera of `wanted` for which a smaller stream would save much.

    By the size and the rate that ingest measured. Whether the camera has such a stream, only the camera knows.
    """
    return [line for place, one in wanted.items() if (line := _line(place, states.get(place), one)) is not None]


def _line(place: SiteCamera, state: CameraV1 | None, wanted: AnalysedSize) -> Finding | None:
    if state is None or state.state != "live" or not (state.width and state.height and state.fps):
        return None
    found = saving(state.width, state.height, state.fps, analysed_fps=wanted.fps, long_side=wanted.long_side)
    if found is None:
        return None
    width, height, divisor = found
    decodes = f"decodes {state.fps:.0f} pictures a second of {state.width}x{state.height}, analyses {wanted.fps:g}"
    second = f"a stream of {width}x{height} at {min(state.fps, 8):.0f} would cost ingest {part(divisor)}"
    todo = "take the camera's second stream: `moretta cameras show HOST` names it (docs/cameras.md)"
    return warn(f"stream of {'/'.join(place)}", f"{decodes}; {second}", todo)
