"""chart-testing's values and configuration, and the workflow that runs it in a cluster: what is seen without one."""

import re
import runpy
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml
from chart import CI, HELMS, ROOT, alone, container, objects_of, ours, require
from chart_checks import OLDEST, VERSIONS

WORKFLOW = ROOT / ".github/workflows/chart.yaml"
CT = yaml.safe_load((ROOT / "k8s/ct.yaml").read_text())
TRYOUT = ROOT / "k8s/tryout-values.yaml"


@pytest.fixture(name="job")
def _job():
    return yaml.safe_load(WORKFLOW.read_text())["jobs"]["install"]


def run(job):
    """What the workflow's steps run."""
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_what_is_installed():
    """These files; the try-out is nothing but its own values, with the images of the workflow."""
    assert CI.keys() == {"minimal", "round-trip", "three-nats", "tryout"}
    both = [yaml.safe_load(file.read_text()) for file in (CI["tryout"], TRYOUT)]
    assert [{**one, "image": None} for one in both] == [{**both[1], "image": None}] * 2


@pytest.mark.parametrize("name", CI)
def test_both_helms_render_the_same(name):
    """Helm 3.17 and 4.1 make the same objects."""
    assert objects_of(alone(name, version="3.17")) == objects_of(alone(name))


@pytest.mark.parametrize("name", CI)
def test_a_small_machine_has_room(name):
    """All pods ask for less than two processors: the runner has four, of which the cluster itself takes one."""
    asked = 0
    for one in objects_of(alone(name)).values():
        pod = one["spec"]["template"]["spec"] if one["kind"] in {"Deployment", "StatefulSet"} else None
        for part in pod["containers"] if pod else ():
            asked += one["spec"]["replicas"] * int(part["resources"]["requests"]["cpu"].removesuffix("m"))
    assert 0 < asked < 2000


@pytest.mark.parametrize("name", CI)
def test_its_images_and_secrets_are_the_workflows(name, job):
    """Images are those that the workflow builds, and are not pulled; each Secret is one that the hook makes."""
    images = {
        "moretta" if one == "cli" else image for one, image in runpy.run_path(str(ROOT / ".ci/push"))["IMAGES"].items()
    }
    built = {f"localhost/moretta/{image}:ci" for image in images}
    assert "for service in ingest inference aggregate notify box" in run(job)
    assert f"kubectl create namespace {CT['namespace']}" in run(job)
    objects = objects_of(alone(name))
    written = set(objects["Role/moretta-identities"]["rules"][1]["resourceNames"])
    for pod in ours(objects).values():
        assert container(pod)["image"] in built
        assert container(pod)["imagePullPolicy"] == "Never"
        assert {one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one} <= written


def test_the_matrix_is_what_the_tests_know(job):
    """The oldest and the newest Kubernetes that are validated here, each with a helm that renders here."""
    rows = job["strategy"]["matrix"]["include"]
    minors = [re.fullmatch(r"v(\d+\.\d+)\.\d+", one["kubernetes"])[1] for one in rows]
    assert minors == [OLDEST, VERSIONS[-1]]
    assert [one["helm"].removeprefix("v").rpartition(".")[0] for one in rows] == list(HELMS)
    for one in rows:
        assert re.fullmatch(rf"kindest/node:{re.escape(one['kubernetes'])}@sha256:[0-9a-f]{{64}}", one["node"])


def test_no_action_moves(job):
    """Each action is named by a commit, and the comment beside it says which version that is."""
    uses = [line.strip().removeprefix("- ") for line in WORKFLOW.read_text().splitlines() if "uses:" in line]
    assert len(uses) == sum("uses" in step for step in job["steps"]) > 4
    assert not [one for one in uses if not re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)]


def test_it_installs_upgrades_and_tests(job):
    """By chart-testing, with its configuration; when something below k8s changes; and nobody says that it ever ran."""
    assert "ct lint --config k8s/ct.yaml" in run(job)
    assert "ct install --config k8s/ct.yaml --upgrade" in run(job)
    assert "stats market | tee numbers | grep %" in run(job)
    starts = yaml.safe_load(WORKFLOW.read_text())[True]  # YAML 1.1 takes `on` for true
    assert {one["paths"][0] for one in starts.values()} == {"k8s/**"}
    assert [Path(one) for one in CT["charts"]] == [Path("k8s/moretta")]
    assert "Never run yet" in WORKFLOW.read_text()
    assert "`.github/workflows/chart.yaml` was never run" in (ROOT / "docs/testing.md").read_text()


def test_a_release_has_none_of_it(tmp_path):
    """What helm packs has no values for chart-testing."""
    subprocess.run([require(HELMS["4.1"]), "package", ROOT / "k8s/moretta", "-d", tmp_path], check=True)
    [package] = tmp_path.iterdir()
    with tarfile.open(package) as archive:
        names = archive.getnames()
    assert "moretta/values.yaml" in names
    assert not [one for one in names if one.startswith("moretta/ci/")]
