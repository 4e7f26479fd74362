"""What one adds is refused where the chart has it itself, or where others might read pictures; else it is taken."""

import json
import re

import pytest
from chart import CHART, environment, merged, ours, pods, refusal, render
from chart_values import EVERYTHING

SERVICES = ("ingest", "inference", "aggregate", "notify")


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
    "inference.extraEnv has OPENSSL_CONF; where pictures are there may be MORETTA_..., HTTP_PROXY, HTTPS_PROXY,"
    " NO_PROXY, TZ, SSL_CERT_FILE and SSL_CERT_DIR alone, since others can have code loaded": {
        "inference": {"extraEnv": [{"name": "OPENSSL_CONF", "value": "/mnt/own/a.cnf"}]}
    },
    "notify.extraEnv has TZ twice; remove one of them": {"notify": {"extraEnv": [{"name": "TZ", "value": "UTC"}] * 2}},
    "notify.extraEnv has MORETTA_NOTIFY__SMTP__PASSWORD with its value, and values are no place for a secret; set"
    " valueFrom: {secretKeyRef: {name: SECRET, key: KEY}} instead": {
        "notify": {"extraEnv": [{"name": "MORETTA_NOTIFY__SMTP__PASSWORD", "value": "x"}]}
    },
}


def volume(where, kind="emptyDir", name="own", path="/mnt/own", **more):
    """A component's values with one volume."""
    return {
        where: {"extraVolumes": [{"name": name, kind: more}], "extraVolumeMounts": [{"name": name, "mountPath": path}]}
    }


def first(where, **more):
    """A component's values with one container that runs before it."""
    return {where: {"initContainers": [{"name": "first", "image": "a", **more}]}}


def by_key(secret):
    return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": secret, "key": "a"}}}]}


MINE = "and nobody else has what is in that"
CAMERAS = f"moretta-cameras, as ingest.existingSecret is, {MINE}; remove it"
REFUSED |= {
    "commonLabels has app.kubernetes.io/instance, and the chart sets that itself; remove it": {
        "commonLabels": {"app.kubernetes.io/instance": "a"}
    },
    "nats.podLabels has app.kubernetes.io/component, and the chart sets that itself; remove it": {
        "nats": {"podLabels": {"app.kubernetes.io/component": "ingest"}}
    },
    "ingest.podLabels.team is A team, and a label's value has A-Z, a-z, 0-9, -, _ and . alone, 63 at most": {
        "ingest": {"podLabels": {"team": "A team"}}
    },
    "ingest.serviceAccount.create is false, and its name is empty; set the name of one that is there, or create:"
    " true": {"ingest": {"serviceAccount": {"create": False}}},
    "ingest.dnsPolicy is None, and ingest.dnsConfig.nameservers is empty, so that no name is found; set the name"
    " servers": {"ingest": {"dnsPolicy": "None"}},
    # Who might read pictures.
    "ingest.initContainers[0].restartPolicy is given, so that it might run beside ingest, which has pictures; remove"
    " it": first("ingest", restartPolicy="Always"),
    "inference.initContainers[0].securityContext is given, and the chart sets that itself; remove it": first(
        "inference", securityContext={"privileged": True}
    ),
    "ingest.initContainers[0] mounts identity, which is none of ingest.extraVolumes; remove it, or add the"
    " volume": first("ingest", volumeMounts=[{"name": "identity", "mountPath": "/a"}]),
    f"notify.initContainers[0].env[0].valueFrom.secretKeyRef.name is {CAMERAS}": first(
        "notify", **by_key("moretta-cameras")
    ),
    f"ingest.initContainers[0].env[0].valueFrom.secretKeyRef.name is {CAMERAS}": first(
        "ingest", **by_key("moretta-cameras")
    ),
    f"nats.initContainers[0].envFrom[0].secretRef.name is moretta-identity-ingest, as ingest.identitySecret is, {MINE};"
    " remove it": first("nats", envFrom=[{"secretRef": {"name": "moretta-identity-ingest"}}]),
    f"aggregate.extraEnv[0].valueFrom.secretKeyRef.name is keys, as inference.identitySecret is, {MINE}; remove it": {
        "inference": {"identitySecret": "keys"},
        "aggregate": {"extraEnv": by_key("keys")["env"]},
    },
    f"notify.extraVolumes[0].secret.secretName is moretta-identity-inference, as inference.identitySecret is, {MINE};"
    " remove it": volume("notify", "secret", secretName="moretta-identity-inference"),
    f"nats.extraVolumes[0].projected.sources[0].secret.name is {CAMERAS}": volume(
        "nats", "projected", sources=[{"secret": {"name": "moretta-cameras"}}]
    ),
    "ingest.extraVolumeMounts[0].mountPath is /etc/ssl; set one below /mnt or /etc/ssl/certs, where nothing of ours"
    " is": volume("ingest", path="/etc/ssl"),
    "inference.extraVolumes[1].name is own, as another one is called; take another name": {
        "inference": {"extraVolumes": [{"name": "own", "emptyDir": {}}] * 2}
    },
    "inference.initContainers[0].restartPolicy is given, so that it might run beside inference, which has pictures;"
    " remove it": first("inference", restartPolicy="Always"),
    "aggregate.serviceAccount.name is moretta-ingest, which is that of ingest: each has one of its own; set another"
    " one": {"aggregate": {"serviceAccount": {"create": False, "name": "moretta-ingest"}}},
    "notify.serviceAccount.name is moretta-identities, which is that of identities: each has one of its own; set"
    " another one": {"notify": {"serviceAccount": {"create": False, "name": "moretta-identities"}}},
    "notify.podAnnotations has moretta/started-with, and the chart sets that itself; remove it": {
        "notify": {"podAnnotations": {"moretta/started-with": "a"}}
    },
    "tests.podAnnotations has helm.sh/hook, and the chart sets that itself; remove it": {
        "tests": {"podAnnotations": {"helm.sh/hook": "a"}}
    },
    "monitoring.podMonitor.labels has app.kubernetes.io/instance, and the chart sets that itself; remove it": {
        "monitoring": {"podMonitor": {"labels": {"app.kubernetes.io/instance": "a"}}}
    },
    "nats.initContainers[0].name is nats, as a container of the chart's own is called; take another name": {
        "nats": {"initContainers": [{"name": "nats", "image": "a"}]}
    },
    # Where volumes may be.
    "ingest.extraVolumes[0] is of the kind hostPath; taken are those of Pod Security restricted: configMap, csi,"
    " downwardAPI, emptyDir, ephemeral, persistentVolumeClaim, projected, secret": volume(
        "ingest", "hostPath", path="/"
    ),
    "inference.extraVolumes[0].name is identity, as a volume of the chart's own is called; take another name": volume(
        "inference", name="identity"
    ),
    "nats.extraVolumes[0].name is data, as a volume of the chart's own is called; take another name": volume(
        "nats", name="data"
    ),
    "ingest.extraVolumeMounts[0].mountPath is /opt/moretta; set one below /mnt or /etc/ssl/certs, where nothing of ours"
    " is": (volume("ingest", path="/opt/moretta")),
    "inference.extraVolumeMounts[0].mountPath is /mnt/../proc; set one below /mnt or /etc/ssl/certs, where nothing of"
    " ours is": volume("inference", path="/mnt/../proc"),
    "aggregate.extraVolumeMounts[0].mountPath is /etc/moretta/secrets; set one below /mnt or /etc/ssl/certs, where"
    " nothing of ours is": volume("aggregate", path="/etc/moretta/secrets"),
    "ingest.extraVolumeMounts[0].mountPath is /etc/moretta/secrets, where ingest.existingSecret is seen; remove one of"
    " them": volume("ingest", path="/etc/moretta/secrets"),
    "notify.extraVolumeMounts[0].name is own, which is none of notify.extraVolumes; set the name of one": {
        "notify": {"extraVolumeMounts": [{"name": "own", "mountPath": "/mnt"}]}
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


@pytest.mark.parametrize("mount", [{"readOnly": False}, {"mountPropagation": "Bidirectional"}])
def test_a_mount_is_read_only(mount):
    """The schema refuses one that could be written to: a service keeps nothing."""
    over = volume("inference")
    over["inference"]["extraVolumeMounts"][0] |= mount
    assert "extraVolumeMounts" in refusal(over)


def test_ingest_has_its_own_secret_as_a_variable():
    """What opens the cameras is ingest's."""
    one = by_key("moretta-cameras")["env"][0] | {"name": "MORETTA_A"}
    pod = render({"ingest": {"extraEnv": [one]}})["Deployment/moretta-ingest"]["spec"]["template"]
    assert "moretta-cameras" in environment(pod)["MORETTA_A"]


def test_a_file_of_the_settings_on_a_volume_of_ones_own():
    """It is taken where a volume is seen, and nowhere beside it."""
    mine = volume("notify", "configMap", path="/mnt/company", name="ca")
    with_file = lambda file: merged(mine, {"settings": {"notify": {"smtp": {"ca_file": file}}}})  # noqa: E731
    assert "/mnt/company/ca.crt" in str(render(with_file("/mnt/company/ca.crt"))["ConfigMap/moretta-settings"])
    assert refusal(with_file("/mnt/companyca.crt")) == (
        "settings.notify.smtp.ca_file is /mnt/companyca.crt, which no pod has; the files of the Secret"
        " notify.existingSecret are below /etc/moretta/secrets, others where notify.extraVolumeMounts says"
    )


@pytest.mark.parametrize("where", ["aggregate", "notify", "nats"])
def test_a_container_runs_beside_who_has_no_pictures(where):
    """Such as an exporter of NATS's metrics, as confined as the service."""
    objects = render(first(where, restartPolicy="Always"))
    [found] = pods(objects)[where]["spec"]["initContainers"]
    assert (found["restartPolicy"], found["securityContext"]["capabilities"]) == ("Always", {"drop": ["ALL"]})


FIELDS = (
    "inference.identitySecret", "aggregate.identitySecret", "notify.existingSecret", "notify.identitySecret",
    "nats.tls.clientSecret", "nats.tls.serverSecret", "nats.tls.routesSecret", "nats.leaf.existingSecret",
    "nats.leaf.certificateSecret", "page.ingress.tlsSecret", "tracing.existingSecret", "tests.identitySecret",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_no_other_value_names_their_secrets(field):
    """Each value that is a Secret's name: with it keys and addresses would be mounted elsewhere."""
    for secret, owner in (("moretta-identity-ingest", "identitySecret"), ("moretta-cameras", "existingSecret")):
        over = secret
        for key in reversed(field.split(".")):
            over = {key: over}
        both = (field, f"ingest.{owner}"), (f"ingest.{owner}", field)
        assert refusal(over) in {f"{one} is {secret}, as {other} is, {MINE}; set another Secret" for one, other in both}


def test_the_values_that_name_secrets_are_these():
    """One that comes later is looked at, too."""
    define = (CHART / "templates/_requirements.tpl").read_text().partition('define "moretta.secretFields"')[2]
    named = re.findall(r'"([A-Za-z.]+Secret)"', define.partition("end }}")[0])
    assert sorted(named) == sorted({*FIELDS, "ingest.identitySecret", "ingest.existingSecret"})
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert sorted(named) == sorted(_secret_values("", schema))


def _secret_values(path, schema):
    for name, part in schema.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        if here == "settings":
            continue
        if name.endswith("Secret"):
            yield here
        yield from _secret_values(here, part)


OURS = {
    "notify": ["settings", "identity", "secrets", "certificates", "tracing", "tmp"],
    "nats": ["config", "pid", "data", "nats-tls", "nats-routes-tls", "nats-keys", "nats-leaf", "nats-leaf-tls"],
}


@pytest.mark.parametrize(("where", "name"), [(where, name) for where, names in OURS.items() for name in names])
def test_no_volume_of_the_charts_own_is_taken(where, name):
    """All that a pod may have: with two of one name Kubernetes would refuse it."""
    assert "as a volume of the chart's own is called" in refusal(volume(where, name=name))


def test_these_are_the_charts_own_volumes():
    """With everything on, and keys that are made in the cluster."""
    none = dict.fromkeys(("extraVolumes", "extraVolumeMounts", "initContainers"))
    found = pods(render(merged(EVERYTHING, {"ingest": none, "nats": none})))
    names = {name: {one["name"] for one in pod["spec"]["volumes"]} for name, pod in found.items()}
    assert names["notify"] | {"secrets"} == {*OURS["notify"]}
    assert names["nats"] | {"data", "nats-keys"} == {*OURS["nats"]}
    assert names["ingest"] <= {*OURS["notify"]}
