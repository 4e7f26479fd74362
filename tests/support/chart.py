"""The chart, rendered by real helm: what a test states beyond the least that one must set, and what comes of it.

`python tests/support/chart.py` writes tests/chart/golden/default.yaml if it is not there: delete it, and look at what
is new.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from lacking import lacks

from operate.identities import users
from proto.permissions import user_of
from services.bus import nkey
from services.bus.nkey import Seed

ROOT = Path(__file__).parents[2]
CHART = ROOT / "k8s/moretta"
EXAMPLE = ROOT / "k8s/example-values.yaml"
GOLDEN = ROOT / "tests/chart/golden/default.yaml"
CI = {file.name.removesuffix("-values.yaml"): file for file in sorted((CHART / "ci").glob("*-values.yaml"))}
"""The values with which chart-testing installs the chart, by their name."""
HELMS = {version: ROOT / f"build/tools/helm-{version}/helm" for version in ("3.17", "4.1")}
RELEASE, NAMESPACE = "moretta", "masks"
_LISTED = {"env", "containers", "volumes", "volumeMounts", "ports"}
"""Lists whose items have names, by which they are compared: what is added in front changes none behind it."""

Object = dict[str, Any]
Objects = dict[str, Object]
"""Rendered objects by `Kind/name`."""


def require(tool: Path) -> Path:
    """Skip the test by name where a tool of `make chart` is missing; fail it if MORETTA_REQUIRE_ALL=1."""
    if not tool.exists():
        lacks(f"{tool.relative_to(ROOT)} is not there: `make chart` gets it")
    return tool


def merged(base: Any, over: Any) -> Any:
    """Return `base` with `over` laid over it, as helm lays one values file over another; None removes a key."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return deepcopy(over)
    both = {key: merged(base.get(key), value) for key, value in over.items() if value is not None}
    return {key: deepcopy(value) for key, value in base.items() if key not in over} | both


def seed(user: str, which: str = "") -> Seed:
    """Return a user's seed, the same each time, as `moretta nats apply` would make one by chance."""
    return Seed(nkey._text(nkey._SEED_PREFIX + hashlib.sha256(f"{user}{which}".encode()).digest()))


KEYS = {user_of(*one): [seed(user_of(*one)).public] for one in users()}
"""What that command writes to values.yaml."""


def given(over: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the least that one must set, the example's values and a key for each NATS user, with `over` over it."""
    return merged(yaml.safe_load(EXAMPLE.read_text()) | {"nats": {"keys": KEYS}}, over or {})


def helm(*arguments: str, values: Mapping[str, Any], version: str = "4.1") -> subprocess.CompletedProcess[str]:
    """Run helm with these values and no others."""
    command = [str(require(HELMS[version])), *arguments, "--values", "-"]
    # JSON helm can't take for something else, as it would a text that PyYAML leaves bare. With a newline at its end:
    # helm 4.1 reads nothing of a last line that has none and is 4,096 bytes long.
    text = json.dumps(dict(values)) + "\n"
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def template(
    over: Mapping[str, Any] | None, version: str = "4.1", chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with these values over the least ones."""
    return helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, values=given(over), version=version)


def manifest(over: Mapping[str, Any] | None = None, *, version: str = "4.1") -> str:
    """Return what is rendered with these values over the least ones."""
    done = template(over, version)
    assert done.returncode == 0, done.stderr
    return done.stdout


def alone(name: str, *, version: str = "4.1") -> str:
    """Return what is rendered with one of chart-testing's files, and nothing else."""
    values = yaml.safe_load(CI[name].read_text())
    done = helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=values, version=version)
    assert done.returncode == 0, done.stderr
    return done.stdout


def render(over: Mapping[str, Any] | None = None, *, version: str = "4.1") -> Objects:
    """Return the objects that are rendered with these values over the least ones."""
    return objects_of(manifest(over, version=version))


def objects_of(text: str) -> Objects:
    """Return a manifest's objects."""
    objects = [found for found in yaml.safe_load_all(text) if found]
    named = {f"{found['kind']}/{found['metadata']['name']}": found for found in objects}
    assert len(named) == len(objects), "two objects have one name"
    return named


def refusal(over: Mapping[str, Any], *, version: str = "4.1") -> str:
    """Return why the chart refuses these values: the sentence without the place in the template."""
    done = template(over, version)
    assert done.returncode != 0, "it was rendered"
    said = done.stderr.partition("\n\nUse --debug")[0].strip()
    return re.sub(r"^Error: execution error at \([^)]*\): ", "", said)


def delta(over: Mapping[str, Any], *, base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return all that these values change of what is rendered: values by `Kind/name.path`, None where one is gone.

    A whole object that is new or gone is `new` or `gone`, by `Kind/name`.
    """
    before, after = render(base), render(merged(base or {}, over))
    changed: dict[str, Any] = dict.fromkeys(after.keys() - before.keys(), "new")
    changed |= dict.fromkeys(before.keys() - after.keys(), "gone")
    for name in before.keys() & after.keys():
        old, new = dict(_flat(name, before[name])), dict(_flat(name, after[name]))
        changed |= {path: new.get(path) for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    return changed


def _flat(path: str, value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, list) and key in _LISTED and all(isinstance(one, dict) for one in value):
        value = {one.get("name", index): {**one, "name": None} for index, one in enumerate(value)}
        value = {name: {k: v for k, v in one.items() if v is not None} for name, one in value.items()}
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _flat(f"{path}.{name}", part, name)
    else:
        yield path, value


def pods(objects: Objects) -> Objects:
    """Return each pod that comes of these objects, as an object with metadata and spec, by its component."""
    templates = [found.get("spec", {}).get("template") for found in objects.values()]
    found = [one for one in objects.values() if one["kind"] == "Pod"] + [one for one in templates if one]
    return {one["metadata"]["labels"]["app.kubernetes.io/component"]: one for one in found}


def ours(objects: Objects) -> Objects:
    """Return the pods that run a program of ours: all but NATS's."""
    return {component: pod for component, pod in pods(objects).items() if component != "nats"}


def container(pod: Object) -> Object:
    """Return a pod's only container."""
    [only] = pod["spec"]["containers"]
    return only


def container_named(pod: Object, name: str) -> Object:
    """Return the container of this name."""
    [found] = [one for one in pod["spec"]["containers"] if one["name"] == name]
    return found


def environment(pod: Object) -> dict[str, str]:
    """Return the variables of a pod's container; of those that Kubernetes fills in, where it takes them from."""
    return {one["name"]: one.get("value", str(one.get("valueFrom"))) for one in container(pod)["env"]}


if __name__ == "__main__" and not GOLDEN.exists():
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(manifest(), encoding="utf-8")
