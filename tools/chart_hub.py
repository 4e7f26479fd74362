"""What Artifact Hub reads in Chart.yaml, made of pyproject.toml, CHANGELOG.md, values.yaml and the page's icon.

Addresses come from `[project.urls]` of pyproject.toml alone: as long as there are none, the chart has no `home`, no
`sources` and no links. https://artifacthub.io/docs/topics/annotations/helm/ has the names.
"""

import base64
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "k8s/moretta"
MADE = "# What follows is made by tools/chart_docs.py.\n"
CATEGORY = "ai-machine-learning"
SERVICES = ("ingest", "inference", "aggregate", "notify", "cli")

Entry = dict[str, Any]


def newest(changelog: str) -> str:
    """Return the first section of a changelog that says something: what is to be released, or was last."""
    sections = re.split(r"^## .*$", changelog, flags=re.MULTILINE)[1:]
    return next((one for one in sections if "\n- " in one), "")


def changes(section: str) -> list[Entry]:
    """Return the chart's own changes in a section: the first sentence of each entry that begins with `Chart:`.

    The others are the program's, and many: a reader of Artifact Hub looks for what is new in the values.
    """
    found = []
    for heading in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
        kind, _, text = heading.partition("\n")
        for entry in re.findall(r"^- Chart: (.*(?:\n  .*)*)", text, re.MULTILINE):
            whole = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(entry.split()))
            sentence = re.split(r"(?<=[.]) ", whole)[0]
            found.append({"kind": kind.strip().lower(), "description": sentence[:1].upper() + sentence[1:]})
    return found


def images(values: Entry, example: Entry, version: str) -> list[Entry]:
    """Return the images that a release of these values runs.

    As long as no registry has ours they are those of the example, a name that nobody can own, and are not scanned.
    """
    registry, own = values["image"]["registry"], values["image"]["repository"]
    found = []
    for name in SERVICES:
        image = own if name == "cli" else f"{own}-{name}"
        place = f"{registry or example['image']['registry']}/{image}:{values['image']['tag'] or version}"
        found.append({"name": name, "image": place} | ({} if registry else {"whitelisted": True}))
    nats = values["nats"]["image"]
    return [*found, {"name": "nats", "image": f"{nats['registry']}/{nats['repository']}:{nats['tag']}"}]


def addresses(urls: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Yield the fields of Chart.yaml that are addresses, of those of the project."""
    if home := urls.get("Homepage"):
        yield "home", home
    if sources := [urls[name] for name in ("Source", "Repository") if name in urls]:
        yield "sources", sources


def annotations(project: Entry, section: str, listed: list[Entry]) -> Iterator[tuple[str, str | list[Entry]]]:
    """Yield the annotations, without what they begin with; a list is to be YAML in a text."""
    yield "category", CATEGORY
    yield "license", project["license"]
    yield "containsSecurityUpdates", json.dumps("### Security" in section)
    yield "images", listed
    if links := [{"name": name, "url": url} for name, url in project.get("urls", {}).items()]:
        yield "links", links
    if told := changes(section):
        yield "changes", told


def written(values: list[Entry], indent: str) -> Iterator[str]:
    """Yield the lines of a list of flat objects in YAML, texts as JSON has them."""
    for one in values:
        for at, (key, value) in enumerate(one.items()):
            yield f"{indent}{'  ' if at else '- '}{key}: {json.dumps(value, ensure_ascii=False)}"


def made(project: Entry, section: str, listed: list[Entry], icon: bytes) -> Iterator[str]:
    """Yield the lines of Chart.yaml that are made."""
    for key, value in addresses(project.get("urls", {})):
        yield f"{key}: {json.dumps(value)}"
    yield f"icon: data:image/svg+xml;base64,{base64.b64encode(icon).decode()}"
    yield "annotations:"
    for name, what in annotations(project, section, listed):
        if isinstance(what, str):
            yield f"  artifacthub.io/{name}: {json.dumps(what)}"
        else:
            yield f"  artifacthub.io/{name}: |"
            yield from written(what, "    ")


def chart_yaml() -> str:
    """Return Chart.yaml: what is written by hand, and what is made."""
    head = (CHART / "Chart.yaml").read_text(encoding="utf-8").partition(MADE)[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    section = newest((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    values, example = (
        yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in (CHART / "values.yaml", ROOT / "k8s/example-values.yaml")
    )
    listed = images(values, example, yaml.safe_load(head)["appVersion"])
    icon = (ROOT / "services/aggregate/page/icon.svg").read_bytes()
    return head + MADE + "\n".join(made(project, section, listed, icon)) + "\n"
