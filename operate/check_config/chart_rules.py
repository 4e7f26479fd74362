"""The chart's own rules: helm renders the chart, and each refusal of its schema and templates becomes one line."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from operate.check_config.chart_values import Values, section
from operate.identities import users
from proto.permissions import user_of
from services.kernel.settings import Problem, SettingsError
from services.kernel.settings.explain import shown

CHART = Path("k8s/moretta")
"""Where the chart is in a checkout, as seen from its root."""
TIMEOUT_S = 60.0
_RELEASE = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
_REFUSAL = re.compile(
    r"^Error: (?:execution error at \([^)]*\): )?(?P<said>.*?)(?:\n\nUse --debug.*)?\Z", re.DOTALL | re.MULTILINE
)
_GET = (
    "no helm on PATH (get it from https://helm.sh/docs/intro/install, or in a checkout by .ci/chart-tools, and then"
    " set HELM=build/tools/helm-4.1/helm)"
)
_BY_SCHEMA = "values don't meet the specifications of the schema"
_NO_KEYS = re.compile(r"nats\.[^;]*\bnats\.keys\.\S+ is empty; |nats\.keys\.\S+ is empty; ")
_PATHED = re.compile(r"(?P<path>[A-Za-z]\w*(?:\.[\w-]+|\[\d+\])+): (?P<why>.*)", re.DOTALL)
_SCHEMA = re.compile(r"^\s*- (?:at '(?P<pointer>[^']*)'|(?P<dotted>[^\s:]+)): (?P<why>.*)$", re.MULTILINE)
_UNKNOWN = re.compile(r"(?:Additional property (\S+) is|additional properties (.*)) not allowed")


def unlooked(chart: Path | None) -> str | None:
    """Return why the chart's rules can't be looked at; None if they can. SettingsError if chart or helm is none."""
    program = os.environ.get("HELM")
    if program and shutil.which(program) is None:
        raise SettingsError("HELM", [("", f"{program!r} is no program; set where helm is, or unset it")])
    if chart is not None and not (chart / "Chart.yaml").is_file():
        raise SettingsError("--chart", [("", f"{str(chart)!r} is no chart; name a folder with Chart.yaml")])
    if chart is None and not (CHART / "Chart.yaml").is_file():
        return f"no chart at {CHART}; name it with --chart DIR"
    return None if program or shutil.which("helm") else _GET


def chart_problems(values: Values, chart: Path | None, folder: Path) -> list[Problem]:
    """Return what the chart refuses of these values: all that its schema does, or else a template's first sentence."""
    chart, nats = chart or CHART, section(values.merged(), "nats")
    output = _rendered(values, chart, values.copies)
    if _NO_KEYS.match(output) and not nats.get("keys"):
        output = _rendered(values, chart, [_stand_ins(nats, folder), *values.copies])
    if not output.startswith(_BY_SCHEMA):
        pathed = _PATHED.fullmatch(output)
        return [(pathed["path"], pathed["why"])] if pathed else [("", output)] if output else []
    return list(dict.fromkeys(_by_schema(output, values.merged())))


def _rendered(values: Values, chart: Path, files: list[Path]) -> str:
    """Return why helm does not render the chart with these files, without helm's own words; empty if it does."""
    named = str(section(values.merged(), "nats").get("release"))
    release = named if _RELEASE.fullmatch(named) else "moretta"  # nothing that helm could take for an option
    command = [os.environ.get("HELM") or "helm", "template", release, str(chart.resolve())]
    command += [part for file in files for part in ("--values", str(file))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise SettingsError("helm", [("", f"gave no answer within {TIMEOUT_S:g} s")]) from None
    return "" if done.returncode == 0 else refusal(done.stderr)


def refusal(output: str) -> str:
    """Return what helm refuses, without its warnings before, the place in a template and its advice behind."""
    found = _REFUSAL.search(output.rstrip())
    return (found["said"] if found else output).strip() or "helm failed, and said nothing"


def _stand_ins(nats: dict[str, Any], folder: Path) -> Path:
    """Return a values file with a key for each user that the chart may ask for: keys are made after the check."""
    # The chart's schema has seen both lists by now: it refuses before a template asks for a key.
    leaves = section(nats, "hub").get("leaves") or []
    readers = [one["name"] if isinstance(one, dict) else one for one in nats.get("readers") or []]
    names = {user_of(*one) for one in users()} | {"page", "streams"}
    names |= {f"subscriber-{name}" for name in readers} | {f"streams-{leaf['sites'][0]}" for leaf in leaves}
    file = folder / "keys.json"
    made = {"nats": {"keys": {name: [_key(name)] for name in sorted(names)}}}
    file.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return file


def _key(name: str) -> str:
    return "U" + base64.b32encode(hashlib.sha512(name.encode()).digest()).decode()[:55]


def _by_schema(output: str, merged: dict[str, Any]) -> Iterator[Problem]:
    """Yield each error of the chart's schema in helm's words, with its path in the values and the value there.

    The value of an unknown key is not shown: it may be a password in a place where the chart takes none.
    """
    for line in _SCHEMA.finditer(output):
        if line["why"] in {"validation failed", "anyOf failed"}:
            continue
        place = (line["pointer"] or "").split("/")[1:] if line["dotted"] is None else line["dotted"].split(".")
        steps = [step for step in place if step != "(root)"]
        unknown = _UNKNOWN.search(line["why"])
        if unknown is None:
            yield _path(steps), f"{line['why']} (the value is {shown(_at(merged, steps))})"
        for name in re.findall(r"[^',\s]+", (unknown[1] or unknown[2]) if unknown else ""):
            yield _path([*steps, name]), line["why"]


def _path(steps: list[str]) -> str:
    return "".join(f"[{step}]" if step.isdecimal() else f".{step}" for step in steps).lstrip(".")


def _at(value: Any, steps: list[str]) -> Any:
    for step in steps:
        if isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
