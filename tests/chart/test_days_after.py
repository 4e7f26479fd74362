"""What docs/how-to says of Kubernetes: a node that is gone, a volume that is larger, who is evicted for NATS."""

import subprocess
from math import inf
from pathlib import Path

import chart_values
import pytest
from chart import HELMS, RELEASE, delta, merged, objects_of, render, require, template
from kubernetes_rules import (
    NOT_READY_S,
    TOLERATED_S,
    asked,
    made_anew_s,
    may_be_evicted,
    may_take,
    preempted,
    refused,
    stays,
)
from previous_version import previous_chart
from rendered_nats import parsed
from shell_lines import HELM

NATS = f"StatefulSet/{RELEASE}-nats"
TEN_MINUTES = 600.0
SPREAD = {"nats": {"replicas": 3}}


@pytest.mark.parametrize("over", [{}, SPREAD], ids=["one server", "three"])
def test_a_node_gone_for_ten_minutes(over):
    """Deployments' pods are made anew elsewhere after almost six minutes, NATS's when the node is back."""
    owners = {name: one for name, one in render(over).items() if name.startswith(("Deployment/", "StatefulSet/"))}
    assert len(owners) == 5
    for name, owner in owners.items():
        elsewhere = TEN_MINUTES if name.startswith("StatefulSet/") else NOT_READY_S + TOLERATED_S
        assert made_anew_s(owner, back_s=TEN_MINUTES) == elsewhere, name
        assert made_anew_s(owner, back_s=120) == inf, "a short absence moves no pod"


def test_nats_waits_for_a_node_that_nobody_declares_gone():
    """It stays Terminating for ever; deleting the node, or the taint out-of-service, lets it go elsewhere at once."""
    nats = render()[NATS]
    assert made_anew_s(nats) == inf
    assert made_anew_s(nats, declared_s=70) == 70
    soon = [
        {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    ]
    [ingest] = [
        one for name, one in render({"ingest": {"tolerations": soon}}).items() if name == f"Deployment/{RELEASE}-ingest"
    ]
    assert made_anew_s(ingest) == NOT_READY_S + 30, "ingest.tolerations in the values make it sooner"


def test_three_servers_never_share_a_node():
    """On two nodes, or while one is drained or gone, the third waits, and a second drain for it; a fourth takes it."""
    objects = render(SPREAD)
    [by_node, _] = objects[f"{NATS}-cluster"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert may_take(by_node, {"a": 1, "b": 1}) == set()
    assert may_take(by_node, {"a": 1, "b": 1, "c": 0}) == {"c"}
    assert may_take(by_node, {"a": 1, "b": 1, "c": 0}, frozenset({"c"})) == set()
    assert may_take(by_node, {"a": 1, "b": 1, "c": 0, "d": 0}, frozenset({"c"})) == {"d"}
    budget = objects[f"PodDisruptionBudget/{RELEASE}-nats"]
    assert may_be_evicted(budget, ready=3, pods=3, is_ready=True)
    assert not may_be_evicted(budget, ready=2, pods=3, is_ready=True)
    [alone, _] = render()[NATS]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert may_take(alone, {"a": 0}) == {"a"}


@pytest.mark.parametrize("over", [{}, SPREAD], ids=["one server", "three"])
def test_a_larger_volume_is_refused_by_an_upgrade_alone(over):
    """And is all that changes: a set that is deleted with --cascade=orphan and made anew keeps its pods."""
    larger = merged(over, {"nats": {"storage": {"size": "8Gi"}}})
    before, after = render(over), render(larger)
    [name] = [name for name in before if name.startswith("StatefulSet/")]
    assert refused(before[name], after[name]) == {"volumeClaimTemplates"}
    assert stays(before[name], after[name])
    changed = delta({"nats": {"storage": {"size": "8Gi"}}}, base=over)
    assert set(changed) == {f"{name}.spec.volumeClaimTemplates"}


@pytest.mark.parametrize(
    "over",
    [
        {"nats": {"tls": {"enabled": True, "serverSecret": "s", "clientSecret": "c"}}},
        {"nats": {"resources": {"limits": {"memory": "2Gi"}}}},
        {"nats": {"websocket": {"enabled": True, "origins": ["https://a.example"]}}},
        {"nats": {"image": {"tag": "2.15.2-alpine"}}},
        {"nats": {"priorityClassName": "moretta-nats"}},
    ],
    ids=lambda over: next(iter(over["nats"])),
)
def test_any_other_value_of_nats_is_taken(over):
    """No other change of values needs the set to be deleted."""
    assert not refused(render()[NATS], render(over)[NATS])


@pytest.mark.parametrize("over", [{}, SPREAD, chart_values.PAGE], ids=["one server", "three", "page"])
def test_an_upgrade_from_the_version_before_is_taken(over, tmp_path: Path):
    """The API server refuses none of its changes, and NATS finds what it stored."""
    done = template(over, chart=previous_chart(tmp_path))
    assert done.returncode == 0, done.stderr
    before, after = objects_of(done.stdout), render(over)
    for name in before.keys() & after.keys():
        if name.startswith("StatefulSet/"):
            assert not refused(before[name], after[name])
        if name.startswith("Deployment/"):
            assert before[name]["spec"]["selector"] == after[name]["spec"]["selector"], "no update may change it"
    confs = [parsed(one[f"ConfigMap/{RELEASE}-nats"]["data"]["nats.conf"]) for one in (before, after)]
    assert confs[0]["jetstream"]["store_dir"] == confs[1]["jetstream"]["store_dir"]
    assert {name for name in before if name.startswith("StatefulSet/")} <= set(after)


CLASS = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "moretta-nats"},
    "value": 10**6,
}


def test_services_that_took_the_whole_node_are_evicted_for_nats():
    """Without a PriorityClass NATS stays Pending, and all of them wait for it; with one it takes what it needs."""

    def placed(over) -> tuple[dict, dict]:
        objects = render(over)
        copies = {
            f"{name}-{index}": one["spec"]["template"]["spec"]
            for name, one in objects.items()
            if name.startswith("Deployment/")
            for index in range(one["spec"]["replicas"])
        }
        return objects[NATS]["spec"]["template"]["spec"], copies

    nats, services = placed({})
    room = {kind: sum(asked(pod)[kind] for pod in services.values()) for kind in ("cpu", "memory")}
    assert preempted(nats, services, room, {}) is None
    nats, services = placed({"nats": {"priorityClassName": "moretta-nats"}})
    victims = preempted(nats, services, room, {"moretta-nats": CLASS["value"]})
    assert victims
    assert len(victims) < len(services)
    stranger = {"containers": [{"resources": {"requests": {"cpu": "4", "memory": "8Gi"}}}]}
    wide = {"cpu": 4.0, "memory": 8 * 2.0**30}
    assert preempted(nats, {"other/db-0": stranger}, wide, {"moretta-nats": CLASS["value"]}) == {"other/db-0"}, (
        "pods of other namespaces, too: so who runs the cluster makes the class, and no chart"
    )


def test_the_chart_makes_nothing_that_is_the_whole_cluster_s():
    """A PriorityClass comes by `extraObjects` where one installation may make it."""
    kinds = {one["kind"] for one in render(SPREAD).values()}
    assert not kinds & {"PriorityClass", "ClusterRole", "ClusterRoleBinding", "StorageClass", "Namespace"}
    objects = render({"nats": {"priorityClassName": "moretta-nats"}, "extraObjects": [CLASS]})
    assert objects["PriorityClass/moretta-nats"]["value"] == CLASS["value"]
    assert objects[NATS]["spec"]["template"]["spec"]["priorityClassName"] == "moretta-nats"


@pytest.mark.parametrize("version", HELMS)
def test_helm_has_the_options_that_the_pages_use(version: str):
    """Each of both versions; --force-conflicts is helm 4's, as docs/how-to/nats-one-to-three.md says."""
    lacking = {
        option
        for name, options in HELM.items()
        for option in options
        if option not in _helps(version, *(("get", "values") if name == "get" else (name,)))
    }
    assert lacking == (set() if version.startswith("4") else {"--force-conflicts"})


def _helps(version: str, *words: str) -> str:
    command = [require(HELMS[version]), *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
