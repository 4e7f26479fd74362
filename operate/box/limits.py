"""JetStream's limits of a box: never less than before, since its streams only grow (ADR 29).

A server that has less than its streams reserve serves them, but makes and changes none on the disk: a later version of
Moretta could not start there.
"""

import json
from pathlib import Path

Limits = dict[str, int]
_NAMES = ("max_file_store", "max_memory_store")


def kept_limits(config: Path) -> Limits:
    """Return the limits that the configuration of an earlier run has; none where there is no such thing."""
    try:
        found = json.loads(config.read_text(encoding="utf-8"))["jetstream"]
        return {name: int(found[name]) for name in _NAMES}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def roomy(config: str, before: Limits) -> str:
    """Return a configuration with no limit below what it was before."""
    whole = json.loads(config)
    limits = whole["jetstream"]
    limits |= {name: max(limits[name], size) for name, size in before.items()}
    return json.dumps(whole, indent=1)
