"""The chart, rendered by real helm: what a test states beyond the least that one must set, and the objects that come of it."""

import os
import subprocess
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "k8s/moretta"
EXAMPLE = ROOT / "k8s/example-values.yaml"
HELMS = {version: ROOT / f"build/tools/helm-{version}/helm" for version in ("3.17", "4.1")}
RELEASE, NAMESPACE = "moretta", "masks"

Object = dict[str, Any]
Objects = dict[str, Object]
"""Rendered objects by `Kind/name`."""


def require(tool: Path) -> Path:
    """Skip the test by name where a tool of `make chart` is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if not tool.exists():
        why = f"{tool.relative_to(ROOT)} is not there: `make chart` gets it"
        pytest.fail(why) if os.environ.get("MORETTA_REQUIRE_ALL") == "1" else pytest.skip(why)
    return tool


def merged(base: Any, delta: Any) -> Any:
    """Return `base` with `delta` laid over it, as helm lays one values file over another; None removes a key."""
    if not (isinstance(base, Mapping) and isinstance(delta, Mapping)):
        return deepcopy(delta)
    both = {key: merged(base.get(key), value) for key, value in delta.items() if value is not None}
    return {key: deepcopy(value) for key, value in base.items() if key not in delta} | both


def values(delta: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the example's values, which are the least that one must set, with `delta` over them."""
    return merged(yaml.safe_load(EXAMPLE.read_text()), delta or {})


def helm(*arguments: str, given: Mapping[str, Any], version: str = "4.1") -> subprocess.CompletedProcess[str]:
    """Run helm with these values; Kubernetes is the newest that helm knows."""
    command = [str(require(HELMS[version])), *arguments, "--values", "-"]
    text = yaml.safe_dump(dict(given), allow_unicode=True)
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def manifest(given: Mapping[str, Any] | None = None, *, version: str = "4.1") -> str:
    """Return the text that `helm template` renders from the example with these values over it."""
    arguments = ("template", RELEASE, str(CHART), "--namespace", NAMESPACE)
    done = helm(*arguments, given=values(given), version=version)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(given: Mapping[str, Any] | None = None, *, version: str = "4.1") -> Objects:
    """Return the objects that come of the example with these values over it."""
    objects = [found for found in yaml.safe_load_all(manifest(given, version=version)) if found]
    named = {f"{found['kind']}/{found['metadata']['name']}": found for found in objects}
    assert len(named) == len(objects), "two objects have one name"
    return named


def refusal(given: Mapping[str, Any], *, version: str = "4.1") -> str:
    """Return helm's error of values that the chart refuses."""
    done = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, given=values(given), version=version)
    assert done.returncode != 0, "it was rendered"
    return done.stderr


def pods(objects: Objects) -> dict[str, Object]:
    """Return the pod template of each workload, by `Kind/name`."""
    return {name: found["spec"]["template"] for name, found in objects.items() if "template" in found.get("spec", {})}
