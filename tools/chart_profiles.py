"""What the Helm chart refuses under each legal profile: the rows of services/sites/profiles.py about settings."""

import json
import sys
from pathlib import Path

from services.sites.profiles import ALERTING, PROFILES, TRIAL, USUAL, Terms

FILE = "profiles.json"


def text() -> str:
    """Return the file's content: the profiles that sentences name, and what each profile asks of a site."""
    terms = {name: _asked(row) for name, row in sorted(PROFILES.items())}
    return json.dumps({"usual": USUAL, "with_rules": ALERTING, "trial": TRIAL, "terms": terms}, indent=1) + "\n"


def _asked(row: Terms) -> dict[str, float | bool]:
    return {
        "window": row.min_window_s,
        "zones": row.zones,
        "rules": row.rules,
        "persons": row.min_persons,
        "small": row.small,
        "trial": row.is_trial,
    }


if __name__ == "__main__":
    (Path(sys.argv[1]) / FILE).write_text(text(), "utf-8")
