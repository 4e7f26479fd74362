"""Findings on cameras, certificates, windows and the clock. Durations are seconds, unless a name says otherwise."""

from collections import Counter
from collections.abc import Mapping

from operate.doctor.core.findings import Finding, fail, left_out, ok, warn
from proto.public import CameraV1, WindowV1
from services.ingest.core.aiming import LESS_PX, less_in_words, would_do_with_less

SOON_S = 21 * 86_400.0
"""A certificate that ends within three weeks needs renewal: tools that renew by themselves would have done it."""
_MORE = "give inference more cores or replicas, or analyse fewer pictures (docs/capacity.md)"
_OBSERVED = 0.9
"""A window of which less was observed is worth a look; single pictures are lost everywhere."""
_MANY_STAY = 0.5
"""If half of the passages stay, the number is not one of passers-by."""
_UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "min"))


def in_words(seconds: float) -> str:
    """Return a span of time in words, in the largest unit of which it has at least two."""
    for size, name in _UNITS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def certificate(check: str, whose: str, left_s: float) -> Finding:
    """Return the finding on a certificate that ends in `left_s` seconds."""
    if left_s <= 0:
        return fail(
            check, f"{whose} ended {in_words(-left_s)} ago", "renew it now; services take the new file by themselves"
        )
    if left_s < SOON_S:
        return warn(check, f"{whose} ends in {in_words(left_s)}", "renew it; services take the new file by themselves")
    return ok(check, f"{whose} ends in {in_words(left_s)}")


def last_window(
    site: str, age_s: float | None, window_s: float, lateness_s: float, observed: float | None = None
) -> Finding:
    """Return the finding on a site's last window, which ended `age_s` seconds ago; None: there is none.

    `observed` is the share of it (0 to 1) in which cameras observed, if pictures were lost; else None.
    """
    check = f"windows of {site}"
    if age_s is None:
        todo = f"the first comes {in_words(window_s + lateness_s)} after aggregate began; else look at aggregate's log"
        return warn(check, "none was ever published", todo)
    most = window_s + lateness_s + max(30.0, window_s / 10)
    if age_s > most:
        todo = "is aggregate running, has it the lease of this site, and is the bus well? See its /readyz and its log"
        return fail(check, f"the last one ended {in_words(age_s)} ago, and one is {in_words(window_s)} long", todo)
    if observed is not None and observed < _OBSERVED:
        found = f"of the last one, which ended {in_words(age_s)} ago, {observed:.0%} was observed: pictures were lost"
        return warn(check, found, f"{_MORE}; or the camera's network loses them")
    return ok(check, f"the last one ended {in_words(age_s)} ago; one is {in_words(window_s)} long")


def observed_of_lost(window: WindowV1) -> float | None:
    """Return which share of a window was observed, if pictures were lost in it; None: not, or counting began in it."""
    lost = "frames-lost" in window.gaps and not {"started-late", "bus-restarted"} & set(window.gaps)
    return window.coverage if lost else None


def clock(offset_s: float, uncertainty_s: float, most_s: float) -> Finding:
    """Return the finding on this host's clock, which is `offset_s` seconds ahead of the NATS server's."""
    side = "ahead of" if offset_s > 0 else "behind"
    found = f"{abs(offset_s):.3f} s {side} the NATS server's (known to {uncertainty_s:.3f} s)"
    if abs(offset_s) - uncertainty_s > most_s:
        return fail("clock", found, f"at most {most_s:g} s is fair: run NTP on both machines")
    return ok("clock", found)


_NEARLY = 0.75


def frame_keys(cameras: Mapping[str, int], most: int) -> list[Finding]:
    """Return the finding on frame keys: a worker has room for those of `most` ingests with cameras of one site.

    No site has more ingests than cameras, by their number in `cameras`. How many there are, nobody tells us.
    """
    many = {site: count for site, count in sorted(cameras.items()) if count > _NEARLY * most}
    todo = f"run at most {most} replicas of ingest; moretta_inference_frame_keys_displaced_total stays 0 then"
    found = [warn(f"frame keys of {site}", f"{many[site]} cameras, so perhaps as many ingests", todo) for site in many]
    return found or [ok("frame keys", f"a worker has room for those of {most} ingests of each site")]


_OLD_S = 90.0
"""Ingest tells a camera's state every two seconds, and at least once a minute (`ingest.report_s`)."""
_PROMISE_MS = 100.0
_CHANCE = 1
"""This many late pictures prove nothing: a short window has only a few dozen pictures, and 99 of 100 are promised."""
_H265 = "hevc"
"""FFmpeg's name of its decoder in software."""
_INGEST = "is ingest running, with this settings file? Its /readyz and its log say more"
SiteCamera = tuple[str, str]
"""Site and camera."""


def cameras(known: Mapping[SiteCamera, CameraV1 | None], now_ns: int) -> list[Finding]:
    """Return a line for each camera that is not well, one for the others, one for ingest and one for inference."""
    lines = {place: _camera(f"camera {'/'.join(place)}", state, now_ns) for place, state in known.items()}
    states = Counter(state.state for place, state in known.items() if state and lines[place].state == "ok")
    found = [line for line in lines.values() if line.state != "ok"]
    found += _dear(known, lines)
    if states:
        found.append(ok("cameras", ", ".join(f"{count} {state}" for state, count in sorted(states.items()))))
    fresh = [state for state in known.values() if state and _age_s(state, now_ns) <= _OLD_S]
    if known and not fresh:
        return [fail("ingest", "tells of no camera", _INGEST)]
    return [*found, *_inference(fresh)]


def _dear(known: Mapping[SiteCamera, CameraV1 | None], lines: Mapping[SiteCamera, Finding]) -> list[Finding]:
    """Return a hint if cameras that are well send H.265, which is dear to decode without a graphics card."""
    names = [
        "/".join(place)
        for place, state in known.items()
        if state is not None and state.decoder == _H265 and lines[place].state == "ok"
    ]
    todo = "set them to H.264, or take their second stream (docs/capacity.md)"
    return [warn("H.265", f"{', '.join(names)}: dearer to decode than H.264", todo)] if names else []


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


def staying(shares: Mapping[SiteCamera, float]) -> list[Finding]:
    """Return the findings on cameras of whose passages yesterday so large a share (0 to 1) neither came nor went."""
    if not shares:
        why = "of no camera is a whole day with fifty passages known there"
        return [
            left_out(
                "who stays", why, "ask the aggregate that holds the site, and no other service, a day after its start"
            )
        ]
    todo = (
        "people who sit, queue or talk there? See where with `moretta aim`, and turn it to where people walk; over a"
        " screen or a mirror draw `ignore`"
    )
    many = {place: share for place, share in sorted(shares.items()) if share >= _MANY_STAY}
    stayed = "of yesterday's passages neither came nor went"
    found = [
        warn(f"who stays at {site}/{camera}", f"{share:.0%} {stayed}", todo) for (site, camera), share in many.items()
    ]
    return found or [ok("who stays", f"at no camera more than {max(shares.values()):.0%} {stayed}")]


def face_sizes(tenths: Mapping[SiteCamera, float], long_sides: Mapping[SiteCamera, int]) -> list[Finding]:
    """Return a hint for each camera whose faces were so large yesterday that a smaller analysed picture would do.

    `tenths` is the size (px) that nine of ten of its faces had in the analysed picture, `long_sides` that picture's
    longer side (px).
    """
    return [
        Finding(
            f"face sizes at {'/'.join(place)}",
            "ok",
            f"nine of ten of yesterday's faces had {tenths[place]:.0f} px or more of a picture of {side} px",
            f"{less_in_words(LESS_PX)} (docs/cameras.md)",
        )
        for place, side in sorted(long_sides.items())
        if would_do_with_less(side, tenths.get(place, 0.0))
    ]


def _inference(states: list[CameraV1]) -> list[Finding]:
    """Return whether pictures are analysed, and in time, by the last window of each camera."""
    live = [state for state in states if state.state == "live"]
    if live and all(state.reason == "no-worker" for state in live):
        return [fail("inference", "no worker answers for any picture", "is inference running, with keys of its own?")]
    lives = [state.lifetime for state in live if state.lifetime]
    pictures, late = sum(one.pictures for one in lives), sum(one.late for one in lives)
    if not pictures:
        return []
    of = f"{late} of the last window's {pictures} pictures"
    found = f"at most {of} lived longer than the {_PROMISE_MS:.0f} ms promised"
    if late > _CHANCE and late * 100 > pictures:
        return [warn("inference", found, _MORE)]
    return [ok("inference", found)]
