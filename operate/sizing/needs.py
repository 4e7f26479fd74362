"""How much a number of cameras needs. Every figure is one that `make bench` measured (docs/capacity.md). Pure."""

from dataclasses import dataclass, replace
from math import ceil, floor

from operate.identities import limits
from operate.sizing import Resolution
from proto.subjects import stream
from services.aggregate.core.config import SECOND
from services.aggregate.core.retention import MARGIN
from services.bus.sizes import Sizes

DECODE_MS: dict[Resolution, float] = {"1080p": 90.5, "720p": 49.5}
"""Processor time of ingest for a second of a camera's H.264 with 25 pictures, of which none is analysed."""
MOST_CAMERAS: dict[Resolution, int] = {"1080p": 14, "720p": 21}
"""The most cameras that one ingest process has served, on two cores and with the rest of Moretta beside it."""
SEND_MS = 1.5
"""Of ingest, and so on, for each analysed picture: scaled, sealed, sent, answered."""
INFER_MS = 5.2
FRAME_MS = 0.55
"""Of nats-server, for a frame and its answer; `SIGHTING_MS` is for the sighting that comes of it."""
SIGHTING_MS = {"nats": 0.040, "aggregate": 0.130, "notify": 0.0}
FIXED_CORES = {"ingest": 0.010, "inference": 0.006, "nats": 0.014, "aggregate": 0.025, "notify": 0.009}
"""What a process takes without any camera."""
SITE_CORES = {"nats": 0.0009, "aggregate": 0.0005, "notify": 0.0018}
"""What a further site takes."""
MEMORY_MIB = {"ingest": 309, "inference": 128, "aggregate": 165, "notify": 125}
"""Resident memory at the most cameras that were measured; nats-server's is by what its streams may hold."""
FRAME_BYTES = 345_600
"""A picture of 640x360, sealed."""
SIGHTING_BYTES = 490
"""In the stream SIGHTINGS, with 1.6 faces on average."""
WINDOW_BYTES = 733
"""In the stream WINDOWS."""
BUSY = 0.7
"""Share of the processor time asked for that is to be in use, as the chart's autoscaling has it."""
_LEAST_M, _STEP_M = 50, 50
_ROUNDING = 1e-9
"""Of a step: what floating point adds makes none more."""
_DAY_S, _WINDOW_S = 86_400, 1_200
LEAST_S = _WINDOW_S + 5 + MARGIN / SECOND
"""How far back a restart reads: the open window, its lateness, and until a dead pod is replaced."""
REPLAY_PER_S = 10_000
"""Sightings that a restart of aggregate reads in a second of processor time."""
_SPARE, _STEP_MIB = 2.0, 128
_MIB = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """What is to run; each camera has 25 pictures a second, of which `fps` are analysed at 640x360."""

    cameras: int
    resolution: Resolution = "1080p"
    fps: float = 5.0
    sites: int = 1
    zones: int = 1
    """Zones that publish windows of 20 minutes, all sites together."""


@dataclass(frozen=True)
class ServiceNeed:
    """One service: cores in use, all pods together, and what each pod is to ask for."""

    name: str
    cores: float
    replicas: int
    cpu_m: int
    """Thousandths of a core."""
    memory_mib: int

    @property
    def asked_cores(self) -> float:
        """Cores that all its pods ask for."""
        return self.replicas * self.cpu_m / 1e3


@dataclass(frozen=True)
class Need:
    """What all of it needs."""

    wanted: Wanted
    parts: tuple[ServiceNeed, ...]
    frames_mb_s: float
    """Frames on the bus, 10^6 bytes a second; as much goes into nats-server as comes out of it."""
    reach_s: float
    """How far back the stream SIGHTINGS goes, for a restart, as large as it is by itself; at most its age."""
    window_days: float
    """For how long windows are kept in a stream as large as it is by itself, at most their age."""
    sizes: Sizes
    """Bytes of the streams that must be larger than by themselves for a whole restart, and for windows' whole age."""

    @property
    def asked_cores(self) -> float:
        """Cores that all pods ask for."""
        return sum(part.asked_cores for part in self.parts)

    @property
    def sightings(self) -> int:
        """How many sightings a restart reads, so that the open window is whole."""
        return ceil(self.wanted.cameras * self.wanted.fps * LEAST_S)

    @property
    def volume_mib(self) -> int:
        """The volume of a server: files may take twice what JetStream may hold, as the chart demands."""
        return _rounded(_SPARE * limits(self.sizes)["max_file_store"] / _MIB)

    def cost_per_camera(self, core_month: float) -> float:
        """Return what a camera costs a month by the price of a core for a month; processor time alone."""
        return self.asked_cores * core_month / self.wanted.cameras


def need(wanted: Wanted) -> Need:
    """Return what is needed; at least two pods of each service, so that one may die."""
    cores, sizes = cores_of(wanted), sizes_of(wanted)
    active = min(2, wanted.sites)
    parts = (
        _part("ingest", cores, max(2, ceil(wanted.cameras / MOST_CAMERAS[wanted.resolution]))),
        _part("inference", cores, max(2, ceil(cores["inference"] / BUSY))),
        _part("aggregate", cores, 2, active),
        _part("notify", cores, 2, active),
        replace(_part("nats", cores, 1), memory_mib=_nats_mib(sizes)),
    )
    frames_mb_s = wanted.cameras * wanted.fps * FRAME_BYTES / 1e6
    return Need(wanted, parts, frames_mb_s, _reach_s(wanted), _window_days(wanted), sizes)


def sizes_of(wanted: Wanted) -> dict[str, int]:
    """Return which streams must be larger than by themselves, in steps, and how many bytes."""
    held = {
        "SIGHTINGS": wanted.cameras * wanted.fps * SIGHTING_BYTES * LEAST_S,
        "WINDOWS": _windows_a_day(wanted) * kept_days(),
    }
    return {name: _rounded(size / _MIB) * _MIB for name, size in held.items() if size > stream(name).max_bytes}


def cores_of(wanted: Wanted) -> dict[str, float]:
    """Return the cores that each service has in use."""
    pictures = wanted.cameras * wanted.fps
    ms = {
        "ingest": wanted.cameras * DECODE_MS[wanted.resolution] + pictures * SEND_MS,
        "inference": pictures * INFER_MS,
        "nats": pictures * (FRAME_MS + SIGHTING_MS["nats"]),
        "aggregate": pictures * SIGHTING_MS["aggregate"],
        "notify": pictures * SIGHTING_MS["notify"],
    }
    further = {name: SITE_CORES.get(name, 0.0) * (wanted.sites - 1) for name in ms}
    return {name: FIXED_CORES[name] + further[name] + each / 1e3 for name, each in ms.items()}


def _part(name: str, cores: dict[str, float], replicas: int, active: int | None = None) -> ServiceNeed:
    """Return a service's pods; `active` of them share what there is to do."""
    asked = 1e3 * cores[name] / (active or replicas) / BUSY
    memory = _rounded(_SPARE * MEMORY_MIB.get(name, 0))
    return ServiceNeed(name, cores[name], replicas, max(_LEAST_M, _STEP_M * ceil(asked / _STEP_M - _ROUNDING)), memory)


def _nats_mib(sizes: Sizes) -> int:
    """Return what nats-server needs for its streams in memory, full: twice what they hold, as the chart demands."""
    return _rounded(_SPARE * limits(sizes)["max_memory_store"] / _MIB)


def _rounded(mib: float) -> int:
    return _STEP_MIB * ceil(mib / _STEP_MIB)


def _reach_s(wanted: Wanted) -> float:
    sightings = stream("SIGHTINGS")
    return min(sightings.max_age_s or 0.0, sightings.max_bytes / (wanted.cameras * wanted.fps * SIGHTING_BYTES))


def _window_days(wanted: Wanted) -> float:
    return min(kept_days(), stream("WINDOWS").max_bytes / _windows_a_day(wanted))


def _windows_a_day(wanted: Wanted) -> float:
    """Return the bytes that a day's windows take."""
    return (wanted.zones + wanted.sites) * _DAY_S / _WINDOW_S * WINDOW_BYTES


def kept_days() -> float:
    """Return for how many days windows are kept where there is room."""
    return (stream("WINDOWS").max_age_s or 0.0) / _DAY_S


def most_cameras(fps: float = 5.0) -> int:
    """Return with how many cameras a restart finds all of an open window of 20 minutes."""
    return floor(stream("SIGHTINGS").max_bytes / (LEAST_S * fps * SIGHTING_BYTES))
