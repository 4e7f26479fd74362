"""Compares streams and their limits, as JetStream's API tells them (NATS ADR-1), with what this version wants."""

from collections.abc import Iterator, Mapping

from operate.doctor.core.findings import Finding, fail, ok, warn
from proto.subjects import Stream
from services.bus.streams.stream_config import Config, config_of, differences

FULL = 0.8
"""Share of its limit from which on somebody should look at a stream."""
LITTLE_BYTES = 1 << 30
Info = Config
"""A stream's `config` and `state`, and `cluster` where there is one."""
_COPYING = ("mirror", "sources", "republish", "subject_transform")
_LATER = "aggregate brings it up to this version when it starts: restart it"


def streams(wanted: Mapping[Stream, Info | None], replicas: int) -> list[Finding]:
    """Return a finding for each faulty stream, and one for all the others; None means that a stream is missing."""
    troubled = [one for stream, info in wanted.items() for one in _of_stream(stream, info, replicas)]
    names = {one.check for one in troubled}
    good = {stream.name: filled(info) for stream, info in wanted.items() if info and _check(stream) not in names}
    if not good:
        return troubled
    name, share = max(good.items(), key=lambda one: one[1])
    return [*troubled, ok("streams", f"{len(good)} are as this version wants them; the fullest is {name}, {share:.0%}")]


def filled(info: Info) -> float:
    """Return the share of its limit that a stream takes."""
    most = limit(info)
    return float(info["state"]["bytes"]) / most if most > 0 else 0.0


def limit(info: Info) -> int:
    """Return how many bytes a stream may take; 0 if there is no limit."""
    return max(0, int(info["config"].get("max_bytes", 0)))


def _check(stream: Stream) -> str:
    return f"stream {stream.name}"


def _of_stream(stream: Stream, info: Info | None, replicas: int) -> Iterator[Finding]:
    check = _check(stream)
    if info is None:
        yield fail(check, "is not there", "aggregate makes it: is it running, with the seed of the identity aggregate?")
        return
    yield from _differences(check, info["config"], config_of(stream, replicas))
    yield from _copies(check, info.get("cluster") or {})
    if (share := filled(info)) >= FULL and stream.per_subject < 0:
        todo = (
            f"what is older is gone before its time; nats.streams.{stream.name} makes it larger, in settings and server"
        )
        yield warn(check, f"{share:.0%} full; its oldest messages make room for new ones", todo)


def _differences(check: str, have: Config, want: Config) -> Iterator[Finding]:
    """Yield findings where another version, or somebody else, changed a stream. It may keep more than the table."""
    found = differences(have, want)
    if refused := [str(one) for one in found if one.outcome == "refused"]:
        yield fail(check, "; ".join(refused), "no update changes that: Upgrade in docs/operations.md")
    if lacking := [str(one) for one in found if one.outcome == "extended"]:
        yield warn(check, "; ".join(lacking), _LATER)
    if copying := [name for name in _COPYING if have.get(name)]:
        todo = "who can make streams has set it: is aggregate's key still secret? See ADR 20"
        yield fail(check, f"{', '.join(copying)} is set, and never by Moretta", todo)


def _copies(check: str, cluster: Info) -> Iterator[Finding]:
    if cluster.get("replicas") and not cluster.get("leader"):
        yield fail(check, "has no leader: nothing can be stored", "are more than half of the NATS nodes up?")
    late = [one["name"] for one in cluster.get("replicas") or [] if one.get("offline") or not one.get("current")]
    if late:
        yield warn(check, f"copies that are not up to date: {', '.join(late)}", "bring these NATS nodes back")


def disk(folder: str, free: int, grow: int) -> Finding:
    """Return the finding on JetStream's disk; `grow` is how many bytes its streams may still take."""
    found = f"{size(free)} free in {folder}; streams may still grow by {size(grow)}"
    todo = "make room before it is full: what a full disk costs is in docs/operations.md"
    if free < min(grow, LITTLE_BYTES) / 2:
        return fail("disk", found, todo)
    return warn("disk", found, todo) if free < grow else ok("disk", found)


def size(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} bytes"
