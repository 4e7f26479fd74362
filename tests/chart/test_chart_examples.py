"""k8s/examples: what SREs ask for, as files that one takes; real helm renders each, and Kubernetes' API takes it."""

import os
import subprocess

import pytest
import yaml
from chart import (
    CHART,
    HELMS,
    NAMESPACE,
    RELEASE,
    ROOT,
    container,
    given,
    manifest,
    merged,
    objects_of,
    pods,
    render,
    require,
)
from chart_checks import VERSIONS, validated

EXAMPLES = {file.stem: file for file in sorted((ROOT / "k8s/examples").glob("*.yaml"))}
POST_RENDERER = ROOT / "k8s/examples/post-renderer"
KUBECTL = HELMS["4.1"].with_name("kubectl")


def of(name):
    """What is rendered with an example."""
    return render(yaml.safe_load(EXAMPLES[name].read_text()))


def seen(pod):
    """Where a service sees which volume."""
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    return {one["mountPath"]: volumes[one["name"]] for one in container(pod)["volumeMounts"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_kubernetes_takes_it(tmp_path, name, version):
    """As both helms render it."""
    over = yaml.safe_load(EXAMPLES[name].read_text())
    assert render(over, version="3.17") == render(over, version="4.1")
    (tmp_path / "all.yaml").write_text(manifest(over), encoding="utf-8")
    found = validated(tmp_path / "all.yaml", version)
    assert (found.wrong, found.unknown - {"SecretProviderClass"}) == ("", set())
    assert found.valid > 20


def test_a_companys_own_authority():
    """The file that mail server and a camera name is on a volume that both services see; no other setting changes."""
    sites, file = given()["settings"]["sites"], "/mnt/company-ca/ca.crt"
    sites[0]["cameras"][0]["ca_file"] = file
    objects = render(merged(yaml.safe_load(EXAMPLES["private-ca"].read_text()), {"settings": {"sites": sites}}))
    settings = yaml.safe_load(objects["ConfigMap/moretta-settings"]["data"]["settings.yaml"])
    smtp = given()["settings"]["notify"]["smtp"] | {"ca_file": file}
    assert (settings["sites"], settings["notify"]["smtp"]) == (sites, smtp)
    for name in ("ingest", "notify"):
        assert seen(pods(objects)[name])["/mnt/company-ca"]["configMap"] == {"name": "company-ca"}
    assert "company-ca" not in str(pods(objects)["inference"])
    # Who tries cameras and mail servers in their place has it, too, and each place once.
    [mount] = [one for one in container(pods(objects)["test"])["volumeMounts"] if one["mountPath"] == "/mnt/company-ca"]
    assert (mount["readOnly"], seen(pods(objects)["test"])["/mnt/company-ca"]["configMap"]) == (
        True,
        {"name": "company-ca"},
    )


def test_names_of_cameras():
    """Who tries cameras asks their name server, to which the network policies let it; the others ask as before."""
    objects = of("camera-names")
    servers = {name: pod["spec"].get("dnsConfig", {}).get("nameservers") for name, pod in pods(objects).items()}
    assert {name for name, found in servers.items() if found} == {"ingest", "test"}
    assert servers["ingest"] == ["10.20.0.53"]
    policies = [one["spec"] for one in objects.values() if one["kind"] == "NetworkPolicy"]
    ways = [way for policy in policies for way in policy.get("egress", []) if "10.20.0.53/32" in str(way)]
    assert ways
    assert all({"port": 53, "protocol": "UDP"} in way["ports"] for way in ways)


def test_secrets_of_a_vault():
    """They are where `settings` names their files, and no Secret but identities is mounted."""
    for name, pod in pods(of("csi-secrets")).items():
        if name in {"ingest", "notify"}:
            assert seen(pod)["/etc/moretta/secrets"]["csi"]["driver"] == "secrets-store.csi.k8s.io"
        else:
            assert "vault" not in str(pod)
        secrets = {one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one}
        assert all(one.startswith("moretta-identity-") for one in secrets)


def test_labels_that_a_policy_demands():
    """All objects have them, and what they make pods of."""
    objects = of("policy-labels")
    wanted = {"team": "prevention", "cost-center": "4711"}
    for one in [*objects.values(), *pods(objects).values()]:
        assert one["metadata"]["labels"].items() >= wanted.items()
    assert pods(objects)["ingest"]["metadata"]["labels"]["network"] == "cameras"


@pytest.mark.parametrize("version", HELMS)
def test_what_the_chart_has_no_value_for(tmp_path, version):
    """`--post-renderer` of both helms, with real kustomize: two pods are changed, and nothing else."""
    places = {f"HELM_{name}_HOME": str(tmp_path / name) for name in ("DATA", "CONFIG", "CACHE")}
    environment = os.environ | places | {"PATH": f"{require(KUBECTL).parent}:{os.environ['PATH']}"}
    helm = str(require(HELMS[version]))
    who = str(POST_RENDERER / "render")
    if version == "4.1":
        subprocess.run([helm, "plugin", "install", POST_RENDERER], env=environment, check=True, capture_output=True)
        who = "moretta-kustomize"
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(given()))
    command = [helm, "template", RELEASE, CHART, "--namespace", NAMESPACE, "-f", tmp_path / "values.yaml"]
    done = subprocess.run(
        [*command, "--post-renderer", who], env=environment, capture_output=True, text=True, check=True
    )
    found, before = objects_of(done.stdout), render()
    changed = {"Deployment/moretta-ingest", "Deployment/moretta-inference"}
    assert found.keys() == before.keys()
    assert {name for name in before if found[name] != before[name]} == changed
    for name in changed:
        assert found[name]["spec"]["template"]["spec"].pop("hostUsers") is False
        assert found[name] == before[name]
