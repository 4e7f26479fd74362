"""Prints one service's metrics as JSON: `python -P tools/metrics_of_service.py SERVICE`, one process per service."""

import importlib
import json
import pkgutil
import sys
from typing import Any

from prometheus_client import REGISTRY

Listed = tuple[str, str, str, list[str]]
"""A family's name without the suffix of its type, its type, its help text, and its labels."""
_LABELS_OF_INFO = {"moretta_model": ["id", "sha256"]}


def imported(service: str) -> list[Listed]:
    """Import all modules that a service may import, and return the metrics of this process."""
    package = importlib.import_module(f"services.{service}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if ".training" not in module.name:
            importlib.import_module(module.name)
    importlib.import_module("services.kernel.process")
    REGISTRY.register(importlib.import_module("services.kernel.tls").EXPIRIES)
    return [_listed(family) for family in REGISTRY.collect() if family.name.startswith("moretta_")]


def _listed(family: Any) -> Listed:
    known: Any = REGISTRY._names_to_collectors.get(family.name, family)  # noqa: SLF001 - nobody else tells the labels
    names = _LABELS_OF_INFO.get(family.name) or known._labelnames  # noqa: SLF001
    return family.name, family.type, family.documentation, list(names)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(imported(sys.argv[1])))
