"""Films that a data folder holds the people of: `moretta up` does not count them a second time unless told to."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from services.ingest.sources.address import SourceError, address_of
from services.kernel.settings import SettingsError
from services.sites.settings import CameraSettings, SiteSettings, local_zone

FILE = "films.json"


class Film(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recorded file of a site. One that was changed since, or that another site counts, is another film."""

    site: str
    path: str
    size: int
    changed: int
    """When the file was last written, ns UTC."""
    played: int = 0
    """When it was first played into the folder, ns UTC."""


def require_new(folder: Path, sites: Sequence[SiteSettings], file: Path | str) -> None:
    """Raise SettingsError, about the settings `file`, for each film whose people the data folder counts already."""
    known = {structs.replace(film, played=0): film.played for film in _read(folder)}
    found = [(path, _again(site, film, known[film], folder)) for path, site, film in _films(sites) if film in known]
    if found:
        raise SettingsError(file, found)


def remember(folder: Path, sites: Sequence[SiteSettings], now: int) -> None:
    """Write down which films are played into the data folder; OSError if that fails."""
    known = _read(folder)
    have = {structs.replace(film, played=0) for film in known}
    new = {film: None for _, _, film in _films(sites) if film not in have}
    if not new:
        return
    films = [*known, *(structs.replace(film, played=now) for film in new)]
    (made := folder / f"{FILE}.new").write_bytes(msgspec.json.format(msgspec.json.encode(films)))
    made.replace(folder / FILE)


def _again(site: SiteSettings, film: Film, played: int, folder: Path) -> str:
    at = datetime.fromtimestamp(played / 1e9, local_zone(site))
    return (
        f"{film.path!r} was played on {at:%Y-%m-%d at %H:%M (%z)}, and {str(folder)!r} holds its people: another start"
        " would count them a second time. Name another --data folder, or take `moretta count` for this film's figures"
        " alone; --again counts them once more"
    )


def _read(folder: Path) -> list[Film]:
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[Film])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        why = f"cannot be read: {error}; remove it if no film was played into this folder"
        raise SettingsError(file, [("", why)]) from None


def _films(sites: Sequence[SiteSettings]) -> Iterator[tuple[str, SiteSettings, Film]]:
    """Yield the films with their paths in the settings. One that loops is counted at each turn, as its settings ask."""
    for i, site in enumerate(sites):
        for j, camera in enumerate(site.cameras):
            path = None if camera.loop else _file(camera)
            if path is not None:
                at = path.stat()
                film = Film(site=site.id, path=str(path), size=at.st_size, changed=at.st_mtime_ns)
                yield f"sites[{i}].cameras[{j}].url", site, film


def _file(camera: CameraSettings) -> Path | None:
    """Return the recorded file that a camera is; None if it is none, or is not there."""
    try:
        address = address_of(camera)
    except SourceError:
        return None
    path = Path(address.label)
    return path.resolve() if address.kind == "file" and path.is_file() else None
