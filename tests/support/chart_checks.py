"""What others' rules say of rendered manifests. As a program it tells of all that `make chart` checks, in short."""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from chart import CHART, CI, HELMS, ROOT, alone, given, helm, manifest, objects_of, require
from chart_values import AUTOSCALED, EVERYTHING

VALIDATE, CHECKOV = (ROOT / ".venv-chart/bin" / name for name in ("kubernetes-validate", "checkov"))
OLDEST = re.sub(r"^>=(\d+\.\d+)\..*", r"\1", yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"])
VERSIONS = (OLDEST, "1.36", "1.37")
"""The oldest Kubernetes that the chart takes, and the two newest of which there are schemas."""
FOREIGN = {"PodMonitor", "ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}
"""Of these kinds, which are not Kubernetes' own, there is no schema here."""
SETS: dict[str, dict[str, Any]] = {"default": {}, "everything": EVERYTHING, "autoscaled": AUTOSCALED}
NAMES = (*SETS, *CI)
ANYWHERE = ("",)
ONCE = ("Pod.masks.moretta-test", "Pod.masks.moretta-camera", "StatefulSet.masks.moretta-nats")
ACCEPTED: dict[str, tuple[tuple[str, ...], str]] = {
    "CKV_K8S_11": (ANYWHERE, "no limit of processor time: it would hold up pictures, which live 100 ms at most"),
    "CKV_K8S_15": (ANYWHERE, "a tag of ours is never moved, so there is nothing to pull again"),
    "CKV_K8S_43": (ANYWHERE, "digests are the installation's to set: image.digests"),
    "CKV_K8S_8": (ONCE, "a test runs to its end once, and who reads NATS's configuration in serves nothing"),
    "CKV_K8S_9": (ONCE, "a test runs to its end once, and who reads NATS's configuration in serves nothing"),
    "CKV_K8S_19": (("StatefulSet.masks.moretta-whip",), "peers send to any UDP port (ADR 27); off by default"),
}
"""What checkov fails and we do not follow: where alone (everywhere, if nothing is named), and why."""


def rendered(name: str) -> str:
    """Return the manifest of one of these sets of values, or of one of chart-testing's files."""
    return manifest(SETS[name]) if name in SETS else alone(name)


class Validated(NamedTuple):
    """What kubernetes-validate says: how many objects are valid, kinds without a schema, and what is wrong."""

    valid: int
    unknown: set[str]
    wrong: str


def validated(file: Path, version: str) -> Validated:
    """Hold each object of a manifest against the schema of Kubernetes' API, without a field that it does not have."""
    done = subprocess.run(
        [require(VALIDATE), "--strict", "-k", version, file], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    unknown = set(re.findall(r"WARN .* schema for kind (\w+) ", said))
    return Validated(len(re.findall(r"^INFO .* passed", said, re.MULTILINE)), unknown, said if done.returncode else "")


class Checked(NamedTuple):
    """What checkov says: how many checks passed, and of those that failed how many we accept by id, and the others."""

    passed: int
    accepted: Counter[str]
    failed: list[str]


def checked(file: Path) -> Checked:
    """Look for what checkov knows to be careless."""
    command = [require(CHECKOV), "-f", file, "--framework", "kubernetes", "-o", "json", "--compact", "--skip-download"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    results = json.loads(done.stdout)["results"]
    found = [(one["check_id"], one["resource"], one["check_name"]) for one in results["failed_checks"]]
    known = [one for one in found if one[0] in ACCEPTED and one[1].startswith(ACCEPTED[one[0]][0])]
    rest = [" ".join(one) for one in found if one not in known]
    return Checked(len(results["passed_checks"]), Counter(one[0] for one in known), rest)


def main() -> int:
    """Print it all; returns 1 if something is wrong."""
    bad = 0
    for version in HELMS:
        done = helm("lint", "--strict", str(CHART), values=given(), version=version)
        bad += done.returncode
        print(f"helm {version} lint --strict: {done.stdout.strip().splitlines()[-1]}")
    kinds = {name: Counter(one["kind"] for one in objects_of(rendered(name)).values()) for name in NAMES}
    print(f"\n{'rendered':<26}" + "".join(f"{name:>12}" for name in NAMES))
    for kind in sorted(set().union(*kinds.values())):
        print(f"{kind:<26}" + "".join(f"{count[kind]:>12}" for count in kinds.values()))
    print()
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            file = Path(folder, f"{name}.yaml")
            file.write_text(rendered(name), encoding="utf-8")
            found = {version: validated(file, version) for version in VERSIONS}
            bad += any(one.wrong for one in found.values())
            told = ", ".join(f"{version}: {one.wrong or f'{one.valid} valid'}" for version, one in found.items())
            without = sorted(found[OLDEST].unknown)
            print(
                f"kubernetes-validate --strict, {name}: {told}"
                + (f"; no schema of {', '.join(without)}" * bool(without))
            )
            checks = checked(file)
            bad += bool(checks.failed)
            told = f"{checks.passed} passed, {checks.accepted.total()} accepted, {len(checks.failed)} failed"
            print(f"checkov, {name}: {told}")
            for line in checks.failed:
                print(f"  {line}")
    print(
        "\naccepted:",
        *(f"  {name} ({', '.join(where) or 'everywhere'}): {why}" for name, (where, why) in ACCEPTED.items()),
        "",
        sep="\n",
    )
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
