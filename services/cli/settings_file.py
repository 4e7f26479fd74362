"""Settings of a run: the user's file, cameras from the command line, and checks of the whole file."""

from pathlib import Path
from typing import Any

import msgspec
import yaml

from services.aggregate.settings import AggregateFile
from services.inference.settings import InferenceFile
from services.ingest.settings import IngestFile
from services.notify.settings import NotifyFile
from services.settings import Problem, SettingsError, load

SCHEMAS: dict[str, type[msgspec.Struct]] = {
    "ingest": IngestFile,
    "inference": InferenceFile,
    "aggregate": AggregateFile,
    "notify": NotifyFile,
}
QUICK_SITE: dict[str, Any] = {"id": "site", "profile": "lab", "window_s": 60.0, "lateness_s": 5.0}
"""The site that `--camera` makes without a file: the profile for trials, so that numbers come within minutes."""


def check(file: Path) -> list[Problem]:
    """Return every problem that any of the four services has with the file, each once."""
    found: dict[Problem, None] = {}
    for schema in SCHEMAS.values():
        try:
            load(file, schema)
        except SettingsError as error:
            found |= dict.fromkeys(error.problems)
    return list(found)


def require(file: Path) -> None:
    """Raise SettingsError unless all four services can use the file."""
    if problems := check(file):
        raise SettingsError(file, problems)


def with_cameras(file: Path | None, cameras: list[str], folder: Path) -> Path:
    """Return the settings file to run: the user's own, or one in `folder` with the cameras added to its first site.

    A camera is `NAME=URL`; SettingsError names what is not.
    """
    if file is not None and not cameras:
        return file
    raw: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) if file else {"sites": [dict(QUICK_SITE)]}
    if file is not None:
        raw = _absolute(raw, file.resolve().parent)
    site = raw["sites"][0]
    site["cameras"] = [*site.get("cameras", []), *(_camera(text) for text in cameras)]
    made = folder / "settings.yaml"
    made.touch(mode=0o600)
    made.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return made


def _absolute(value: Any, folder: Path) -> Any:
    """Return the settings with the paths of `x_file` keys as seen from the user's own file."""
    if isinstance(value, list):
        return [_absolute(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: str(folder / item) if str(key).endswith("_file") and isinstance(item, str) else _absolute(item, folder)
        for key, item in value.items()
    }


def _camera(text: str) -> dict[str, Any]:
    name, equals, url = text.partition("=")
    if not equals or not name or not url:
        raise SettingsError("--camera", [(text, "is not NAME=URL, as in gate=rtsp://10.0.0.5/stream")])
    path = Path(url)
    return {"id": name, "url": str(path.resolve()) if path.exists() else url}
