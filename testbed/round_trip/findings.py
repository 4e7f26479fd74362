"""Findings on a round trip: a known film as a camera, until its people are a published number."""

from dataclasses import dataclass
from typing import Literal

from operate.doctor.core.findings import Finding, fail, left_out, ok, warn
from proto.public import WindowV1
from services.sites.profiles import TRIAL

WHOLE = 0.9
"""Coverage from which on a window can be compared with the film."""
_PROMISE_MS = 100.0
Stage = Literal["camera", "window", "done"]


@dataclass(frozen=True)
class Heard:
    """Sums of what was heard on the bus meanwhile, and how often a part of the film was found in it."""

    messages: int
    size: int
    needles: int
    found: int
    blind: bool = False
    """Whether the search did not even find a part of the film that it was given."""


def camera(name: str, taken: int, state: str | None, where: str, limit_s: float) -> Finding:
    """Return the finding on the film's camera: whether ingest came for the film, and whether the camera is live."""
    check = f"camera {name}"
    if state == "live":
        return ok(
            check,
            f"ingest took the film; live, after {taken} connections" if taken > 1 else "ingest took the film; live",
        )
    state_text = f"ingest says {state}" if state else "ingest says nothing of it"
    if not taken:
        todo = f"its url must lead to {where}, and a NetworkPolicy let ingest come here"
        return fail(check, f"nobody came for the film in {limit_s:g} s; {state_text}", todo)
    return fail(check, f"the film was taken {taken} times; {state_text}", "what does ingest's log say of it?")


def window(window: WindowV1 | None, per_s: float, limit_s: float) -> list[Finding]:
    """Return the findings on the first whole window, in which `per_s` people came each second."""
    if window is None:
        todo = "is its window longer than the limit (--limit), and do inference and aggregate run? See their /readyz"
        return [fail("window", f"no window with {WHOLE:.0%} coverage in {limit_s:g} s", todo)]
    seconds = (window.end - window.start) / 1e9
    seen = ok("window", f"{seconds:g} s, coverage {window.coverage:.0%}" if window.coverage else f"{seconds:g} s")
    return [seen, _count(window, per_s * seconds)]


def _count(window: WindowV1, expected: float) -> Finding:
    if window.persons is None:
        todo = f"give the site of the round trip the profile {TRIAL}"
        return warn("count", f"withheld ({window.suppressed or 'by the profile'})", todo)
    found = f"{window.persons} people; the film has about {expected:.0f} in that time"
    if not expected / 2 - 2 <= window.persons <= expected * 2 + 2:
        return fail("count", found, "is it this film that the camera shows? Are pictures shed (camera's shed_share)?")
    if window.masked:
        return warn("count", f"{found}; {window.masked} masked, and nobody wears a mask", "is it the shipped model?")
    return ok("count", found)


def pictures(heard: Heard, who: str) -> Finding:
    """Return whether any part of the film was heard on the bus."""
    check = "pictures on the bus"
    found = (
        f"{heard.messages} messages, {heard.size} bytes, heard as {who}; {heard.needles} parts of the film looked for"
    )
    if heard.blind:
        return fail(check, "the search does not find what is put before it", "this is a fault of moretta doctor")
    if not heard.messages:
        return fail(check, "nothing was heard, so nothing is proven", "does this identity hear anything? See rights")
    if heard.found:
        return fail(check, f"FOUND {heard.found} times: {found}", "stop the cameras: moretta pause; tell the makers")
    return ok(check, f"nothing found: {found}")


def refused(denied: bool) -> Finding:
    """Return whether the server refused a subscription to everything."""
    if denied:
        return ok("everything at once", "refused, as it should be")
    todo = "is this server's configuration that of moretta nats apply?"
    return fail("everything at once", "this identity may hear all that there is", todo)


def lifetime(late: float, pictures: float, source: str) -> Finding:
    """Return whether pictures lived as promised: at most `late` of `pictures` lived longer."""
    if not pictures:
        return left_out("pixel lifetime", f"no picture in {source}")
    found = f"at most {late:.0f} of {pictures:.0f} pictures lived over {_PROMISE_MS:.0f} ms, by {source}"
    if late * 100 > pictures:
        todo = "give inference more cores or replicas, or analyse fewer pictures (docs/capacity.md)"
        return warn("pixel lifetime", found, todo)
    return ok("pixel lifetime", found)
