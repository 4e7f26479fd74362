"""The resources that a number of cameras needs. `make bench` measured every figure (docs/capacity.md). Pure."""

from dataclasses import dataclass, replace
from math import ceil, floor

from operate.identities import limits
from operate.sizing import Sent
from proto.subjects import stream
from services.aggregate.core.config import SECOND
from services.aggregate.core.restart.retention import MARGIN
from services.bus.stream_sizes import Sizes

DECODE_MS: dict[Sent, float] = {"1080p25": 90.5, "720p25": 49.5, "720p8": 27.5, "360p8": 7.5}
"""Processor time of ingest, ms, for a second of a camera's H.264 of which no picture is analysed."""
MAX_CAMERAS: dict[Sent, int] = {"1080p25": 14, "720p25": 21, "720p8": 22, "360p8": 22}
"""The most cameras that one ingest process has served, on two cores that it shared with the rest of Moretta."""
SEND_MS = 1.5
"""Processor time of ingest, ms, for each analysed picture: scaled, sealed, sent, answered. Next: of inference."""
INFER_MS = 8.2
FRAME_MS = 0.55
"""Processor time of nats-server, ms, for a frame and its answer; `SIGHTING_MS` is for the sighting made of it."""
SIGHTING_MS = {"nats": 0.040, "aggregate": 0.130, "notify": 0.0}
FIXED_CORES = {"ingest": 0.010, "inference": 0.006, "nats": 0.014, "aggregate": 0.025, "notify": 0.009}
"""Cores that a process uses without any camera."""
SITE_CORES = {"nats": 0.0009, "aggregate": 0.0005, "notify": 0.0018}
"""Cores that each further site takes."""
MEMORY_MIB = {"ingest": 309, "inference": 181, "aggregate": 165, "notify": 125}
"""Resident memory at the most cameras that were measured; nats-server's depends on what its streams may hold."""
FRAME_BYTES = 345_600
"""A picture of 640x360, sealed."""
SIGHTING_BYTES = 490
"""Bytes of a sighting in the stream SIGHTINGS, with 1.6 faces on average."""
WINDOW_BYTES = 1_020
"""Bytes of a window in the stream WINDOWS."""
BUSY = 0.7
"""The share of the requested processor time that should be in use, as in the chart's autoscaling."""
_LEAST_M, _STEP_M = 50, 50
_ROUNDING = 1e-9
"""A fraction of a step: floating-point errors below it add no further step."""
_DAY_S, _WINDOW_S = 86_400, 1_200
LEAST_S = _WINDOW_S + 5 + MARGIN / SECOND
"""Seconds that a restart reads back: the open window, its lateness, and the time until a dead pod is replaced."""
REPLAY_PER_S = 10_000
"""Sightings that a restart of aggregate reads in a second of processor time."""
_SPARE, _STEP_MIB = 2.0, 128
_MIB = 1 << 20


@dataclass(frozen=True)
class Installation:
    """The wanted installation. Of each camera's stream `fps` pictures a second are analysed, at 640x360."""

    cameras: int
    stream: Sent = "1080p25"
    fps: float = 5.0
    sites: int = 1
    zones: int = 1
    """Zones that publish windows of 20 minutes, all sites together."""


@dataclass(frozen=True)
class ServiceNeed:
    """One service: cores that all its pods use together, and the resources that each pod should request."""

    name: str
    cores: float
    replicas: int
    cpu_m: int
    """Thousandths of a core."""
    memory_mib: int

    @property
    def asked_cores(self) -> float:
        """Cores that all its pods request."""
        return self.asked_m / 1e3

    @property
    def asked_m(self) -> int:
        """Thousandths of a core that all its pods request."""
        return self.replicas * self.cpu_m


@dataclass(frozen=True)
class Need:
    """The resources that the whole installation needs."""

    wanted: Installation
    parts: tuple[ServiceNeed, ...]
    frames_mb_s: float
    """Frames on the bus, 10^6 bytes a second; nats-server receives this much and sends as much."""
    reach_s: float
    """Seconds that the stream SIGHTINGS goes back, for a restart, at its default size; at most its maximum age."""
    window_days: float
    """For how many days a stream of the default size keeps windows; at most their maximum age."""
    sizes: Sizes
    """Bytes of the streams that must be larger than their default, for a whole restart and for windows' whole age."""

    @property
    def asked_cores(self) -> float:
        """Cores that all pods request, from whole thousandths: Python 3.12 adds fractions in another way than 3.11."""
        return sum(part.asked_m for part in self.parts) / 1e3

    @property
    def sightings(self) -> int:
        """How many sightings a restart reads, so that the open window is whole."""
        return ceil(self.wanted.cameras * self.wanted.fps * LEAST_S)

    @property
    def volume_mib(self) -> int:
        """The volume of a server, MiB: files may take twice what JetStream may hold, as the chart demands."""
        return _rounded(_SPARE * limits(self.sizes)["max_file_store"] / _MIB)

    def cost_per_camera(self, core_month: float) -> float:
        """Return the monthly cost of a camera, from the monthly price of a core; processor time alone."""
        return self.asked_cores * core_month / self.wanted.cameras


def need(wanted: Installation) -> Need:
    """Return the needed resources, with at least two pods of each service, so that one may die."""
    cores, sizes = cores_of(wanted), sizes_of(wanted)
    active = min(2, wanted.sites)
    parts = (
        _part("ingest", cores, max(2, ceil(wanted.cameras / MAX_CAMERAS[wanted.stream]))),
        _part("inference", cores, max(2, ceil(cores["inference"] / BUSY))),
        _part("aggregate", cores, 2, active),
        _part("notify", cores, 2, active),
        replace(_part("nats", cores, 1), memory_mib=_nats_mib(sizes)),
    )
    frames_mb_s = wanted.cameras * wanted.fps * FRAME_BYTES / 1e6
    return Need(wanted, parts, frames_mb_s, _reach_s(wanted), _window_days(wanted), sizes)


def sizes_of(wanted: Installation) -> dict[str, int]:
    """Return the bytes of each stream that must be larger than its default, rounded up to steps."""
    held = {
        "SIGHTINGS": wanted.cameras * wanted.fps * SIGHTING_BYTES * LEAST_S,
        "WINDOWS": _windows_a_day(wanted) * kept_days(),
    }
    return {name: _rounded(size / _MIB) * _MIB for name, size in held.items() if size > stream(name).max_bytes}


def cores_of(wanted: Installation) -> dict[str, float]:
    """Return the cores that each service has in use."""
    pictures = wanted.cameras * wanted.fps
    ms = {
        "ingest": wanted.cameras * DECODE_MS[wanted.stream] + pictures * SEND_MS,
        "inference": pictures * INFER_MS,
        "nats": pictures * (FRAME_MS + SIGHTING_MS["nats"]),
        "aggregate": pictures * SIGHTING_MS["aggregate"],
        "notify": pictures * SIGHTING_MS["notify"],
    }
    further = {name: SITE_CORES.get(name, 0.0) * (wanted.sites - 1) for name in ms}
    return {name: FIXED_CORES[name] + further[name] + each / 1e3 for name, each in ms.items()}


def _part(name: str, cores: dict[str, float], replicas: int, active: int | None = None) -> ServiceNeed:
    """Return a service's needs; `active` of its pods share the work."""
    asked = 1e3 * cores[name] / (active or replicas) / BUSY
    memory = _rounded(_SPARE * MEMORY_MIB.get(name, 0))
    return ServiceNeed(name, cores[name], replicas, max(_LEAST_M, _STEP_M * ceil(asked / _STEP_M - _ROUNDING)), memory)


def _nats_mib(sizes: Sizes) -> int:
    """Return nats-server's memory, MiB, for full streams in memory: twice what they hold, as the chart demands."""
    return _rounded(_SPARE * limits(sizes)["max_memory_store"] / _MIB)


def _rounded(mib: float) -> int:
    return _STEP_MIB * ceil(mib / _STEP_MIB)


def _reach_s(wanted: Installation) -> float:
    sightings = stream("SIGHTINGS")
    return min(sightings.max_age_s or 0.0, sightings.max_bytes / (wanted.cameras * wanted.fps * SIGHTING_BYTES))


def _window_days(wanted: Installation) -> float:
    return min(kept_days(), stream("WINDOWS").max_bytes / _windows_a_day(wanted))


def _windows_a_day(wanted: Installation) -> float:
    """Return the bytes that a day's windows take."""
    return (wanted.zones + wanted.sites) * _DAY_S / _WINDOW_S * WINDOW_BYTES


def kept_days() -> float:
    """Return for how many days windows are kept if there is room."""
    return (stream("WINDOWS").max_age_s or 0.0) / _DAY_S


def pictures(sent: Sent) -> int:
    """Return how many pictures a second a stream has."""
    return int(sent.partition("p")[2])


def most_cameras(fps: float = 5.0) -> int:
    """Return the most cameras with which a restart still finds all of an open window of 20 minutes."""
    return floor(stream("SIGHTINGS").max_bytes / (LEAST_S * fps * SIGHTING_BYTES))
