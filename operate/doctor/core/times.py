"""Ages, ends and offsets in time, judged. Seconds, unless a name says otherwise."""

from operate.doctor.core.findings import Finding, fail, ok, warn

SOON_S = 21 * 86_400.0
"""A certificate that ends within three weeks is to be renewed: tools that do it by themselves would have done it."""
_UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "min"))


def in_words(seconds: float) -> str:
    """Return a span of time as people say it, in the largest unit of which it has two."""
    for size, name in _UNITS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"


def certificate(check: str, whose: str, left_s: float) -> Finding:
    """Return what is to be said of a certificate that ends in so many seconds."""
    if left_s <= 0:
        return fail(
            check, f"{whose} ended {in_words(-left_s)} ago", "renew it now; services take the new file by themselves"
        )
    if left_s < SOON_S:
        return warn(check, f"{whose} ends in {in_words(left_s)}", "renew it; services take the new file by themselves")
    return ok(check, f"{whose} ends in {in_words(left_s)}")


def last_window(site: str, age_s: float | None, window_s: float, lateness_s: float) -> Finding:
    """Return what is to be said of a site's last window, which ended so long ago; None: there is none."""
    check = f"windows of {site}"
    if age_s is None:
        todo = f"the first comes {in_words(window_s + lateness_s)} after aggregate began; else look at aggregate's log"
        return warn(check, "none was ever published", todo)
    most = window_s + lateness_s + max(30.0, window_s / 10)
    if age_s <= most:
        return ok(check, f"the last one ended {in_words(age_s)} ago; one is {in_words(window_s)} long")
    todo = "is aggregate running, has it the lease of this site, and is the bus well? See its /readyz and its log"
    return fail(check, f"the last one ended {in_words(age_s)} ago, and one is {in_words(window_s)} long", todo)


def clock(offset_s: float, uncertainty_s: float, most_s: float) -> Finding:
    """Return what is to be said of this host's clock, which is so far ahead of the NATS server's."""
    side = "ahead of" if offset_s > 0 else "behind"
    found = f"{abs(offset_s):.3f} s {side} the NATS server's (known to {uncertainty_s:.3f} s)"
    if abs(offset_s) - uncertainty_s > most_s:
        return fail("clock", found, f"at most {most_s:g} s is fair: run NTP on both machines")
    return ok("clock", found)
