"""Films that a data folder has begun to count before: `moretta up` says so, since it counts their people again."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

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
    begun: int = 0
    """When a box with this folder first began to count it, ns UTC."""
    last: int = 0
    """When one last did."""
    until: int = 0
    """When the box that last did ended, if it wrote that down."""


def begun_before(folder: Path, sites: Sequence[SiteSettings], now: int) -> list[str]:
    """Return a line for each film that the data folder has begun before, and for each site whose window may be over.

    All films are written down as begun `now`, too. A film that loops is counted at each turn, as its settings ask:
    nothing is said of it. What was begun is not known where the folder's list can't be read or written, and nobody is
    stopped by that.
    """
    films = [(site, camera, film) for site, camera, film in _films(sites)]
    if not films:
        return []
    before = {_key(film): film for film in _read(folder)}
    lines = [_line(site, camera, film, before[film].begun) for site, camera, film in films if film in before]
    lines += [line for site in sites for line in _over(site, before.values(), now)]
    here = {film: before.get(film, structs.replace(film, begun=now)) for _, _, film in films}
    _write(folder, list((before | {key: structs.replace(film, last=now) for key, film in here.items()}).values()))
    return lines


def write_end(folder: Path, sites: Sequence[SiteSettings], now: int) -> None:
    """Write down that a box with this folder stopped counting its films `now`."""
    here = {_key(film) for _, _, film in _films(sites)}
    if here:
        known = {_key(film): film for film in _read(folder)}
        _write(folder, [structs.replace(film, until=now) if key in here else film for key, film in known.items()])


def _over(site: SiteSettings, before: Iterable[Film], now: int) -> Iterator[str]:
    """Yield a line if a site's films were played in the window of now: it is published once all of them have ended."""
    start, end = Schedule(SiteConfig.of(site)).window_at(now)
    if site.close_on_end and any(start <= max(film.last, film.until) < end for film in before if film.site == site.id):
        until = f"{datetime.fromtimestamp(end / 1e9, local_zone(site)):%H:%M:%S (%z)}"
        yield (
            f"{site.id}: films were played in the window that lasts until {until}; if they came to their end, it is"
            f" published, and nobody is counted before {until}: wait until then, or name another --data folder"
        )


def _key(film: Film) -> Film:
    return structs.replace(film, begun=0, last=0, until=0)


def _line(site: SiteSettings, camera: CameraSettings, film: Film, begun: int) -> str:
    at = datetime.fromtimestamp(begun / 1e9, local_zone(site))
    return (
        f"{site.id}, camera {camera.id}: {film.path} was begun on {at:%Y-%m-%d at %H:%M (%z)} with the same --data, and"
        " its people are counted again; with another --data folder, or by `moretta count`, they are counted once"
    )


def _read(folder: Path) -> list[Film]:
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=list[Film])
    except (OSError, msgspec.MsgspecError):
        return []


def _write(folder: Path, films: Sequence[Film]) -> None:
    with contextlib.suppress(OSError):
        (made := folder / f"{FILE}.new").write_bytes(msgspec.json.format(msgspec.json.encode(films)))
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
