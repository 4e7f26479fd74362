"""Films that a data folder has begun to count before: `moretta up` says so, since it counts their people again."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import av
import msgspec
from msgspec import Struct, structs

from services.aggregate.core.config import Schedule, SiteConfig
from services.ingest.sources.address import SourceError, address_of
from services.sites.settings import CameraSettings, SiteSettings, local_zone

FILE = "films.json"


class Film(Struct, frozen=True, kw_only=True):
    """A recorded file of a site. One that was changed since, or that another site counts, is another film."""

    site: str
    path: str
    size: int
    changed: int
    """When the file was last written, ns UTC."""


class Counting(Struct, frozen=True, kw_only=True):
    """When boxes with this data folder counted a film, ns UTC."""

    film: Film
    begun: int
    """When one first began to."""
    last: int
    """When one last did."""
    until: int = 0
    """When the box that last did ended, if it wrote that down."""
    reached: int = 0
    """To which moment its people may be counted, if it was read faster than it plays (`paced: false`).

    As if it was read to its end; where it was not, this is too late, and never too early.
    """


def begun_before(folder: Path, sites: Sequence[SiteSettings], now: int) -> list[str]:
    """Return a line for each film that the data folder has begun before, and for each site whose window may be over.

    All films are written down as begun `now`, too. A film that loops is counted at each turn, as its settings ask:
    nothing is said of it. What was begun is not known where the folder's list can't be read or written, and nobody is
    stopped by that.
    """
    films, known = list(_films(sites)), _read(folder)
    if not films:
        return []
    lines = [_line(site, camera, known[film]) for site, camera, film in films if film in known]
    lines += [line for site in sites for line in _over(site, known.values(), now)]
    for _, camera, film in films:
        reached = 0 if camera.paced else now + _length(film)
        before = known.get(film) or Counting(film=film, begun=now, last=now)
        known[film] = structs.replace(before, last=now, reached=reached)
    _write(folder, known)
    return lines


def write_end(folder: Path, sites: Sequence[SiteSettings], now: int) -> None:
    """Write down that a box with this folder stopped counting its films `now`."""
    known = _read(folder)
    ended = {film: structs.replace(known[film], until=now) for _, _, film in _films(sites) if film in known}
    if ended:
        _write(folder, known | ended)


def _over(site: SiteSettings, known: Iterable[Counting], now: int) -> Iterator[str]:
    """Yield a line if a site's films were played in a window that is not over: it is published once they have ended."""
    played = max((max(one.last, one.until, one.reached) for one in known if one.film.site == site.id), default=0)
    _, end = Schedule(SiteConfig.of(site)).window_at(played)
    if site.close_on_end and played and end > now:
        until = f"{datetime.fromtimestamp(end / 1e9, local_zone(site)):%H:%M:%S (%z)}"
        yield (
            f"{site.id}: films were played in the window that lasts until {until}; if they came to their end, it is"
            f" published, and nobody is counted before {until}: wait until then, or name another --data folder"
        )


def _line(site: SiteSettings, camera: CameraSettings, known: Counting) -> str:
    path, at = known.film.path, datetime.fromtimestamp(known.begun / 1e9, local_zone(site))
    return (
        f"{site.id}, camera {camera.id}: {path} was begun on {at:%Y-%m-%d at %H:%M (%z)} with the same --data, and"
        " its people are counted again; with another --data folder, or by `moretta count`, they are counted once"
    )


def _length(film: Film) -> int:
    """Return how long a film lasts, ns; 0 if it does not say so, or can't be read."""
    with contextlib.suppress(OSError, av.FFmpegError), av.open(film.path) as opened:
        return (opened.duration or 0) * 1_000
    return 0


def _read(folder: Path) -> dict[Film, Counting]:
    """Return what is known of each film; nothing if that can't be read."""
    try:
        found = msgspec.json.decode((folder / FILE).read_bytes(), type=list[Counting])
    except (OSError, msgspec.MsgspecError):
        return {}
    return {one.film: one for one in found}


def _write(folder: Path, known: Mapping[Film, Counting]) -> None:
    with contextlib.suppress(OSError):
        (made := folder / f"{FILE}.new").write_bytes(msgspec.json.format(msgspec.json.encode([*known.values()])))
        made.replace(folder / FILE)


def _films(sites: Sequence[SiteSettings]) -> Iterator[tuple[SiteSettings, CameraSettings, Film]]:
    for site in sites:
        for camera in site.cameras:
            with contextlib.suppress(OSError, SourceError):  # such as a film that may not be read: ingest tells of it
                path = None if camera.loop else _file(camera)
                if path is not None:
                    at = path.stat()
                    yield site, camera, Film(site=site.id, path=str(path), size=at.st_size, changed=at.st_mtime_ns)


def _file(camera: CameraSettings) -> Path | None:
    """Return the recorded file that a camera is; None if it is none, or is not there."""
    address = address_of(camera)
    path = Path(address.label)
    return path.resolve() if address.kind == "file" and path.is_file() else None
