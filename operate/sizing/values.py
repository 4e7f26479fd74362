"""Output of `moretta size`: values for the chart, with their basis as comments. Pure."""

from collections.abc import Iterator

from operate.sizing.needs import BUSY, LEAST_S, REPLAY_PER_S, Need, ServiceNeed, kept_days, most_cameras
from services.bus.stream_sizes import in_words

VOLUME_MIB = 4_096
"""The chart's default."""


def values(need: Need, core_month: float | None = None) -> str:
    """Return YAML for `helm -f`; with a core's monthly price, also the cost of a camera."""
    lines = [f"# {line}" for line in _comment(need, core_month)]
    for part in need.parts:
        lines += _values(part)
    lines += list(_streams(need)) if need.sizes else []
    return "\n".join(lines) + "\n"


def _comment(need: Need, core_month: float | None) -> Iterator[str]:
    wanted = need.wanted
    sites = f"{wanted.sites} site{'s' * (wanted.sites > 1)}"
    analysed = f"{wanted.fps:g} pictures a second analysed"
    yield f"{wanted.cameras} cameras, {wanted.stream} H.264, {analysed}, {sites}"
    yield f"cores in use: {', '.join(f'{part.name} {part.cores:.2f}' for part in need.parts)}"
    yield f"pods ask for {need.asked_cores:.2f} cores, of which {BUSY:.0%} are in use"
    yield f"nats-server takes {need.frames_mb_s:.0f} MB/s of frames, and gives as much"
    if core_month is not None:
        each = need.cost_per_camera(core_month)
        yield f"a camera costs {each:.2f} a month where a core costs {core_month:g}; processor time alone"
    yield from doubts(need)


def doubts(need: Need) -> Iterator[str]:
    """Yield what one installation cannot keep with default streams, and what would help."""
    if "SIGHTINGS" in need.sizes:
        yield f"a restart of aggregate finds {need.reach_s:.0f} s of sightings and not {LEAST_S:.0f} s: the open"
        yield f"window loses coverage then. At most {most_cameras(need.wanted.fps)} cameras an installation avoid that,"
        yield f"or nats.streams below: then it reads for {need.sightings / REPLAY_PER_S:.0f} s, and windows are late"
    if "WINDOWS" in need.sizes:
        few = f"windows are kept for {need.window_days:.0f} days and not {kept_days():.0f}"
        yield f"{few}: more installations, or fewer zones, avoid that, or nats.streams below"
    if need.sizes:
        given = ", ".join(f"{name}: {in_words(size)}" for name, size in need.sizes.items())
        yield f"nats.yaml of a server of your own (moretta nats apply): streams: {{{given}}}"


def _streams(need: Need) -> Iterator[str]:
    """Yield, for NATS's section, the larger streams, and a volume that holds them if the chart's default does not."""
    sizes = {name: in_words(size).removesuffix("B") for name, size in need.sizes.items()}
    yield f"  streams: {{{', '.join(f'{name}: {size}' for name, size in sizes.items())}}}"
    if need.volume_mib > VOLUME_MIB:
        yield f"  storage: {{size: {need.volume_mib}Mi}}"


def _values(part: ServiceNeed) -> list[str]:
    replicas = [] if part.name == "nats" else [f"  replicas: {part.replicas}"]
    asked = f"    requests: {{cpu: {part.cpu_m}m, memory: {part.memory_mib}Mi}}"
    return [f"{part.name}:", *replicas, "  resources:", asked, f"    limits: {{memory: {part.memory_mib}Mi}}"]
