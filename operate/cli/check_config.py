"""`moretta check-config`: what is wrong with a settings file, or with the `settings` in values of the Helm chart."""

import tempfile
from pathlib import Path

import yaml

from operate.settings_file import check, doubts
from services.kernel.settings import Problem, SettingsError
from services.kernel.settings.source import read

_BELOW = "settings"


def checked(file: Path, *, secrets: bool) -> list[Problem]:
    """Return what may be amiss in a settings file; SettingsError for what is wrong.

    Without `secrets` no file that it names is opened.
    """
    if found := check(file, secrets=secrets):
        raise SettingsError(file, found)
    return doubts(file, secrets=secrets)


def checked_values(file: Path) -> list[Problem]:
    """Return what may be amiss in the `settings` of the chart's values; SettingsError for what is wrong.

    The files that they name are in Secrets of the cluster: none is opened.
    """
    settings = read(file, f"{_BELOW}:").get(_BELOW)
    if not isinstance(settings, dict):
        why = "is missing; it is what services read, as docs/site.example.yaml is"
        raise SettingsError(file, [(_BELOW, why)])
    with tempfile.TemporaryDirectory(prefix="moretta-") as scratch:
        alone = Path(scratch) / "settings.yaml"
        alone.touch(mode=0o600)
        alone.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        try:
            return _below(checked(alone, secrets=False))
        except SettingsError as error:
            raise SettingsError(file, _below(error.problems)) from None


def _below(found: list[Problem]) -> list[Problem]:
    return [(f"{_BELOW}.{path}" if path else _BELOW, why) for path, why in found]
