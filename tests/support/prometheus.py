"""Rules and dashboard as they are in the repository, and a real Prometheus (Debian) that watches what a test runs."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / "k8s/moretta/files"
RULES = FILES / "rules.yaml"
SERIES = re.compile(r"\b(?:moretta|process|kube)_[a-z0-9_]+")
"""Names of metrics in an expression; recorded ones have colons."""


def require() -> None:
    """Skip the test by name when Prometheus is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if shutil.which("prometheus") and shutil.which("promtool"):
        return
    why = "Prometheus: install prometheus (.ci/system-packages chart)"
    if os.environ.get("MORETTA_REQUIRE_ALL") == "1":
        pytest.fail(why)
    pytest.skip(why)


def rules() -> list[dict[str, Any]]:
    """Every rule of every group."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Every alert; one name may have a page and a ticket."""
    return [rule for rule in rules() if "alert" in rule]
