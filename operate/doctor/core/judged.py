"""Cameras' states as ingest tells them, and what they say of ingest and of inference."""

from collections import Counter
from collections.abc import Mapping

from operate.doctor.core.findings import Finding, fail, ok, warn
from operate.doctor.core.times import in_words
from proto.public import CameraV1

_OLD_S = 90.0
"""A camera's state is told every two seconds, and at least once a minute (`ingest.report_s`)."""
_PROMISE_MS = 100.0
_CHANCE = 1
"""So many late pictures of a few dozen, which are a report's, say nothing: 99 of 100 are promised."""
_INGEST = "is ingest running, with this settings file? Its /readyz and its log say more"
SiteCamera = tuple[str, str]
"""Site and camera."""


def cameras(told: Mapping[SiteCamera, CameraV1 | None], now_ns: int) -> list[Finding]:
    """Return a line for each camera that is not well, one for the others, one for ingest and one for inference."""
    lines = {place: _camera(f"camera {'/'.join(place)}", state, now_ns) for place, state in told.items()}
    states = Counter(state.state for place, state in told.items() if state and lines[place].state == "ok")
    found = [line for line in lines.values() if line.state != "ok"]
    if states:
        found.append(ok("cameras", ", ".join(f"{count} {state}" for state, count in sorted(states.items()))))
    fresh = [state for state in told.values() if state and _age_s(state, now_ns) <= _OLD_S]
    if told and not fresh:
        return [fail("ingest", "tells of no camera", _INGEST)]
    return [*found, *_inference(fresh)]


def _age_s(state: CameraV1, now_ns: int) -> float:
    return (now_ns - state.at) / 1e9


def _camera(check: str, state: CameraV1 | None, now_ns: int) -> Finding:
    if state is None:
        return fail(check, "nobody tells of it", _INGEST)
    if (age := _age_s(state, now_ns)) > _OLD_S:
        return fail(check, f"{state.state} {in_words(age)} ago, and nothing since", _INGEST)
    if state.state in {"live", "paused"}:
        return ok(check, state.state)
    return warn(check, f"{state.state}: {state.reason or 'no reason told'}", "docs/operations.md says what it means")


def _inference(states: list[CameraV1]) -> list[Finding]:
    """Return whether pictures are analysed, and in time."""
    lives = [state.lifetime for state in states if state.state == "live" and state.lifetime]
    frames, lost = sum(one.frames for one in lives), sum(one.unconfirmed for one in lives)
    if not frames:
        return []
    if frames == lost:
        return [fail("inference", "no worker answers for any picture", "is inference running, with keys of its own?")]
    # An ingest of the version before tells neither.
    pictures = sum(one.frames if one.pictures is None else one.pictures for one in lives)
    late = sum(one.unconfirmed if one.late is None else one.late for one in lives)
    found = f"{late} of the last {pictures} pictures lived longer than the {_PROMISE_MS:.0f} ms promised"
    if late > _CHANCE and late * 100 > pictures:
        todo = "give inference more cores or replicas, or analyse fewer pictures (docs/capacity.md)"
        return [warn("inference", found, todo)]
    return [ok("inference", found)]
