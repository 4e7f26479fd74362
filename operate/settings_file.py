"""Settings of a run: the user's file, cameras from the command line, and checks of the whole file."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import msgspec
import yaml

from operate.orders import OperatorFile
from operate.transparency.settings import TransparencyFile
from proto.types import WHOLE_SITE, CameraId, Profile
from services.aggregate.settings import AggregateFile
from services.inference.settings import InferenceFile
from services.ingest.settings import IngestFile
from services.ingest.sources.address import SourceError, address_of
from services.kernel.log import redact
from services.kernel.settings import SECRETS, STAND_IN, Problem, SettingsError, load, problems, raw_settings
from services.kernel.settings.explain import WRONG_KIND, shown
from services.kernel.tls import CertificateError
from services.notify.settings import NotifyFile
from services.notify.settings_warnings import warnings_of as notify_warnings
from services.sites.problems import names_user
from services.sites.profiles import PROFILES, TRIAL
from services.sites.settings import CameraSettings

SCHEMAS: dict[str, type[msgspec.Struct]] = {
    "ingest": IngestFile,
    "inference": InferenceFile,
    "aggregate": AggregateFile,
    "notify": NotifyFile,
    "transparency": TransparencyFile,
}
QUICK_SITE: dict[str, Any] = {"id": "site", "profile": TRIAL, "window_s": 60.0, "lateness_s": 5.0}
"""The site of `--camera` without a file and without `--profile` (ADR 52)."""


def quick_site(profile: Profile) -> dict[str, Any]:
    """Return that site under a profile, by this machine's clock, with windows as short as the profile lets them be."""
    window_s = max(QUICK_SITE["window_s"], PROFILES[profile].min_window_s)
    return QUICK_SITE | {"profile": profile, "window_s": window_s, "timezone": machine_timezone()}


def machine_timezone() -> str:
    """Return this machine's time zone by its name in the tz database; UTC if it has none there.

    It is that of the variable TZ, else that of /etc/localtime (localtime(5)).
    """
    named = os.environ.get("TZ", "").removeprefix(":")
    linked = os.path.realpath("/etc/localtime").rpartition("zoneinfo/")[2]
    found = next((name for name in (named, linked) if name in available_timezones()), "UTC")
    return "UTC" if found == "Etc/UTC" else found


def check(file: Path, *, secrets: bool = True) -> list[Problem]:
    """Return every problem that a service or a notice has with the file, and invalid camera addresses.

    A problem that several of them report is returned once.

    Without `secrets`, no file that the settings name is opened: neither secrets nor certificates.
    """
    found: list[Problem] = []
    for schema in SCHEMAS.values():
        found += _untold(_by_one(file, schema, secrets), found)
    return found


def _by_one(file: Path, schema: type[msgspec.Struct], secrets: bool) -> Iterator[Problem]:
    """Yield what one of those who read the file has against it."""
    try:
        settings = load(file, schema, secrets=secrets)
    except SettingsError as error:
        yield from error.problems
        return
    if isinstance(settings, IngestFile):
        yield from _wrong_addresses(settings)
    if secrets:
        yield from _unusable_certificates(settings)


def _untold(new: Iterable[Problem], known: list[Problem]) -> list[Problem]:
    """Return problems that are not known; of a value of the wrong kind each reader has words of its own."""
    places = {path for path, why in known if why.startswith(WRONG_KIND)}
    return [
        (path, why)
        for path, why in dict.fromkeys(new)
        if (path, why) not in known and not (path in places and why.startswith(WRONG_KIND))
    ]


def warnings_of(file: Path, *, secrets: bool = True) -> list[Problem]:
    """Return warnings about a valid file, notify's own among them.

    They are about cameras whose file is not here or whose password everybody can read, and rules that see nobody or
    fire by chance.
    """
    found: list[Problem] = []
    settings = load(file, IngestFile, secrets=secrets)
    for path, camera in _cameras(settings):
        address = address_of(camera)
        if address.kind in {"file", "device"} and not _is_here(Path(address.label)):
            where = "here" if Path(address.label).is_absolute() else f"in {Path.cwd()}"
            url = "" if Path(address.label).is_absolute() else ", and no URL such as rtsp://10.0.0.5/stream"
            why = f"{shown(camera.url)} is no file or device {where}{url}; without it the camera has no picture"
            found.append((path, why))
    return [
        *found,
        *_open_logins(file),
        *_blind_rules(settings),
        *_hasty_rules(settings),
        *notify_warnings(load(file, NotifyFile, secrets=secrets)),
    ]


def _open_logins(file: Path) -> Iterator[Problem]:
    """Yield addresses that hold a login in the settings themselves."""
    for i, site in enumerate(raw_settings(file, IngestFile).get("sites", [])):
        for j, camera in enumerate(site.get("cameras", [])):
            if names_user(str(camera.get("url", ""))):
                why = "the settings hold a login; give `user`, and `password_file` with the password as it is"
                yield f"sites[{i}].cameras[{j}].url", why


def _blind_rules(settings: IngestFile) -> Iterator[Problem]:
    """Yield rules about zones that no camera sees: they can never fire."""
    for i, site in enumerate(settings.sites):
        seen = {WHOLE_SITE} | {camera.zone for camera in site.cameras}
        seen |= {area.zone for camera in site.cameras for area in camera.zone_areas}
        for j, rule in enumerate(site.rules):
            if rule.zone not in seen:
                yield f"sites[{i}].rules[{j}].zone", f"no camera sees the zone {rule.zone!r}: the rule can never fire"


def _hasty_rules(settings: IngestFile) -> Iterator[Problem]:
    """Yield rules that fire after a single window, but for trials, which are to show an alert soon."""
    for i, site in enumerate(settings.sites):
        for j, rule in enumerate(site.rules):
            if rule.for_windows == 1 and not PROFILES[site.profile].is_trial:
                why = "1 fires after a single window, often by chance, also where the true rate is above fire_below"
                yield f"sites[{i}].rules[{j}].for_windows", f"{why}; leave it out for 2 windows in a row"


def _is_here(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no file system has such a name
        return False


def _cameras(settings: IngestFile) -> Iterator[tuple[str, CameraSettings]]:
    for i, site in enumerate(settings.sites):
        numbered = enumerate(site.cameras)
        yield from ((f"sites[{i}].cameras[{j}].url", one) for j, one in numbered if one.url != STAND_IN)


def _wrong_addresses(settings: IngestFile) -> Iterator[Problem]:
    """Yield camera addresses that cannot be valid; the services themselves run without such a camera."""
    for path, camera in _cameras(settings):
        try:
            address_of(msgspec.structs.replace(camera, tls_verify=False))  # a certificate's file may lie elsewhere
        except SourceError as error:
            yield path, error.message


def _unusable_certificates(settings: Any) -> Iterator[Problem]:
    """Yield the problems of the TLS files that these settings name."""
    for load_files in tls_of(settings):
        try:
            load_files()
        except CertificateError as error:
            yield error.field, error.why


def tls_of(settings: Any) -> Iterator[Callable[[], object]]:
    """Yield a function that loads each TLS part of these settings; it raises CertificateError for an unusable file."""
    if (nats := getattr(settings, "nats", None)) is not None:
        yield nats.tls
    if (tracing := getattr(settings, "tracing", None)) is not None:
        yield tracing.tls
    if isinstance(settings, IngestFile) and settings.ingest.web is not None:
        yield settings.ingest.web.tls
    if isinstance(settings, NotifyFile):
        yield from (section.tls for section in (settings.notify.smtp, settings.notify.sms) if section is not None)
        for i, receiver in enumerate(settings.notify.receivers):
            for j, hook in enumerate(receiver.webhooks):
                yield partial(hook.tls, f"notify.receivers[{i}].webhooks[{j}]")


def require(file: Path, shown_as: Path | str | None = None) -> None:
    """Raise SettingsError unless all four services can use the file; `shown_as` is its name in the error."""
    if found := check(file):
        raise SettingsError(shown_as or file, found)


def elsewhere(file: Path) -> str | None:
    """Return the NATS URL that file or environment set, without a password; None if they set none."""
    nats = raw_settings(file, OperatorFile).get("nats")
    url = nats.get("url") if isinstance(nats, dict) else None
    return redact(str(url)) if url is not None else None


def with_cameras(
    file: Path | None, cameras: list[str], folder: Path, profile: Profile = TRIAL, page_host: str | None = None
) -> Path:
    """Return the settings file to run: the user's own, or one in `folder` with the cameras added to its first site.

    Each camera is `NAME=URL`; SettingsError names one that is not. `profile` and `page_host` are those of settings
    without a file.
    """
    if file is not None and not cameras:
        return file
    page = {"aggregate": {"page": {"host": page_host, "port": 0}}} if page_host is not None else {}
    quick = {"sites": [quick_site(profile)]} | page
    raw: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) if file else quick
    if file is not None:
        raw = _absolute(raw, file.resolve().parent)
    if not raw.get("sites"):
        raise SettingsError(file or "--camera", [("sites", "is not in the file; --camera adds to the first one there")])
    site = raw["sites"][0]
    site["cameras"] = [*site.get("cameras", []), *(_camera(text) for text in cameras)]
    made = folder / "settings.yaml"
    made.touch(mode=0o600)
    made.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return made


def _absolute(value: Any, folder: Path) -> Any:
    """Return the settings with the paths of secrets' files resolved against the folder of the user's own file."""
    if isinstance(value, list):
        return [_absolute(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _path(str(key), item, folder) for key, item in value.items()}


def _path(key: str, item: Any, folder: Path) -> Any:
    is_secret = key.endswith("_file") and key.removesuffix("_file") in SECRETS
    return str(folder / item) if is_secret and isinstance(item, str) else _absolute(item, folder)


def require_sources(cameras: list[str]) -> None:
    """Raise SettingsError for a camera whose file or device is not here: it would never start."""
    for name, _, url in (text.partition("=") for text in cameras):
        if "://" not in url and not Path(url).exists():
            why = f"{redact(url)!r} is no file or device here, and no URL such as rtsp://10.0.0.5/stream"
            raise SettingsError("--camera", [(name, why)])


def _camera(text: str) -> dict[str, Any]:
    name, equals, url = text.partition("=")
    if not equals or not name or not url:
        raise SettingsError("--camera", [("", f"{redact(text)!r} is not NAME=URL, as in gate=rtsp://10.0.0.5/stream")])
    if wrong := list(problems(CameraId, name, "NAME")):
        raise SettingsError("--camera", wrong)
    path = Path(url)
    return {"id": name, "url": str(path.resolve()) if path.exists() else url}
