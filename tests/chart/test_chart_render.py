"""What the chart renders: the whole of it, and what each value changes."""

import re
import subprocess
import tomllib

import pytest
import yaml
from chart import CHART, GOLDEN, HELMS, ROOT, container, delta, given, helm, merged, objects_of, pods, render, require
from chart_values import EVERYTHING, NODES, PAGE, PHONE

INGEST, INFERENCE = "Deployment/moretta-ingest.spec", "Deployment/moretta-inference.spec"
POD = "template.spec"
CONTAINER = f"{POD}.containers.ingest"
WORKLOADS = [f"Deployment/moretta-{name}" for name in ("ingest", "inference", "aggregate", "notify")]
STARTED = "spec.template.metadata.annotations.moretta/started-with"


@pytest.mark.parametrize("version", HELMS)
def test_lint(version):
    """`helm lint --strict` has nothing to say of what one must set."""
    done = helm("lint", "--strict", str(CHART), values=given(), version=version)
    assert done.returncode == 0, done.stdout


def test_no_name_of_a_template_is_there_twice():
    """Of two with one name Helm takes one, and says nothing."""
    text = "".join(file.read_text() for file in (CHART / "templates").rglob("*.*"))
    names = re.findall(r'{{- define "([^"]+)"', text)
    assert (len(names) > 50, len(names)) == (True, len({*names}))


@pytest.mark.parametrize("over", [{}, EVERYTHING], ids=["default", "everything"])
def test_both_helms_render_the_same(over):
    """Helm 3.17 and 4.1 make the same objects."""
    assert render(over, version="3.17") == render(over, version="4.1")


def test_the_default():
    """What is rendered with the least that one must set is this, and nothing else."""
    golden = GOLDEN.read_text(encoding="utf-8")
    assert render() == objects_of(golden), "delete the golden file and see tests/support/chart.py"


NASTY = {
    "texts": [
        "07:30",
        "2026-12-24",
        "on",
        "no",
        "0123",
        "1e3",
        "~",
        "null",
        "",
        " a ",
        "a: b",
        "# x",
        "é\u2028",
        "[",
        "0x1f",
        "=",
        "1_000",
    ],
    "numbers": [0, 2_592_000, 10**15, 0.1, 0.00001, -1, 1.5e10],
    "others": [True, False, None, {}, [], {"on": {"1": 2}}],
}


def test_settings_word_for_word():
    """The settings file says what `settings` says, whatever YAML might make of it."""
    example = yaml.safe_load((ROOT / "docs/site.example.yaml").read_text())
    sites = merged_sites(example["sites"])
    body = {"to": "$to", "text": "$text", "nasty": NASTY}
    provider = {"url": "https://sms.example.org", "json": body}
    over = {"settings": {"sites": sites, "notify": {"sms": {"provider": provider}}}}
    rendered = render(over)["ConfigMap/moretta-settings"]
    assert yaml.safe_load(rendered["data"]["settings.yaml"]) == given(over)["settings"]


def merged_sites(sites):
    """The example's sites, of whose cameras one has an address in a Secret."""
    camera = {"id": "gate-1", "url_file": "/etc/moretta/secrets/a"}
    return [site | {"cameras": [camera]} for site in sites]


def test_replicas():
    """Each service has its number of pods."""
    assert delta({"notify": {"replicas": 5}}) == {"Deployment/moretta-notify.spec.replicas": 5}


def test_images():
    """A tag is for all, a digest for one image; secrets to pull with are for all pods."""
    digest = f"sha256:{64 * 'a'}"
    changed = delta({"image": {"tag": "9", "digests": {"ingest": digest}, "pullSecrets": [{"name": "regcred"}]}})
    base = "registry.example.org/moretta/moretta"
    expected = {f"{name}.spec.{POD}.imagePullSecrets": [{"name": "regcred"}] for name in WORKLOADS}
    expected |= {
        f"Deployment/moretta-{one}.spec.{POD}.containers.{one}.image": f"{base}-{one}:9"
        for one in ("inference", "aggregate", "notify")
    }
    expected |= {f"{INGEST}.{CONTAINER}.image": f"{base}-ingest@{digest}"}
    expected |= {
        "Pod/moretta-test.spec.containers.doctor.image": f"{base}:9",
        "Pod/moretta-test.spec.imagePullSecrets": [{"name": "regcred"}],
        f"StatefulSet/moretta-nats.spec.{POD}.imagePullSecrets": [{"name": "regcred"}],
    }
    assert changed == expected


def test_placement():
    """Where pods run and what they are worth is passed on to Kubernetes as it is."""
    placed = {
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"operator": "Exists"}],
        "priorityClassName": "high",
        "affinity": {"nodeAffinity": {}},
    }
    changed = delta({"inference": {**placed, "podAnnotations": {"a/b": "1"}}})
    expected = {
        f"{INFERENCE}.{POD}.{key}": value
        for key, value in placed.items()
        if key in {"tolerations", "priorityClassName"}
    }
    expected |= {f"{INFERENCE}.{POD}.nodeSelector.zone": "a", f"{INFERENCE}.{POD}.affinity.nodeAffinity": {}}
    assert changed == expected | {f"{INFERENCE}.template.metadata.annotations.a/b": "1"}


def test_what_is_spread_and_what_is_added():
    """Pods by constraints of one's own; an object of one's own with the release's name in it, and no other changes."""
    spread = [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-own"}, "data": {"a": "b"}}
    changed = delta({"inference": {"topologySpreadConstraints": spread}, "extraObjects": [own]})
    assert changed == {f"{INFERENCE}.{POD}.topologySpreadConstraints": spread, "ConfigMap/moretta-own": "new"}


@pytest.mark.parametrize(
    ("settings", "restarted"),
    [
        ({"sites": [{"id": "forville", "name": "Other", "cameras": []}]}, []),
        ({"notify": {"receivers": [], "replica": None}}, []),
        ({"log": {"level": "debug"}}, WORKLOADS),
        ({"inference": {"threads": 2}}, WORKLOADS[1:2]),
        ({"ingest": {"report_s": 5}}, WORKLOADS[:1]),
    ],
)
def test_what_restarts(settings, restarted):
    """New sites and receivers change the file alone; a section that is read at start only restarts whoever reads it."""
    changed = delta({"settings": settings})
    assert changed.pop("ConfigMap/moretta-settings.data.settings.yaml")
    assert sorted(changed) == sorted(f"{name}.{STARTED}" for name in restarted)


def test_a_graphics_card():
    """Cards are asked for by the name of their resource, and given by a runtime class."""
    card = {"count": 1, "resource": "gpu.example/h1", "runtimeClassName": "nvidia"}
    assert delta({"ingest": {"gpu": card}}) == {
        f"{INGEST}.{CONTAINER}.resources.limits.gpu.example/h1": 1,
        f"{INGEST}.{CONTAINER}.env.NVIDIA_DRIVER_CAPABILITIES.value": "compute,video",
        f"{INGEST}.{POD}.runtimeClassName": "nvidia",
    }
    both = pods(render(merged(EVERYTHING, {"ingest": {"gpu": card}})))
    assert container(both["whip"])["resources"]["limits"]["gpu.example/h1"] == 1, "it serves any camera"
    assert both["whip"]["spec"]["runtimeClassName"] == "nvidia"


def test_scaling_inference():
    """By processor time, or by that and the share of pictures shed; then the number of pods is nobody else's."""
    assert delta({"inference": {"autoscaling": {"enabled": True}}}) == {
        "HorizontalPodAutoscaler/moretta-inference": "new",
        f"{INFERENCE}.replicas": None,
    }
    keda = {"inference": {"keda": {"enabled": True, "serverAddress": "http://p:9090", "shedShare": 0.05}}}
    assert delta(keda) == {"ScaledObject/moretta-inference": "new", f"{INFERENCE}.replicas": None}
    cpu, shed = render(keda)["ScaledObject/moretta-inference"]["spec"]["triggers"]
    assert cpu == {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}
    assert shed["metadata"] == {
        "serverAddress": "http://p:9090",
        "threshold": "0.05",
        "query": 'sum(rate(moretta_ingest_frames_total{namespace="masks",outcome="shed"}[2m]))'
        ' / clamp_min(sum(rate(moretta_ingest_frames_total{namespace="masks"}[2m])), 1)',
    }


def test_monitoring():
    """Behind a flag each, with the labels by which they are found."""
    labels = {"release": "prometheus"}
    on = {"enabled": True, "labels": labels}
    flags = {
        "podMonitor": on,
        "prometheusRule": on,
        "dashboard": {"enabled": True},
        "windowsDashboard": {"enabled": True},
    }
    maps = {"ConfigMap/moretta-dashboard", "ConfigMap/moretta-windows-dashboard"}
    kinds = {"PodMonitor/moretta-metrics", "PrometheusRule/moretta-rules", *maps}
    assert delta({"monitoring": flags}) == dict.fromkeys(kinds, "new")
    found = render({"monitoring": flags})
    assert found["PodMonitor/moretta-metrics"]["metadata"]["labels"].items() >= labels.items()
    assert found["PrometheusRule/moretta-rules"]["spec"] == yaml.safe_load((CHART / "files/rules.yaml").read_text())
    files = {"moretta.json": "dashboard.json", "moretta-windows.json": "windows-dashboard.json"}
    data = {name: text for one in maps for name, text in found[one]["data"].items()}
    assert data == {name: (CHART / "files" / file).read_text() for name, file in files.items()}
    assert {found[one]["metadata"]["labels"]["grafana_dashboard"] for one in maps} == {"1"}


def test_alerts_and_panels_lead_to_the_runbooks():
    """Where the values say that they can be read."""
    where = "https://git.example.org/moretta/docs/runbooks.md"
    flags = {name: {"enabled": True} for name in ("prometheusRule", "dashboard")}
    found = render({"monitoring": {"runbooks": where, **flags}})
    for group in found["PrometheusRule/moretta-rules"]["spec"]["groups"]:
        for rule in group["rules"]:
            assert "record" in rule or rule["annotations"]["runbook_url"] == f"{where}#{rule['alert'].lower()}"
    assert f'"query": "{where}"' in found["ConfigMap/moretta-dashboard"]["data"]["moretta.json"]


def test_a_service_monitor_finds_its_service():
    """Instead of the PodMonitor, with the one Service that it selects, which selects every pod of the release."""
    found = render({"monitoring": {"serviceMonitor": {"enabled": True}}})
    monitor = found["ServiceMonitor/moretta-metrics"]["spec"]
    assert monitor["endpoints"][0]["honorLabels"], "the rules know a service by its own label of that name"
    wanted = monitor["selector"]["matchLabels"].items()
    services = [
        one for one in found.values() if one["kind"] == "Service" and one["metadata"]["labels"].items() >= wanted
    ]
    assert [one["metadata"]["name"] for one in services] == ["moretta-metrics"]
    assert services[0]["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]


def test_tls_to_nats():
    """The certificates are mounted where the variables say, in every pod."""
    changed = delta({"nats": {"tls": {"enabled": True, "clientSecret": "tls", "serverSecret": "own"}}})
    own = {path: value for path, value in changed.items() if "-nats" not in path.partition(".")[0]}
    names = [*((f"Deployment/moretta-{one}.spec.{POD}", one) for one in ("ingest", "inference", "aggregate", "notify"))]
    expected = {}
    for path, name in [*names, ("Pod/moretta-test.spec", "doctor")]:
        env = f"{path}.containers.{name}.env.MORETTA_NATS__"
        mount = f"{path}.containers.{name}.volumeMounts.certificates"
        expected |= {
            f"{env}URL.value": "tls://moretta-nats:4222",
            f"{env}CA_FILE.value": "/etc/moretta/certificates/ca.crt",
            f"{env}CLIENT_CERT_FILE.value": "/etc/moretta/certificates/tls.crt",
            f"{env}CLIENT_KEY_FILE.value": "/etc/moretta/certificates/tls.key",
            f"{mount}.mountPath": "/etc/moretta/certificates",
            f"{mount}.readOnly": True,
            f"{path}.volumes.certificates.secret.secretName": "tls",
            f"{path}.volumes.certificates.secret.defaultMode": 0o440,
        }
    assert own == expected


def test_traces():
    """Every service is told where traces go, may go there, and has what shows who sends."""
    tracing = {"enabled": True, "endpoint": "https://otel.mon", "ratio": 1, "existingSecret": "otel"}
    traced = {"tracing": tracing, "networkPolicy": {"tracing": [{"namespaceSelector": {}}]}}
    changed = {path: value for path, value in delta(traced).items() if not path.startswith("NetworkPolicy")}
    expected = {}
    for name in WORKLOADS:
        pod = f"{name}.spec.{POD}"
        only = f"{pod}.containers.{name.rpartition('-')[2]}"
        expected |= {
            f"{only}.env.MORETTA_TRACING__ENDPOINT.value": "https://otel.mon",
            f"{only}.env.MORETTA_TRACING__RATIO.value": "1",
            f"{only}.env.MORETTA_TRACING__TOKEN_FILE.value": "/etc/moretta/tracing/token",
            f"{only}.volumeMounts.tracing.mountPath": "/etc/moretta/tracing",
            f"{only}.volumeMounts.tracing.readOnly": True,
            f"{pod}.volumes.tracing.secret.secretName": "otel",
            f"{pod}.volumes.tracing.secret.defaultMode": 0o440,
        }
    assert changed == expected


WHIP = {
    "settings": {"sites": [{"id": "forville", "cameras": [PHONE]}], "ingest": {"web": {"port": 9443}}},
    "whip": {"enabled": True},
    "nats": {"clients": NODES},
}


def test_phones():
    """One more ingest pod on its node's network, and no more than one; of the others' web servers nobody hears."""
    changed = delta(WHIP)
    nats = [path for path in changed if "-nats" in path.partition(".")[0]]
    kinds = ("StatefulSet", "Service", "PodDisruptionBudget")
    assert {path: value for path, value in changed.items() if path not in nats} == {
        **dict.fromkeys((f"{kind}/moretta-whip" for kind in kinds), "new"),
        "ConfigMap/moretta-settings.data.settings.yaml": changed["ConfigMap/moretta-settings.data.settings.yaml"],
        f"{INGEST}.{CONTAINER}.env.MORETTA_INGEST__WEB__HOST.value": "127.0.0.1",
        f"{INGEST}.template.metadata.annotations.moretta/started-with": changed[
            f"{INGEST}.template.metadata.annotations.moretta/started-with"
        ],
    }
    workload = render(WHIP)["StatefulSet/moretta-whip"]["spec"]
    pod = workload["template"]["spec"]
    assert (workload["replicas"], pod["hostNetwork"], pod["dnsPolicy"]) == (1, True, "ClusterFirstWithHostNet")
    assert pod["containers"][0]["ports"] == [
        {"name": "http", "containerPort": 8080},
        {"name": "whip", "containerPort": 9443},
    ]


def test_the_round_trip():
    """`helm test` gets a site of its own, and a pod that is that site's camera."""
    over = {"tests": {"roundTrip": {"enabled": True}}}
    changed = delta(over)
    settings = yaml.safe_load(changed.pop("ConfigMap/moretta-settings.data.settings.yaml"))
    camera = {"id": "film", "url": "http://moretta-camera:8090/film.ts", "long_side": 480}
    assert settings["sites"][-1]["cameras"] == [camera]
    ways = changed.pop("NetworkPolicy/moretta-ingest.spec.egress")
    assert {"protocol": "TCP", "port": 8090} in ways[1]["ports"]
    without = changed.pop("ConfigMap/moretta-settings.data.without-selftest.yaml")
    assert yaml.safe_load(without)["sites"] == settings["sites"][:-1], "its camera is away while the doctor looks"
    [*_, looked_at] = changed.pop("Pod/moretta-test.spec.containers.doctor.command")
    assert looked_at == "/etc/moretta/settings/without-selftest.yaml"
    assert changed == dict.fromkeys((f"{kind}/moretta-camera" for kind in ("Pod", "Service", "NetworkPolicy")), "new")
    both = render(over)
    doctor, trip = (container(both[f"Pod/moretta-{name}"]) for name in ("test", "camera"))
    more = ["--round-trip", "selftest", "--listen", "0.0.0.0:8090", "--limit", "240"]
    assert trip["command"] == [*doctor["command"][:-1], "/etc/moretta/settings/settings.yaml", *more]
    assert both["Service/moretta-camera"]["spec"]["ports"][0]["port"] == trip["ports"][0]["containerPort"] == 8090


def test_names():
    """Another release has other names throughout, and an override is one for all."""
    names = {name.partition("/")[2] for name in render({"fullnameOverride": "masks"})}
    assert all(name.startswith("masks-") for name in names)


def test_what_comes_next():
    """After an installation three commands are told, NATS first, for which the others wait.

    Their names can be typed (helm 3 asks a cluster first).
    """
    install = ("install", "rome", str(CHART), "--namespace", "masks", "--dry-run=client")
    done = helm(*install, values=given())
    told = [line.strip() for line in done.stdout.partition("NOTES:")[2].splitlines() if line.startswith("  ")]
    assert told == [
        "kubectl -n masks rollout status statefulset -l app.kubernetes.io/instance=rome --timeout 3m",
        "kubectl -n masks rollout status deployment -l app.kubernetes.io/instance=rome --timeout 3m",
        "helm -n masks test rome --logs",
    ]


def test_what_it_asks_for_is_told_and_fits_two_small_nodes():
    """The sum of all pods' requests; by itself it leaves room on two nodes of two processors and 8 GiB for one more."""
    install = ("install", "rome", str(CHART), "--namespace", "masks", "--dry-run=client")
    notes = helm(*install, values=given()).stdout.partition("NOTES:")[2]
    cpu, memory = map(float, re.findall(r"ask for ([\d.]+) processors and ([\d.]+) GiB", notes)[0])
    pods = [one["spec"] for name, one in render().items() if name.startswith(("Deployment/", "StatefulSet/"))]
    each = [
        (pod["replicas"], one["resources"]["requests"]) for pod in pods for one in pod["template"]["spec"]["containers"]
    ]
    assert cpu == pytest.approx(sum(count * amount(one["cpu"]) for count, one in each))
    assert memory == pytest.approx(sum(count * amount(one["memory"]) for count, one in each) / (1 << 30), abs=0.01)
    assert cpu + max(amount(one["cpu"]) for _, one in each) < 2 * 1.8
    assert memory + max(amount(one["memory"]) for _, one in each) / (1 << 30) < 2 * 7


def test_nats_is_said_to_be_named_by_its_tag_beside_pinned_images():
    """Until it has a digest, too."""
    install = ("install", "rome", str(CHART), "--namespace", "masks", "--dry-run=client")
    digest = f"sha256:{64 * 'a'}"
    pinned = {"image": {"digests": {"ingest": digest}}}
    warning = "Moretta's images are pinned by digest, NATS's is not: docker.io/library/nats:2.15.1-alpine."
    notes = [
        helm(*install, values=given(over)).stdout
        for over in ({}, pinned, merged(pinned, {"nats": {"image": {"digest": digest}}}))
    ]
    assert [warning in one for one in notes] == [False, True, False]


def amount(text: str) -> float:
    """A quantity as a number."""
    units = {"m": 1e-3, "Mi": 1 << 20, "Gi": 1 << 30}
    number, unit = re.fullmatch(r"([\d.]+)(\D*)", str(text)).groups()
    return float(number) * units.get(unit, 1)


def test_what_comes_next_with_a_page():
    """Where it is, what stands before it, and who reads without a key."""
    install = ("install", "rome", str(CHART), "--namespace", "masks", "--dry-run=client")
    told = helm(*install, values=given(PAGE)).stdout.partition("NOTES:")[2]
    assert "The page is at port 8088 of the Service rome-moretta-page" in told
    assert "websocket at wss://masks.example.org: both want an Ingress or a Gateway with TLS" in told
    assert "whoever reaches that websocket reads all" in told


@pytest.mark.parametrize("version", HELMS)
def test_lint_without_values_passes(version: str):
    """As chart repositories run it; what has to be set is told, and no template's trace."""
    binary = require(HELMS[version])
    done = subprocess.run([binary, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "set identities.make: true, or give DIR/values.yaml" in done.stderr
    assert "executing" not in done.stdout + done.stderr


def test_the_version():
    """The chart is of the version that it installs."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)
