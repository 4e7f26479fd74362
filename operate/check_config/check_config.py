"""`moretta check-config`: checks a settings file, or values of the Helm chart with the chart's own rules."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from operate.check_config.chart_reach import unreached
from operate.check_config.chart_rules import chart_problems, unlooked
from operate.check_config.chart_values import BELOW, read_values, section
from operate.settings_file import check, warnings_of
from services.kernel.settings import Problem, SettingsError
from services.sites.profiles import TRIAL

_WARNING = "warning: "
_VALUES = "is a section of the chart's values, and this is to be a settings file; give it as --values FILE"


def looked_at(file: Path | None, values: list[Path], chart: Path | None, *, secrets: bool) -> tuple[str, list[Problem]]:
    """Return the names of what was checked, and warnings; SettingsError if it is invalid, or nothing is named."""
    if (file is None) == (not values):
        raise SettingsError("moretta check-config", [("", "needs FILE, or --values FILE, and not both")])
    if file is None:
        return ", ".join(map(str, values)), checked_values(values, chart)
    if chart is not None:
        raise SettingsError("--chart", [("", "goes with --values FILE")])
    return str(file), [(path, _WARNING + why) for path, why in checked(file, secrets=secrets)]


def checked(file: Path, *, secrets: bool) -> list[Problem]:
    """Return warnings about a settings file; SettingsError if it is invalid.

    Without `secrets`, no file that it names is opened.
    """
    if found := check(file, secrets=secrets):
        values = [one for one in found if one[0] == BELOW]  # no section of settings
        raise SettingsError(file, [(BELOW, _VALUES)] if values else found)
    return warnings_of(file, secrets=secrets)


def checked_values(files: list[Path], chart: Path | None = None) -> list[Problem]:
    """Return what is to be said of valid values of the chart; SettingsError if services or the chart refuse them.

    The files that `settings` names are in Secrets of the cluster: none is opened. Without helm, or without the chart,
    its own rules are not looked at, and `result` says so.
    """
    why = unlooked(chart)
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        values = read_values(files, Path(scratch))
        found, warnings = _by_services(values.merged(), Path(scratch))
        if why is None:
            found = [*found, *_more(chart_problems(values, chart, Path(scratch)), found)]
    if found:
        raise values.refused(found)
    merged = values.merged()
    out_of_reach = [(path, _WARNING + why) for path, why in unreached(merged)]
    return [*warnings, *out_of_reach, *_left_open(merged)]


def result(values: list[Path], chart: Path | None, *, secrets: bool) -> str:
    """Return the words for valid settings: what they are good for, and what was not checked, with how to have it."""
    unopened = "" if secrets and not values else "; the files that it names were not opened"
    why = unlooked(chart) if values else None
    good = f"good for the services; not checked: the chart's schema and templates: {why}" if why else "good"
    return good + unopened


def _left_open(merged: dict[str, Any]) -> list[Problem]:
    """Return what is still to be done before helm takes these values."""
    nats, made = section(merged, "nats"), section(merged, "identities").get("make") is True
    if nats.get("enabled") is False or nats.get("keys") or made:
        return []
    return [("nats.keys", "not given yet: `moretta nats apply DIR` writes them, or set identities.make: true")]


def _by_services(merged: dict[str, Any], scratch: Path) -> tuple[list[Problem], list[Problem]]:
    """Return what services refuse of the `settings` in values, and what they warn of. A hub has no services."""
    settings = _with_tryout(merged)
    if _is_hub(merged):
        return [], []
    if not isinstance(settings, dict) or not settings:
        return [(BELOW, "is missing; it is what services read, as docs/site.example.yaml is")], []
    alone = scratch / "settings.yaml"
    alone.touch(mode=0o600)
    alone.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    try:
        return [], [(path, _WARNING + why) for path, why in _below(checked(alone, secrets=False))]
    except SettingsError as error:
        return _below(error.problems), []


def _with_tryout(merged: dict[str, Any]) -> Any:
    """Return the settings in values; where the chart adds the try-out, any site in the place of its own."""
    if section(merged, "tryout").get("enabled") is not True:
        return merged.get(BELOW)
    return {"sites": [{"id": "market", "profile": TRIAL}]} | section(merged, BELOW)


def _is_hub(merged: dict[str, Any]) -> bool:
    nats = section(merged, "nats")
    return section(nats, "hub").get("enabled") is True and nats.get("enabled") is not False


def _below(found: Iterable[Problem]) -> list[Problem]:
    return [(f"{BELOW}.{path}" if path else BELOW, why) for path, why in found]


def _more(of_chart: list[Problem], found: list[Problem]) -> list[Problem]:
    """Return what the chart adds to what services told: not what is told already, in their words or at their place."""
    paths = [path for path, _ in found]
    return [one for one in of_chart if one not in found and not (one[0] and _is_known(one[0], paths))]


def _is_known(path: str, paths: list[str]) -> bool:
    """Return whether a place, one within it, or one around it is among these."""
    return any(
        long == short or long.startswith((f"{short}.", f"{short}["))
        for other in paths
        for long, short in ((path, other), (other, path))
    )
