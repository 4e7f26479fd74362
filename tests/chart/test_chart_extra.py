"""What one adds of one's own: variables, objects, how NATS's servers are spread."""

import pytest
from chart import container, delta, environment, merged, ours, pods, refusal, render
from chart_values import EVERYTHING

SERVICES = ("ingest", "inference", "aggregate", "notify")
PROXY = [
    {"name": "HTTPS_PROXY", "value": "http://proxy.example.org:3128"},
    {"name": "MORETTA_NOTIFY__SMTP__PASSWORD", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "password"}}},
]


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
    """It has the variables of the others."""
    told = pods(render({**EVERYTHING, "ingest": {**EVERYTHING["ingest"], "extraEnv": PROXY}}))
    assert {name for name, pod in told.items() if "HTTPS_PROXY" in str(pod)} == {"ingest", "whip"}


def test_no_variable_of_the_charts_own_is_taken():
    """Whatever a pod has already is refused, with what to set: of two with one name Kubernetes takes the last."""
    told = {name: set(environment(pod)) for name, pod in ours(render(EVERYTHING)).items()}
    assert set().union(*(environment(pod) for pod in ours(render()).values())) <= set().union(*told.values())
    owners = {name: service for service in SERVICES for name in told[service]}
    assert set().union(*told.values()) - owners.keys() == set()
    assert len(owners) > 30
    for name, service in sorted(owners.items()):
        values = merged(EVERYTHING, {service: {"extraEnv": [{"name": name, "value": "x"}]}})
        assert refusal(values).startswith(
            f"{service}.extraEnv has {name}, and the chart sets that itself; remove it, and set "
        )


REFUSED = {
    "ingest.extraEnv has MORETTA_NATS__URL, and the chart sets that itself; remove it, and set nats.url, nats.tls,"
    " nats.replicas or nats.streams": {"ingest": {"extraEnv": [{"name": "MORETTA_NATS__URL", "value": "nats://a"}]}},
    "notify.extraEnv has MALLOC_PERTURB_, and the chart sets that itself; remove it, and set nothing: all processes of"
    " Moretta have it alike": {"notify": {"extraEnv": [{"name": "MALLOC_PERTURB_", "value": "0"}]}},
    "aggregate.extraEnv has MORETTA_TRACING__ENDPOINT, and the chart sets that itself; remove it, and set"
    " tracing.endpoint, tracing.ratio or tracing.existingSecret": {
        "aggregate": {"extraEnv": [{"name": "MORETTA_TRACING__ENDPOINT", "value": "http://a"}]}
    },
    "notify.extraEnv has TZ twice; remove one of them": {"notify": {"extraEnv": [{"name": "TZ", "value": "UTC"}] * 2}},
    "notify.extraEnv has MORETTA_NOTIFY__SMTP__PASSWORD with its value, and values are no place for a secret; set"
    " valueFrom: {secretKeyRef: {name: SECRET, key: KEY}} instead": {
        "notify": {"extraEnv": [{"name": "MORETTA_NOTIFY__SMTP__PASSWORD", "value": "x"}]}
    },
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_it_is_refused(sentence):
    """With the whole sentence, and nothing else."""
    assert refusal(REFUSED[sentence]) == sentence


@pytest.mark.parametrize(
    "entry", [{"name": "A", "value": 1}, {"value": "1"}, {"name": "A B", "value": "1"}, {"name": "A", "from": {}}]
)
def test_an_entry_is_one_of_kubernetes(entry):
    """A number, no name, a name with a space, a misspelt key: the schema refuses them before Kubernetes does."""
    assert "extraEnv" in refusal({"notify": {"extraEnv": [entry]}})


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
