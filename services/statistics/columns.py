"""The columns of figures as CSV: those of `moretta stats`, and of what the page saves."""

from typing import Literal

COLUMNS = (
    "site",
    "zone",
    "start",
    "end",
    "persons",
    "masked",
    "unmasked",
    "incorrect",
    "unknown",
    "rate",
    "interval_low",
    "interval_high",
    "coverage",
    "windows_expected",
    "windows_published",
    "windows_suppressed",
    "suppressed",
    "gaps",
    "models",
    "profiles",
    "adjusted",
    "sampling_interval_low",
    "sampling_interval_high",
)
"""The header of the CSV: new columns come at its end."""
Separator = Literal[",", ";"]
"""What stands between the cells."""
