"""Every metric of the four services: named as Prometheus wants it, with labels of known values, and written down."""

import re
from pathlib import Path

import pytest

import metrics_table as table

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
NAMES = [
    name.removesuffix({"counter": "_total", "info": "_info"}.get(kind, ""))
    for name, kind in re.findall(r"^\| `(moretta_\w+)` \| (\w+)", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
]
"""Of the document, which a test compares with the services: to ask them takes a process of each."""
PUBLISHED = {
    "moretta_window_coverage_ratio", "moretta_window_end_timestamp_seconds", "moretta_window_persons",
    "moretta_window_rate_high_ratio", "moretta_window_rate_low_ratio", "moretta_window_rate_ratio",
}  # fmt: skip
"""What a published window says, where the operator asks for it; these alone are of people, and of zones."""
SERIES = 4_000
"""So many at most of one metric, beside those of sites and cameras."""
UNITLESS = {
    "moretta_camera_analysed_fps", "moretta_camera_fps", "moretta_drift_baseline_days", "moretta_drift_score",
    "moretta_drift_score_psi", "moretta_drift_size_psi", "moretta_inference_frame_keys", "moretta_ingest_workers",
    "moretta_readers", "moretta_stream_replicas_lacking", "moretta_whip_peers", "moretta_drift_unknown_share",
    "moretta_window_persons",
}  # fmt: skip
FLAGS = {
    "moretta_camera_configured", "moretta_camera_state", "moretta_certificate_renewal_failed",
    "moretta_nats_connected", "moretta_notify_smtp_up", "moretta_ready", "moretta_sandbox_state",
}  # fmt: skip
pytestmark = pytest.mark.xdist_group("metrics")


@pytest.fixture(name="metric")
def _metric(name):
    return next(one for one in table.everything() if one.name == name)


def test_the_document_is_what_the_services_have():
    """An outcome or a metric that is added and not written down (`make contracts`) is noticed."""
    assert DOCUMENT.read_text(encoding="utf-8") == table.markdown()


@pytest.mark.parametrize("name", NAMES)
def test_names_are_as_prometheus_wants_them(metric):
    """Base units, and `_total` of counters alone (prometheus.io/docs/practices/naming); what is a flag says so."""
    assert re.fullmatch(r"moretta_[a-z]+(_[a-z]+)*", metric.exposed)
    assert metric.exposed.endswith("_total") == (metric.type == "counter")
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent|count|sum|bucket)(_|$)", metric.name)
    assert not set(metric.labels) & {"le", "job", "instance", "namespace", "pod", "type", "name"}
    if metric.type == "histogram":
        assert metric.unit in {"seconds", "bytes"}
    elif metric.type == "gauge" and metric.name not in UNITLESS:
        expected = "1 " if metric.name in FLAGS or metric.unit == "info" else ""
        assert metric.tells.startswith(expected)
        assert metric.name in FLAGS or metric.unit
    assert not re.search("_(age|lag|delay|lifetime|expiry)_", f"{metric.name}_") or metric.unit == "seconds"


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_bounded_and_say_nothing_of_people(metric):
    """Each label's values are those of an enum, or ids of the settings; none is a verdict, an address, a recipient."""
    series = 1
    for label in metric.labels:
        values = table.values_of(metric.name, label)
        series *= 1 if isinstance(values, str) else len(values)
        words = set() if isinstance(values, str) else set(values)
        assert not words & {"masked", "unmasked", "incorrect"}
        assert len(words) == (0 if isinstance(values, str) else len(values))
    assert series <= SERIES
    if metric.name.startswith("moretta_window_"):
        assert (metric.name in PUBLISHED, metric.labels, metric.services) == (True, ("site", "zone"), ("aggregate",))
        return
    assert not re.search("person|people|passage|masked|verdict|faces|rate_", metric.name)
    assert not set(metric.labels) & {"zone", "verdict", "recipient", "receiver", "address", "url", "track", "worker"}
