"""Settings: one YAML file for all services, an environment overlay, secrets from files; one report of all problems.

Order: first the file, then `MORETTA_SECTION__KEY=value` (the value is read as YAML; a secret is taken unchanged), then
`x_file` in place of a secret `x`.
"""

from services.kernel.settings.explain import problems
from services.kernel.settings.load import load, raw_settings
from services.kernel.settings.model import SECRETS, SECTIONS, Problem, Secret, SettingsError, convert
from services.kernel.settings.source import STAND_IN

__all__ = [
    "SECRETS",
    "SECTIONS",
    "STAND_IN",
    "Problem",
    "Secret",
    "SettingsError",
    "convert",
    "load",
    "problems",
    "raw_settings",
]
