"""Writes a camera into a settings file: checked before the camera is asked, and again before the file is replaced."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from operate.cameras.core.insertion import Entry, InsertionError, lines, with_camera
from operate.settings_file import check
from services.ingest.settings import IngestFile
from services.kernel.settings import SettingsError, load
from services.sites.settings import SiteSettings

_SECRET_MODE = 0o600


@dataclass(frozen=True)
class CameraEdit:
    """What will be written, and where."""

    file: Path
    before: str
    text: str
    """The whole file, as it was and with the camera in it."""
    site: str
    url_file: Path


def planned(
    file: Path, site: str | None, name: str, *, zone: str | None, url_file: Path | None, long_side: int, fps: float,
    link_local: bool, ca_file: str | None = None,
) -> CameraEdit:  # fmt: skip
    """Return what would be written; SettingsError if that could not be, or would not be good settings."""
    place = _site(file, load(file, IngestFile, secrets=False).sites, site)
    if any(one.id == name for one in place.cameras):
        raise SettingsError(file, [("", f"site {place.id} has a camera {name!r} already; take another --id")])
    where = (url_file or file.parent / f"{name}.url").absolute()
    if where.exists():
        raise SettingsError(where, [("", "is there already; name another --url-file, or remove it")])
    beside = where.parent == file.parent.absolute()
    camera: dict[str, str | bool | int | float] = {"id": name}
    camera |= {"zone": zone} if zone is not None else {}
    camera["url_file"] = where.name if beside else str(where)
    camera |= {"long_side": long_side} if long_side != 640 else {}
    camera |= {"fps": fps} if fps != 5.0 else {}
    camera |= {"allow_link_local": True} if link_local else {}
    camera |= {"ca_file": str(Path(ca_file).absolute())} if ca_file is not None else {}
    before = _text(file)
    return CameraEdit(file, before, _checked(file, before, place.id, camera), place.id, where)


def _text(file: Path) -> str:
    return file.read_bytes().decode()  # line ends as they are


def _site(file: Path, sites: list[SiteSettings], wanted: str | None) -> SiteSettings:
    known = ", ".join(one.id for one in sites)
    if wanted is None and len(sites) != 1:
        raise SettingsError(file, [("", f"has several sites; say which with --site: {known}")])
    found = next((one for one in sites if wanted in {None, one.id}), None)
    if found is None:
        raise SettingsError(file, [("", f"has no site {wanted!r}; known are {known}")])
    return found


def _checked(file: Path, before: str, site: str, camera: Entry) -> str:
    """Return the file's text with the camera; SettingsError if no service could use it."""
    try:
        text = with_camera(before, site, camera)
    except InsertionError as error:
        yours = "; ".join(line.strip() for line in lines(camera, 0))
        raise SettingsError(file, [("", f"{error}; write the camera into it yourself: {yours}")]) from None
    scratch = _beside(file, text)
    try:
        found = check(scratch, secrets=False)
    finally:
        scratch.unlink()
    if found:
        raise SettingsError(file, [(path, f"{why} (with the new camera)") for path, why in found])
    return text


def written(plan: CameraEdit, url: str) -> None:
    """Write the URL's file and then the settings, as a whole or not at all; SettingsError if they changed meanwhile."""
    if _text(plan.file) != plan.before:
        raise SettingsError(plan.file, [("", "has changed meanwhile; run it again")])
    made = os.open(plan.url_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET_MODE)
    try:
        with os.fdopen(made, "w", encoding="utf-8") as file:
            _give(made, plan)
            file.write(f"{url}\n")
        new = _beside(plan.file, plan.text)
        try:
            new.replace(plan.file.resolve())
        except OSError:
            new.unlink()
            raise
    except OSError:
        with suppress(OSError):
            plan.url_file.unlink()
        raise


def _give(made: int, plan: CameraEdit) -> None:
    """Give the URL's file to the owner of the settings: who reads these has to read it, too."""
    kept = plan.file.resolve().stat()
    if (os.fstat(made).st_uid, os.fstat(made).st_gid) == (kept.st_uid, kept.st_gid):
        return
    try:
        os.fchown(made, kept.st_uid, kept.st_gid)
    except PermissionError:
        if os.fstat(made).st_uid != kept.st_uid:
            why = f"cannot be given to the owner of {plan.file}, who could not read it; run this as they, or as root"
            plan.url_file.unlink()
            raise SettingsError(plan.url_file, [("", why)]) from None


def _beside(file: Path, text: str) -> Path:
    """Return a new file with this text, with the owner and the rights of `file`, in its folder."""
    real = file.resolve()
    kept = real.stat()
    number, name = tempfile.mkstemp(prefix=f".{real.name}.", suffix=".new", dir=real.parent)
    with os.fdopen(number, "w", encoding="utf-8", newline="") as made:
        made.write(text)
        os.fchmod(number, kept.st_mode & 0o777)
        with suppress(PermissionError):
            os.fchown(number, kept.st_uid, kept.st_gid)
    return Path(name)
