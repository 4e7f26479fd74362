"""Rules for Prometheus: sound, tested by promtool, each alert with a runbook, each metric made by the code."""

import re
import subprocess
from pathlib import Path

import prometheus
import pytest
from prometheus import ROOT, RULES, SERIES, alerts, rules

CASES = sorted(Path(__file__).parent.glob("*-test.yaml"))
RUNBOOKS, OPERATIONS = ROOT / "docs/runbooks.md", ROOT / "docs/operations.md"
OURS = re.compile(r'"(moretta_[a-z0-9_]+)"')
PROMETHEUS_CLIENT = {
    "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
    "process_start_time_seconds",
}  # fmt: skip
KUBE_STATE_METRICS = {
    "kube_horizontalpodautoscaler_status_current_replicas",
    "kube_horizontalpodautoscaler_spec_max_replicas",
}


def made() -> set[str]:
    """The names in the code, with the endings that the exposition format gives them."""
    code = "".join(path.read_text() for path in (ROOT / "services").rglob("*.py"))
    names = set(OURS.findall(code))
    return names | {f"{name}_{end}" for name in names for end in ("bucket", "count", "sum", "info")}


@pytest.mark.parametrize(
    "command",
    [["check", "rules", str(RULES)], *(["test", "rules", str(case)] for case in CASES)],
    ids=["check", *(case.stem for case in CASES)],
)
@pytest.mark.timeout(600)
def test_promtool(command):
    """`promtool check rules` finds nothing, and every case holds."""
    prometheus.require()
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_has_what_whoever_is_woken_needs():
    """A severity, what is wrong with values, where to read on; and a case in which it fires."""
    cases = "".join(case.read_text() for case in CASES)
    for alert in alerts():
        name, said = alert["alert"], alert["annotations"]
        assert re.fullmatch(r"Moretta[A-Z]\w+", name)
        assert alert["labels"]["severity"] in {"page", "ticket"}, name
        assert set(said) == {"summary", "description", "runbook_url"}, name
        assert said["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
        assert len(said["summary"]) < 100, name
        assert said["description"].endswith("."), name
        assert f'alertname="{name}"' in cases, f"there is no case in which {name} fires"
    names = {(alert["alert"], alert["labels"]["severity"]) for alert in alerts()}
    assert len(names) == len(alerts())


def test_every_alert_has_a_runbook_and_every_runbook_an_alert():
    """A heading for each, in the order of the rules; whoever looks there finds four things."""
    text = RUNBOOKS.read_text()
    sections = dict(re.findall(r"^### (Moretta\w+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(dict.fromkeys(alert["alert"] for alert in alerts()))
    for name, section in sections.items():
        missing = [
            part for part in ("**For people:**", "**Look:**", "**Mend:**", "**Prevent:**") if part not in section
        ]
        assert not missing, f"{name} lacks {missing}"


def test_operations_lists_the_alerts_by_severity():
    """Pages and tickets, each with the way to its runbook."""
    for severity in ("page", "ticket"):
        (row,) = re.findall(rf"^\| {severity} \| (\[.*) \|$", OPERATIONS.read_text(), re.MULTILINE)
        ours = dict.fromkeys(alert["alert"] for alert in alerts() if alert["labels"]["severity"] == severity)
        assert row == ", ".join(f"[{name.removeprefix('Moretta')}](runbooks.md#{name.lower()})" for name in ours)


def test_every_metric_that_a_rule_rests_on_is_made_by_the_code():
    """So that none is without data for ever because a name has changed."""
    used = {name for rule in rules() for name in SERIES.findall(rule["expr"])}
    assert len(used) > 40
    assert used - made() - PROMETHEUS_CLIENT - KUBE_STATE_METRICS == set()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert all(re.fullmatch(r"moretta:[a-z_]+:[a-z]+(\d+[mhd])?", name) for name in recorded), recorded
    asked = {name for rule in rules() for name in re.findall(r"moretta:\w+:\w+", rule["expr"])}
    assert asked <= recorded
