"""The Grafana dashboards: made of their sources, laid out; and on the running system no panel of them is empty."""

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import prometheus
import pytest
import yaml
from aiosmtpd.controller import Controller
from dashboards import DASHBOARD, DASHBOARDS, OF_WINDOWS, dashboard, panels, table
from free_ports import free_port, in_a_row
from market import market_film
from prometheus import ROOT, Prometheus, rules
from up_process import UpProcess

LIMIT_S = 240.0
SEED = 20_261_125
HAVE_NOTHING_HERE = {"Drift of the faces"}
"""A day's faces are more than a test has."""
BOX = {"$__rate_interval": "20s", "$__range": "2m", "$namespace": "", "$site": ".*", "$camera": ".*", "$zone": ".*"}
CLUSTER = BOX | {"$namespace": "prod", "$site": "forville", "$camera": "gate|gone", "$zone": "_site|hall"}
"""What Grafana puts into a query: of what has no namespace all, and of a namespace a choice."""
RATES = ROOT / "docs/recipes/published_rates.yml"
RUNBOOKS = (ROOT / "docs/runbooks.md").read_text()
each = pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)


@each
def test_a_dashboard_is_made_of_its_source(file, tmp_path):
    """`make contracts` would change nothing."""
    made, source = tmp_path / file.name, ROOT / "k8s" / f"{file.stem}.yaml"
    subprocess.run([sys.executable, ROOT / "tools/dashboard.py", source, made], check=True)
    assert made.read_text() == file.read_text()


def test_dashboards_are_told_apart():
    """Each has a title and an identity of its own, else an import would replace the other."""
    for key in ("title", "uid"):
        assert len({dashboard(file)[key] for file in DASHBOARDS}) == len(DASHBOARDS)


@each
def test_panels_are_laid_out_and_say_what_they_show(file):
    """None lies on another, beyond the 24 columns or without description, unit, legend, and a runbook that exists."""
    places = {one["id"]: one["gridPos"] for one in dashboard(file)["panels"]}
    assert len(places) == len(dashboard(file)["panels"])
    for one, other in itertools.combinations(places.values(), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)
    assert all(place["x"] + place["w"] <= 24 for place in places.values())
    for panel in panels(file):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(query["legendFormat"] for query in panel["targets"]), panel["title"]
        assert all(f"### {anchor}\n" in RUNBOOKS.lower() for anchor in runbooks_of(panel)), panel["title"]


def runbooks_of(panel) -> list[str]:
    return [link["url"].removeprefix("${runbooks}#") for link in panel.get("links", ())]


@each
def test_every_variable_is_asked_for(file):
    """A query names no variable that the dashboard lacks, and the dashboard has none that no query or link names."""
    known = {one["name"] for one in dashboard(file)["templating"]["list"]}
    named = set(re.findall(r"\$\{?([a-z]+)", file.read_text()))
    assert named == known


def test_no_panel_of_the_system_shows_people():
    """Neither verdicts nor counts of people: these are in the published windows (docs/privacy.md)."""
    shown = DASHBOARD.read_text()
    assert not re.search(r"masked|verdict|persons|passages_|_faces_", shown)
    for panel in panels(DASHBOARD):
        assert "unknown" not in str(panel["targets"]), panel["title"]


MARKET, FILM = '{site="cannes", zone="hall"}', '{site="film", zone="hall"}'
PUBLISHED = {
    f"moretta_window_coverage_ratio{MARKET}": "0.8x79",
    f"moretta_window_end_timestamp_seconds{MARKET}": "0x19 1200x59",
    'moretta_aggregate_window_due_seconds{site="cannes"}': "1205x79",
    f"moretta_window_coverage_ratio{FILM}": "0.8x79",
    f"moretta_window_end_timestamp_seconds{FILM}": "0x79",
} | {
    f"moretta_window_{name}{MARKET}": "0.8x19 stale _x59"
    for name in ("rate_ratio", "rate_low_ratio", "rate_high_ratio", "persons")
}
"""By minutes: a window of 20 minutes with all figures, one with its coverage alone, then none; and a recording's."""
SHOWN = {"10m": (MARKET, MARKET), "25m": (None, MARKET), "70m": (None, None)}
"""When the market has its figures, and its coverage; the recording has its coverage at any time, as nothing is due."""


def shown(expression: str) -> list[dict[str, object]]:
    """What promtool shall find of a figure at each time."""
    is_coverage = "coverage" in expression
    return [
        {"expr": expression, "eval_time": time, "exp_samples": [
            {"labels": place, "value": 0.8} for place in (found[is_coverage], FILM if is_coverage else None) if place
        ]}
        for time, found in SHOWN.items()
    ]  # fmt: skip


def test_what_was_not_published_is_a_gap(tmp_path):
    """Neither 0 nor the figure before: nothing of a window without a figure, nor once the next one is overdue."""
    prometheus.require()
    asked = {filled(query["expr"], BOX) for panel in panels(OF_WINDOWS) for query in panel["targets"]}
    figures = sorted(
        expression for expression in asked if re.match(r"max by \([a-z, ]+\) \(moretta_window_", expression)
    )
    assert len(figures) == 10
    series = [{"series": name, "values": values} for name, values in PUBLISHED.items()]
    expected = [one for expression in figures for one in shown(expression)]
    case = {"tests": [{"interval": "1m", "input_series": series, "promql_expr_test": expected}]}
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "case.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_line_of_windows_spans_a_gap():
    """Each line ends where there is no value, and a missing cell of the table of figures says that it is not shown."""
    how = {panel["title"]: panel["fieldConfig"]["defaults"] for panel in panels(OF_WINDOWS)}
    lines = [panel["title"] for panel in panels(OF_WINDOWS) if panel["type"] == "timeseries"]
    assert len(lines) == 4
    assert not any(how[title]["custom"].get("spanNulls") for title in lines)
    assert how["Newest windows"]["noValue"] == "not shown"


class Mailbox:
    """Takes every mail, and says whom it was for."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        self.told |= set(envelope.rcpt_tos)  # type: ignore[attr-defined]
        return "250 taken"


@contextmanager
def mail_server() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield box, server.port
    finally:
        server.stop()


def settings(clip: Path, smtp_port: int, probes_port: int) -> str:
    """Two cameras that see people, one that is not there; a rule that fires; two who are told, one too often."""
    at_once = {"group_wait_s": 0, "group_interval_s": 1, "repeat_interval_s": 5}
    site = {
        "id": "forville",
        "profile": "lab",
        "window_s": 6,
        "lateness_s": 1,
        "operations": {"camera_down_windows": 1},
        "zones": [{"id": "hall"}],
        "cameras": [
            {"id": "gate", "url": str(clip), "loop": True, "zone": "hall"},
            {"id": "stair", "url": str(clip), "loop": True},
            {"id": "gone", "url": "rtsp://127.0.0.1:1/none"},
        ],
        "rules": [{"id": "few", "fire_below": 0.99, "clear_above": 1.0, "for_windows": 1, "min_persons": 1}],
    }
    notify = {
        "smtp": {"host": "127.0.0.1", "port": smtp_port, "security": "none", "sender": "moretta@example.org"},
        "salt": "0123456789abcdef0123",
        "receivers": [
            {"id": "staff", "email": ["staff@example.org"], "max_per_hour": 1},
            {"id": "operators", "audience": "operators", "email": ["it@example.org"]},
        ],
        "routes": [{"receiver": "staff", **at_once}, {"receiver": "operators", **at_once}],
    }
    ingest = {"report_s": 1, "web": {"host": "127.0.0.1", "port": 0}}  # it shows a certificate of its own
    shown = {"probes": {"port": probes_port}, "aggregate": {"publish_metrics": True}}
    return yaml.safe_dump({"sites": [site], "notify": notify, "ingest": ingest, **shown})


@pytest.mark.timeout(3 * LIMIT_S)
def test_no_panel_is_empty_and_every_rule_has_a_value(tmp_path):
    """Cameras, an alert, mails; then each query of a panel, recording rule and alert on a real Prometheus.

    Nobody wears a mask, so that an alert about published rates fires as well.
    """
    prometheus.require()
    clip = market_film(tmp_path / "people.mp4", (38, 0.0), seed=SEED)
    port = in_a_row(4)
    with mail_server() as (mailbox, smtp_port), Prometheus(tmp_path, list(range(port, port + 4)), RATES) as watching:
        (tmp_path / "site.yaml").write_text(settings(clip, smtp_port, port))
        up = UpProcess(["-c", str(tmp_path / "site.yaml"), "--temporary"]).start()
        try:
            up.wait_for(lambda: len(mailbox.told) == 2, LIMIT_S, "staff and operators have a mail")
            for place in (BOX, CLUSTER):
                watching.wait(partial(has_all, watching, place), LIMIT_S, partial(empty, watching, place))
            watching.wait(lambda: not unrecorded(watching), LIMIT_S, lambda: unrecorded(watching))
            shown = table(lambda expression: watching.values(filled(expression, BOX)))
            readers = {one["state"]: count for one, count in watching.values('moretta_readers{namespace="prod"}')}
            judged = [rule for group in watching.get("rules")["groups"] for rule in group["rules"]]
        finally:
            up.stop()
    assert readers == {"served": 1, "failed": 0}, "the account of `subscriber`"
    assert len(judged) == len(rules()) + 1
    assert [(rule["name"], rule["lastError"]) for rule in judged if rule["health"] != "ok"] == []
    firing = {rule["name"] for rule in judged if rule.get("state") == "firing"}
    assert "MorettaCameraCoverageBudgetBurns" in firing, "a camera of three is not there"
    assert "MaskRateLow" in firing
    assert not firing & {"MorettaServiceAbsent", "MorettaNatsDisconnected", "MorettaNoWorkers", "MorettaUndelivered"}
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build/dashboard.md").write_text(shown)


def filled(expression: str, place: dict[str, str]) -> str:
    """An expression with what Grafana would put into it."""
    for name, value in place.items():
        expression = expression.replace(name, value)
    return expression


def empty(watching: Prometheus, place: dict[str, str]) -> set[str]:
    """The panels of which some query has no value."""
    asked = ((panel["title"], filled(query["expr"], place)) for panel in panels() for query in panel["targets"])
    return {title for title, expression in asked if not watching.values(expression)}


def has_all(watching: Prometheus, place: dict[str, str]) -> bool:
    """Whether every panel has something, but for those that cannot."""
    return empty(watching, place) == HAVE_NOTHING_HERE


def unrecorded(watching: Prometheus) -> set[str]:
    """The recording rules without a value for the box, or for the cluster; each with the objective that it is about."""
    asked = {
        (rule["record"], f'objective="{rule.get("labels", {}).get("objective", "")}",namespace="{namespace}"')
        for rule in rules()
        if "record" in rule
        for namespace in ("", "prod")
    }
    return {name + labels for name, labels in asked if not watching.values(f"{name}{{{labels}}}")}
