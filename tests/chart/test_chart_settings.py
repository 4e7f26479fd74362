"""What a pod finds is what its service reads: the real settings are loaded with its environment and its files."""

import ast
import re
from collections import Counter

import pytest
import yaml
from chart import CHART, RELEASE, ROOT, container, environment, merged, ours, pods, render
from chart_values import EVERYTHING, PAGE

from operate.box.programs import MALLOC
from operate.identities import Identities, IdentityFolder, Release, ServerEntry
from services.aggregate.settings import AggregateFile
from services.inference.settings import InferenceFile
from services.ingest.settings import IngestFile
from services.kernel.app import STEP_LIMIT_S
from services.kernel.settings import SECRETS, SECTIONS, load
from services.notify.settings import NotifyFile

SCHEMAS = {
    "ingest": IngestFile,
    "inference": InferenceFile,
    "aggregate": AggregateFile,
    "notify": NotifyFile,
    "whip": IngestFile,
}
SETS = {"default": {}, "everything": EVERYTHING}
HOME = "/etc/moretta"
RESTRICTED_VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "projected"}


@pytest.fixture(name="objects", params=SETS)
def _objects(request):
    return render(SETS[request.param])


def files(folder, objects):
    """Put what Kubernetes would mount below a folder; returns the settings file."""
    text = objects["ConfigMap/moretta-settings"]["data"]["settings.yaml"].replace(HOME, str(folder))
    for path in re.findall(rf'"({folder}/secrets/[^"]+)"', text):
        (folder / "secrets").mkdir(exist_ok=True)
        (folder / "secrets" / path.rpartition("/")[2]).write_text(
            "rtsp://10.20.0.5/stream" if ".url" in path else "0123456789abcdef"
        )
    (folder / "settings").mkdir()
    (folder / "settings/settings.yaml").write_text(text)
    (folder / "tracing").mkdir()
    (folder / "tracing/token").write_text("t")
    return folder / "settings/settings.yaml"


def test_the_services_take_the_settings(objects, tmp_path):
    """Each service loads the rendered file without a complaint, and is who its identity says, where its probes are."""
    file = files(tmp_path, objects)
    Identities.make(tmp_path / "identity")
    for name, pod in ours(objects).items():
        if name in SCHEMAS:
            told = {key: value.replace(HOME, str(tmp_path)) for key, value in environment(pod).items()}
            told["MORETTA_PROBES__HOST"] = told["MORETTA_PROBES__HOST"].replace(
                "{'fieldRef': {'fieldPath': 'status.hostIP'}}", "10.0.0.7"
            )
            settings = load(file, SCHEMAS[name], told)
            service = container(pod)["name"]
            assert (settings.nats.user, settings.nats.frames_user) == (
                service,
                f"{service}-frames" if service in {"ingest", "inference"} else None,
            )
            assert settings.nats.seed is not None
            assert settings.probes.port == container(pod)["ports"][0]["containerPort"]
            assert settings.probes.host in {"0.0.0.0", "10.0.0.7"}


@pytest.mark.parametrize("path", ["wss://masks.example.org:8443/nats", "ws://masks.example.org:8443", "/nats"])
def test_aggregate_serves_the_page(path, tmp_path):
    """It alone, as its settings, port and Service say; it asks for a key unless the values open NATS."""
    opened = render(PAGE)
    cameras = "https://cameras.example.org/"
    asking = render(merged(PAGE, {"page": {"open": False, "port": 9088, "websocket": path, "cameras": cameras}}))
    there = (8088, PAGE["page"]["websocket"], False, None)
    for objects, expected in ((opened, there), (asking, (9088, path, True, cameras))):
        assert [name for name, pod in ours(objects).items() if "PAGE" in str(environment(pod))] == ["aggregate"]
        told = environment(pod := objects["Deployment/moretta-aggregate"]["spec"]["template"])
        page = load(_alone(tmp_path), AggregateFile, {key: told[key] for key in told if "PAGE" in key}).aggregate.page
        assert (page.host, page.port, page.server, page.ask_key, page.cameras) == ("0.0.0.0", *expected)
        service = objects["Service/moretta-page"]["spec"]
        assert service["ports"] == [{"name": "page", "port": page.port, "targetPort": "page"}]
        assert {"name": "page", "containerPort": page.port} in container(pod)["ports"]
        assert service["selector"].items() <= pod["metadata"]["labels"].items()


def _alone(folder):
    """A settings file of one site."""
    (file := folder / "alone.yaml").write_text("sites: [{id: forville, cameras: []}]")
    return file


def test_each_variable_is_known_and_its_file_mounted(objects):
    """No variable is of a section that nobody reads, and each names a file below something that the pod mounts."""
    for name, pod in ours(objects).items():
        told = environment(pod)
        assert Counter(one["name"] for one in container(pod)["env"]).most_common(1)[0][1] == 1
        sections = {
            key.removeprefix("MORETTA_").partition("__")[0].lower() for key in told if key.startswith("MORETTA_")
        }
        assert sections <= {*SECTIONS, "tracing"}, name
        mounted = {one["mountPath"] for one in container(pod)["volumeMounts"]}
        named = {value.rpartition("/")[0] for value in told.values() if value.startswith("/")}
        named |= {value.rpartition("/")[0] for value in container(pod)["command"] if value.startswith(HOME)}
        assert named <= mounted, name
        assert {one["name"] for one in container(pod)["volumeMounts"]} == {
            one["name"] for one in pod["spec"]["volumes"]
        }


def test_the_same_variables_as_on_one_machine(objects, tmp_path):
    """Memory, telemetry and output as `moretta up` has them; and an identity's as `moretta nats apply` writes them."""
    made = Identities.make(tmp_path)
    for pod in ours(objects).values():
        told = environment(pod)
        both = MALLOC | {"PYTHONUNBUFFERED": "1", "ORT_DISABLE_TELEMETRY": "1"}
        assert {key: told.get(key) for key in both} == both
        who = told["MORETTA_NATS__USER"]
        wanted = {key: value.replace(str(tmp_path), f"{HOME}/identity") for key, value in made.environment(who).items()}
        assert {key: told.get(key) for key in wanted} == wanted
        assert [one["secret"]["secretName"] for one in pod["spec"]["volumes"] if one["name"] == "identity"] == [
            f"moretta-identity-{who}"
        ]


def test_the_identities_are_the_secrets_that_the_command_writes(objects, tmp_path):
    """`moretta nats apply` writes each Secret that a pod mounts, with each file that it names."""
    IdentityFolder.make(
        tmp_path / "nats", ServerEntry(listen="a:1", store="/s", url="nats://a:1", release=Release(name=RELEASE))
    )
    written = yaml.safe_load_all((tmp_path / "nats/secrets.yaml").read_text())
    secrets = {one["metadata"]["name"]: one["stringData"] for one in written}
    for name, pod in ours(objects).items():
        [mounted] = [one["secret"]["secretName"] for one in pod["spec"]["volumes"] if one["name"] == "identity"]
        named = {value.rpartition("/")[2] for value in environment(pod).values() if "/identity/" in value}
        assert named <= secrets[mounted].keys(), name


def test_nobody_has_anothers_secrets(objects):
    """A pod mounts the Secret of its own service alone: cameras' for ingest, the mail server's for notify."""
    has = {
        name: {one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one}
        for name, pod in ours(objects).items()
    }
    for secret, owners in {"moretta-cameras": {"ingest", "whip"}, "moretta-mail": {"notify"}}.items():
        assert {name for name, secrets in has.items() if secret in secrets} == owners & has.keys()


def test_the_commands_are_the_images():
    """What the pods run is what the images run by themselves."""
    file = ROOT / "k8s/Containerfile"
    text = file.read_text()
    entries = dict(re.findall(r"^FROM runtime AS (\w+)\nENTRYPOINT (\[.*\])", text, re.MULTILINE))
    default = yaml.safe_load(re.search(r"^CMD (\[.*\])", text, re.MULTILINE)[1])
    for name, pod in ours(render()).items():
        image = "box" if name == "test" else name
        entry = yaml.safe_load(entries[image])
        command = container(pod)["command"]
        assert command[: len(entry)] == entry
        assert image == "box" or command == entry + default


def test_the_grace_period_is_longer_than_stopping_takes():
    """Steps of stopping, what was still starting, tasks, the probes' server and stuck threads, each up to its limit."""
    for name, pod in ours(render(EVERYTHING)).items():
        if name in SCHEMAS:
            service = container(pod)["name"]
            calls = [
                node
                for file in (ROOT / "services" / service).rglob("*.py")
                for node in ast.walk(ast.parse(file.read_text()))
            ]
            steps = [one for one in calls if isinstance(one, ast.Call) and getattr(one.func, "attr", "") == "on_stop"]
            assert len(steps) >= 4
            # Beside the steps: cutting what still starts, ending tasks, the probes' server, closing the loop.
            longest = (len(steps) + 4) * STEP_LIMIT_S
            assert longest < pod["spec"]["terminationGracePeriodSeconds"], name


def test_the_chart_knows_every_secret():
    """What the services take for a secret the chart refuses as a value."""
    template = (CHART / "templates/requirements.yaml").read_text()
    listed = re.search(r"\$secrets := list ([^}]*)}}", template)[1]
    assert {*re.findall(r'"(\w+)"', listed), "url"} == {*SECRETS}


def test_memory_is_not_swapped(objects):
    """Who asks for as much memory as it may take is not swapped (Kubernetes, "Swap memory management")."""
    for pod in ours(objects).values():
        resources = container(pod)["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]


def test_files_are_written_in_memory_alone_and_by_who_must(objects):
    """No pod has a volume to write to but notify, which draws, and the pod of `helm test`."""
    for name, pod in ours(objects).items():
        written = {one["name"] for one in container(pod)["volumeMounts"] if not one.get("readOnly")}
        assert written == ({"tmp"} if name in {"notify", "test", "camera"} else set())
        volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
        assert {volumes[one]["emptyDir"]["medium"] for one in written} <= {"Memory"}
        assert container(pod)["securityContext"]["readOnlyRootFilesystem"] is True


def test_pods_are_restricted(objects):
    """They fit the Pod Security Standard `restricted`, but for the one on its node's network."""
    for name, pod in pods(objects).items():
        spec = pod["spec"]
        assert spec.get("hostNetwork", False) == (name == "whip")
        assert {kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}} <= RESTRICTED_VOLUMES
        assert (spec["securityContext"]["runAsNonRoot"], spec["securityContext"]["seccompProfile"]["type"]) == (
            True,
            "RuntimeDefault",
        )
        for one in spec["containers"]:
            own = one["securityContext"]
            assert (own["allowPrivilegeEscalation"], own["capabilities"]) == (False, {"drop": ["ALL"]})
