"""The chart's schema and tables say what values.yaml says, and Chart.yaml what Artifact Hub is to know."""

import base64
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from chart import CHART, EXAMPLE, HELMS, ROOT, delta, given, helm, merged, pods, refusal, render, template

import chart_hub


def test_schema_tables_and_annotations_are_up_to_date(tmp_path):
    """`tools/chart_docs.py` would change nothing."""
    subprocess.run([sys.executable, ROOT / "tools/chart_docs.py", tmp_path], check=True)
    for name in ("values.schema.json", "README.md", "Chart.yaml"):
        assert (tmp_path / name).read_text() == (CHART / name).read_text(), f"run tools/chart_docs.py: {name}"


CHANGES = """
## [Unreleased]

## [1.0.0] - 2027-01-01

### Added

- Chart: `nats.a`, of one server
  ([ADR 35](docs/adr/0035-websocket.md)). It is off.
- Something that is no chart's: Chart: no.
- Chart: b.

### Security

- Chart: nothing is open any more.

## [0.1.0] - 2026-12-01

### Fixed

- Chart: of the version before.
"""


def test_changes_are_the_charts_own_of_the_first_section_that_has_any():
    """The first sentence of each, without links, by its kind."""
    section = chart_hub.newest(CHANGES)
    assert chart_hub.changes(section) == [
        {"kind": "added", "description": "`nats.a`, of one server (ADR 35)."},
        {"kind": "added", "description": "B."},
        {"kind": "security", "description": "Nothing is open any more."},
    ]
    told = dict(chart_hub.annotations({"license": "MIT"}, section, []))
    assert (told["license"], told["containsSecurityUpdates"]) == ("MIT", "true")
    assert chart_hub.newest("# Changelog\n\n## [Unreleased]\n") == ""


def test_what_artifact_hub_reads():
    """Kinds that it knows, the images that run, the licence, and the page's icon, which nobody has to fetch."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = {key.removeprefix("artifacthub.io/"): value for key, value in chart["annotations"].items()}
    changes, images = yaml.safe_load(told["changes"]), yaml.safe_load(told["images"])
    assert {one["kind"] for one in changes} <= {"added", "changed", "deprecated", "removed", "fixed", "security"}
    assert all(one["description"] for one in changes)
    assert 0 < len(changes) < 40, "a list that nobody reads"
    assert {one["image"] for one in images} == {
        part["image"] for pod in pods(render()).values() for part in pod["spec"]["containers"]
    }
    assert {one["name"] for one in images if "whitelisted" not in one} == {"nats"}
    assert told["license"] == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    kind, _, content = chart["icon"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content) == (ROOT / "services/aggregate/page/icon.svg").read_bytes()


def test_a_release_with_a_home_and_a_registry():
    """Addresses are the project's, as soon as it has any; images of a registry are scanned."""
    urls = {"Homepage": "https://a.example", "Source": "https://b.example", "Changelog": "https://c.example"}
    assert dict(chart_hub.addresses(urls)) == {"home": urls["Homepage"], "sources": [urls["Source"]]}
    links = dict(chart_hub.annotations({"license": "MIT", "urls": urls}, "", []))["links"]
    assert [one["url"] for one in links] == list(urls.values())
    values = merged(
        yaml.safe_load((CHART / "values.yaml").read_text()), {"image": {"registry": "r.example", "tag": "9"}}
    )
    images = chart_hub.images(values, yaml.safe_load(EXAMPLE.read_text()), "1")
    assert images[0] == {"name": "ingest", "image": "r.example/moretta-ingest:9"}


def test_nothing_is_said_that_is_not_there():
    """Without an address of the project the chart has none, either."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("urls", {})
    said = {"home": chart.get("home"), "sources": chart.get("sources", [])}
    assert {key: value for key, value in said.items() if value} == dict(chart_hub.addresses(urls))
    assert ("artifacthub.io/links" in chart["annotations"]) == bool(urls)


def test_each_value_is_in_a_section():
    """A table for each heading of values.yaml, in its order, and no value above the first."""
    titles = [line[5:-3] for line in (CHART / "values.yaml").read_text().splitlines() if line.startswith("# == ")]
    text = (CHART / "README.md").read_text().partition("<!-- values -->")[2].partition("<!-- end of values -->")[0]
    before, *tables = text.split("\n## ")
    assert (before.strip(), [one.partition("\n")[0] for one in tables]) == ("", titles)
    assert all("\n|---|---|---|\n| `" in one for one in tables)
    assert len(titles) > 6


def _sections(value, path=()):
    """Yield each section of values.yaml in which keys are documented."""
    import json

    schema = json.loads((CHART / "values.schema.json").read_text())
    stack = [((), schema)]
    while stack:
        path, found = stack.pop()
        if "properties" in found:
            yield path
            stack += [((*path, name), part) for name, part in found["properties"].items()]


def test_the_schema_is_strict_at_every_level():
    """A misspelt key is refused wherever it is, and a value of another type."""
    sections = list(_sections(given()))
    assert len(sections) > 15
    every: dict = {}
    for path in sections:
        over: dict = {"mispelt": 1}
        for name in reversed(path):
            over = {name: over}
        every = merged(every, over)
    done = template(every, "3.17")
    assert done.stderr.count("mispelt") == len(sections)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"ingest": {"replicas": 0}}, "replicas"),
        ({"notify": {"replicas": "two"}}, "replicas"),
        ({"image": {"pullPolicy": "always"}}, "pullPolicy"),
        ({"image": {"digests": {"nats": "sha256:0"}}}, "digests"),
        ({"nats": {"keys": {"ingest": ["SUAG..."]}}}, "keys"),
        ({"inference": {"gpu": {"count": 1}}}, "gpu"),
        ({"whip": {"replicas": 2}}, "replicas"),
        ({"page": {"port": 443}}, "port"),
        ({"image": {"registry": "https://registry.example.org/"}}, "registry"),
        ({"image": {"pullSecrets": ["regcred"]}}, "pullSecrets"),
        ({"ingest": {"nodeSelector": {"gpu": True}}}, "nodeSelector"),
        ({"whip": {"tolerations": [{"key": "a", "operater": "Exists"}]}}, "tolerations"),
        ({"monitoring": {"podMonitor": {"labels": {"release": 5}}}}, "labels"),
        ({"nats": {"podAnnotations": {"sidecar.istio.io/inject": False}}}, "podAnnotations"),
        ({"page": {"websocket": "https://masks.example.org"}}, "websocket"),
        ({"page": {"websocket": "ws://[::1]:8443"}}, "websocket"),  # IPv6, which is in no content security policy
    ],
)
def test_the_schema_refuses(over, said):
    """What no template would notice: no pods, a number in words, a seed in the place of a public key, two WHIP pods."""
    assert said in refusal(over)


@pytest.mark.parametrize("version", HELMS)
def test_a_value_that_null_takes_away_is_named(version):
    """Templates count on each of them: without it they would fail with a line of Go."""
    values = given() | {"ingest": given()["ingest"] | {"resources": None}}
    said = helm("template", "moretta", str(CHART), values=values, version=version).stderr
    assert re.search(r"missing property 'resources'|resources is required", said), said


def test_labels_of_ones_own_in_the_place_of_the_charts():
    """The sidecar of Grafana may look for another label."""
    labels = {"grafana_dashboard": None, "mine": "yes"}
    objects = render({"monitoring": {"dashboard": {"enabled": True, "labels": labels}}})
    assert objects["ConfigMap/moretta-dashboard"]["metadata"]["labels"]["mine"] == "yes"


def test_what_a_parent_chart_has_is_let_through():
    """`global`, and `enabled`, by which it leaves this chart out; both change nothing here."""
    assert delta({"global": {"a": "b"}, "enabled": True}) == {}
