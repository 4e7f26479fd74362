"""What one adds of one's own: labels, accounts, names, containers, volumes, variables, objects."""

import pytest
from chart import RELEASE, container, container_named, delta, merged, pods, refusal, render, seed
from chart_values import AUTOSCALED, EVERYTHING, OWN, TRYOUT

SERVICES = ("ingest", "inference", "aggregate", "notify")
WORKLOADS = {name: f"Deployment/moretta-{name}" for name in SERVICES} | {"nats": "StatefulSet/moretta-nats"}
CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "privileged": False,
    "capabilities": {"drop": ["ALL"]},
}
PROXY = [
    {"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"},
    {"name": "MORETTA_NOTIFY__SMTP__PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "password"}}},
]


@pytest.mark.parametrize("base", [{}, EVERYTHING, AUTOSCALED, TRYOUT], ids=["default", "all", "autoscaled", "tryout"])
def test_labels_of_all_objects_and_pods(base):
    """Nothing else changes: not what selects pods, nor volumes of NATS, whose labels nobody may change."""
    objects = render(base)
    mine = {name for name, one in objects.items() if one["metadata"]["name"] != f"{RELEASE}-own"}
    templates = {name for name in mine if "template" in objects[name].get("spec", {})}
    paths = [f"{name}.metadata.labels" for name in mine] + [
        f"{name}.spec.template.metadata.labels" for name in templates
    ]
    assert len(templates) >= 4
    assert delta({"commonLabels": {"cost-center": "4711"}}, base=base) == {
        f"{one}.cost-center": "4711" for one in paths
    }


def test_a_label_of_ones_own_is_in_the_place_of_one_of_all():
    """Of pods, and of what Prometheus looks for."""
    monitor = {"podMonitor": {"enabled": True, "labels": {"team": "c"}}}
    both = {"commonLabels": {"team": "a"}, "notify": {"podLabels": {"team": "b"}}, "monitoring": monitor}
    objects = render(both)
    assert {name: pod["metadata"]["labels"]["team"] for name, pod in pods(objects).items() if name in SERVICES} == {
        **dict.fromkeys(SERVICES, "a"), "notify": "b",
    }  # fmt: skip
    assert objects["PodMonitor/moretta-metrics"]["metadata"]["labels"]["team"] == "c"
    empty = pods(render(merged(both, {"notify": {"podLabels": {"team": ""}}})))
    assert empty["notify"]["metadata"]["labels"]["team"] == ""


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_one_adds_to_the_pods_of_one_component(name):
    """All of it is there as it was given, the volume read only and the container confined; nobody else changes, but the
    pod of `helm test`, which finds the names of cameras as ingest does."""
    objects, before = render({name: OWN}), render()
    names = {key: OWN[key] for key in ("dnsPolicy", "dnsConfig", "hostAliases")}
    pod = objects[WORKLOADS[name]]["spec"]["template"]
    old = before[WORKLOADS[name]]["spec"]["template"]
    assert pod["metadata"]["labels"] == old["metadata"]["labels"] | OWN["podLabels"]
    assert {key: pod["spec"].get(key) for key in names} == names
    assert pod["spec"]["volumes"] == [*old["spec"]["volumes"], *OWN["extraVolumes"]]
    mounts = container_named(old, name)["volumeMounts"]
    assert container_named(pod, name)["volumeMounts"] == [*mounts, OWN["extraVolumeMounts"][0] | {"readOnly": True}]
    assert pod["spec"]["initContainers"] == [one | {"securityContext": CONFINED} for one in OWN["initContainers"]]
    account = objects[f"ServiceAccount/moretta-{name}"]
    assert account["metadata"]["annotations"] == OWN["serviceAccount"]["annotations"]
    assert account["automountServiceAccountToken"] is False
    others = {one for one in objects if objects[one] != before[one]} - {
        WORKLOADS[name],
        f"ServiceAccount/moretta-{name}",
    }
    assert others == ({"Pod/moretta-test"} if name == "ingest" else set())
    if name == "ingest":
        assert {key: objects["Pod/moretta-test"]["spec"].get(key) for key in names} == names


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_account_of_ones_own_and_no_budget(name):
    """Made by the chart with another name, or there already; a budget that is switched off is gone."""
    pod = f"{WORKLOADS[name]}.spec.template.spec.serviceAccountName"
    renamed = {"ServiceAccount/mine": "new", f"ServiceAccount/moretta-{name}": "gone", pod: "mine"}
    assert delta({name: {"serviceAccount": {"name": "mine"}}}) == renamed
    there = {key: value for key, value in renamed.items() if value != "new"}
    assert delta({name: {"serviceAccount": {"name": "mine", "create": False}}}) == there
    without = {f"PodDisruptionBudget/moretta-{name}": "gone"}
    assert delta({name: {"podDisruptionBudget": {"enabled": False}}}) == without


def test_where_the_other_pods_run():
    """Those of commands, too: the first of them runs before anything else is installed."""
    placed = {"nodeSelector": {"zone": "a"}, "tolerations": [{"operator": "Exists"}]}
    over = {name: {**placed, "podAnnotations": {"a/b": "1"}} for name in ("identities", "toolbox", "tryout", "tests")}
    base = merged(TRYOUT, {"tests": {"roundTrip": {"enabled": True}}, "toolbox": {"enabled": True}})
    before, now = pods(render(base)), pods(render(merged(base, over)))
    assert {name for name in now if now[name] != before[name]} == {"identities", "toolbox", "tryout", "test", "camera"}
    for name in now.keys() - {*SERVICES, "nats"}:
        assert now[name]["metadata"]["annotations"]["a/b"] == "1"
        assert {key: now[name]["spec"][key] for key in placed} == placed


def test_how_metrics_are_scraped():
    """By both kinds of monitors."""
    drop = [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}]
    how = {"scrapeTimeout": "5s", "relabelings": [{"targetLabel": "a"}], "metricRelabelings": drop}
    for monitor, endpoints in (("podMonitor", "podMetricsEndpoints"), ("serviceMonitor", "endpoints")):
        kind = monitor[0].upper() + monitor[1:]
        objects = render({"monitoring": {monitor: {"enabled": True, **how}}})
        [endpoint] = objects[f"{kind}/moretta-metrics"]["spec"][endpoints]
        assert {key: endpoint[key] for key in how} == how


def test_one_registry_has_all_images():
    """NATS's and that of the keys, too, of a cluster that reaches nothing else."""
    registry = {"image": {"registry": "mirror.example.org/all"}, "nats": {"image": {"registry": ""}}}
    for base in ({}, TRYOUT):
        found = pods(render(merged(base, registry)))
        images = {one["image"] for pod in found.values() for one in pod["spec"]["containers"]}
        assert {one.rpartition("/")[0] for one in images} == {
            "mirror.example.org/all",
            "mirror.example.org/all/library",
        }
    hub = {
        "nats": {
            "hub": {"enabled": True},
            "image": {"registry": ""},
            "keys": {"streams": [seed("streams").public], "page": None},
        },
        "image": {"registry": ""},
    }
    with_registry = {"nats": {"image": {"repository": "mirror.example.org/library/nats"}}}
    assert refusal(with_registry).startswith(
        "nats.image.repository is mirror.example.org/library/nats, and begins with"
    )
    assert refusal(hub).startswith(
        "nats.image.registry is empty, and image.registry, too; set the registry that has NATS"
    )


@pytest.mark.parametrize("service", SERVICES)
def test_variables_of_one_service(service):
    """They come after the chart's own, in the pods of that service alone."""
    container_at = f"Deployment/moretta-{service}.spec.template.spec.containers.{service}.env"
    assert delta({service: {"extraEnv": PROXY}}) == {
        f"{container_at}.HTTPS_PROXY.value": PROXY[0]["value"],
        f"{container_at}.MORETTA_NOTIFY__SMTP__PASSWORD.valueFrom.secretKeyRef.name": "mail",
        f"{container_at}.MORETTA_NOTIFY__SMTP__PASSWORD.valueFrom.secretKeyRef.key": "password",
    }
    pod = render({service: {"extraEnv": PROXY}})[f"Deployment/moretta-{service}"]["spec"]["template"]
    assert container(pod)["env"][-2:] == PROXY


def test_the_pod_of_whip_is_an_ingest_pod():
    """It has what the others have, and their ServiceAccount; name servers of one's own, or the cluster's."""
    told = pods(render({**EVERYTHING, "ingest": {**EVERYTHING["ingest"], "extraEnv": PROXY}}))
    for what in ("HTTPS_PROXY", "gate-1.cameras", "'network': 'cameras'", "/mnt/own", "authorities@", "10.20.0.53"):
        assert {name for name, pod in told.items() if what in str(pod)} - {"nats", "test", "camera"} == {
            "ingest",
            "whip",
        }
    assert {told[name]["spec"]["serviceAccountName"] for name in ("ingest", "whip")} == {"moretta-ingest"}
    alone = pods(render({**EVERYTHING, "ingest": {**EVERYTHING["ingest"], "dnsPolicy": "", "dnsConfig": {}}}))
    assert alone["whip"]["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"


def test_how_servers_are_spread():
    """One's own constraints are in the place of the chart's."""
    spread = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    where = "StatefulSet/moretta-nats.spec.template.spec.topologySpreadConstraints"
    assert delta({"nats": {"topologySpreadConstraints": spread}}) == {where: spread}


OBJECT = """
{{- if .Values.networkPolicy.enabled }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ include "moretta.fullname" . }}-own}
{{- end }}
"""


@pytest.mark.parametrize(("enabled", "changed"), [(True, {"ConfigMap/moretta-own": "new"}), (False, {})])
def test_an_object_as_a_text_is_a_template(enabled, changed):
    """With conditions, and the chart's own names."""
    base = {"networkPolicy": {"enabled": enabled}}
    assert delta({"extraObjects": [OBJECT]}, base=base) == changed
