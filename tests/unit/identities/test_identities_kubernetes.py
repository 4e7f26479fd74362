"""`moretta nats-config --kubernetes`: Secrets with what each is and no more, values without a secret."""

import json
import re
import stat
from pathlib import Path

import pytest
import yaml
from in_process import invoke

from operate.identities import Kept, Release, secret_files, users
from operate.identities.chart import ACCOUNTS, text
from operate.identities.kept import PEOPLE
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

ROOT = Path(__file__).parents[3]
_SEED = re.compile(r"\bSU[A-Z2-7]{56}\b")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "nats"


@pytest.fixture(name="run")
def _run(folder: Path):
    """What the command prints, which is never a seed."""

    def run(*words: str, out: Path = folder) -> str:
        result = invoke("nats-config", "--out", str(out), *words, env={"COLUMNS": "400"})
        assert result.exit_code == 0
        assert not _SEED.search(result.output)
        return result.output

    return run


def secrets(folder: Path) -> dict[str, dict]:
    return {one["metadata"]["name"]: one for one in yaml.safe_load_all((folder / "secrets.yaml").read_text())}


def values(folder: Path) -> dict:
    return yaml.safe_load((folder / "values.yaml").read_text())["nats"]


def test_the_charts_file_is_up_to_date():
    """`make contracts` writes it; names stand in the place of keys, and there is no key in it."""
    assert (ROOT / "k8s/moretta/files" / ACCOUNTS).read_text(encoding="utf-8") == text()
    assert not re.search(r"\b[SU][A-Z2-7]{50,}\b", text())


def test_each_secret_holds_what_its_identity_needs_and_no_other_seed(folder: Path, run):
    """Named after the release, in the namespace, as files of the folder; operator and subscriber have settings."""
    printed = run("--kubernetes", "paris", "--namespace", "count")
    found = secrets(folder)
    inside = {identity for identity, _ in users()} - {"backup"}  # who can destroy every stream is not in the cluster
    assert set(found) == {f"paris-identity-{identity}" for identity in inside}
    for identity in inside:
        one = found[f"paris-identity-{identity}"]
        assert (one["kind"], one["type"], one["metadata"]["namespace"]) == ("Secret", "Opaque", "count")
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "paris"
        people = [f"{identity}.yaml"] if identity in PEOPLE else []
        assert list(one["stringData"]) == [*secret_files(identity), *people]
        assert all(content == (folder / name).read_text() for name, content in one["stringData"].items())
    assert set(found["paris-identity-ingest"]["stringData"]) == {
        *("ingest.nk", "ingest-frames.nk", "ingest.key", "inference.pub"),
    }
    settings = yaml.safe_load(found["paris-identity-operator"]["stringData"]["operator.yaml"])
    assert settings["nats"]["url"] == "nats://paris-moretta-nats.count.svc:4222"
    assert stat.S_IMODE((folder / "secrets.yaml").stat().st_mode) == 0o600
    assert f"kubectl apply -n count -f {folder}/secrets.yaml" in printed
    assert f"helm upgrade --install paris -n count k8s/moretta -f {folder}/values.yaml" in printed


def test_values_have_public_keys_alone(folder: Path, run):
    """Those of our chart and of NATS's own; fit for git."""
    run("--kubernetes", "moretta")
    state = Kept.open(folder).server
    assert values(folder) == {"release": "moretta", "keys": state.keys}
    for name in ("values.yaml", "nats-values.yaml"):
        assert not _SEED.search((folder / name).read_text())
    assert state.url == "nats://moretta-nats:4222", "the chart's name is not said twice"


def test_a_rotation_writes_both_keys_then_one(folder: Path, run):
    """The release is remembered; Secrets have the new seed from the start, and the next steps say who goes first."""
    run("--kubernetes", "paris")
    old = values(folder)["keys"]["notify"]
    printed = run("--rotate", "notify")
    new = Seed(secrets(folder)["paris-identity-notify"]["stringData"]["notify.nk"]).public
    assert values(folder)["keys"]["notify"] == [new, *old]
    first, second, third = (printed.index(f"next: {word}") for word in ("helm", "kubectl apply", "kubectl rollout"))
    assert first < second < third
    run("--retire", "notify")
    assert values(folder)["keys"]["notify"] == [new]
    run("--update", "--namespace", "count")
    assert Kept.open(folder).server.release == Release(name="paris", namespace="count")
    assert Kept.open(folder).server.url == "nats://paris-moretta-nats.count.svc:4222"
    run("--update", "--url", "tls://other:4222")
    assert Kept.open(folder).server.url == "tls://other:4222"


def test_files_that_were_moved_elsewhere_are_in_no_secret(folder: Path, run):
    """Half a Secret would take away what is there: the whole of it is left out, and said."""
    run("--kubernetes", "paris")
    (folder / "ingest.key").unlink()
    printed = run("--rotate", "notify")
    assert "paris-identity-ingest" not in secrets(folder)
    assert "ingest: its files are not in" in printed
    assert (
        len(secrets(folder)) == len({identity for identity, _ in users()}) - 2
    )  # nor that of backup, which is in none


def test_a_leaf_and_a_hub_have_theirs(folder: Path, run, tmp_path: Path):
    """The leaf's seed is in a Secret of its own, as the file that the server includes; the hub has public keys."""
    leaf = ("--leaf", "tls://hub.example:7422", "--site", "cannes", "--site", "nice")
    printed = run("--kubernetes", "south", *leaf)
    state = Kept.open(folder).server
    assert values(folder)["leaf"] == {
        "hubs": ["tls://hub.example:7422"],
        "sites": ["cannes", "nice"],
        "existingSecret": "south-nats-leaf",
    }
    assert "leaf" not in values(folder)["keys"]
    [line] = secrets(folder)["south-nats-leaf"]["stringData"]["leaf.conf"].splitlines()
    assert Seed(line.removeprefix('nkey: "').removesuffix('"')).public == state.keys["leaf"][0]
    theirs = yaml.safe_load((folder / "nats-values.yaml").read_text())
    [remote] = theirs["config"]["merge"]["leafnodes"]["remotes"]
    assert remote["leaf$include"] == "../nats-leaf/leaf.conf"
    assert theirs["podTemplate"]["patch"][0]["value"]["secret"] == {"secretName": "south-nats-leaf"}
    [line] = re.findall(r"--site (cannes\+nice=U\w+)", printed)
    out = tmp_path / "hub"
    run("--hub", "0.0.0.0:7422", "--kubernetes", "hub", "--site", line, out=out)
    keys = json.loads((out / "nats-hub.json").read_text())["keys"]
    leaves = [{"sites": ["cannes", "nice"], "keys": state.keys["leaf"]}]
    assert values(out) == {"release": "hub", "keys": keys, "hub": {"enabled": True, "leaves": leaves, "room": 1}}
    assert set(secrets(out)) == {"hub-identity-subscriber"}
    settings = yaml.safe_load((out / "subscriber.yaml").read_text())
    assert settings["nats"]["url"] == "nats://hub-moretta-nats:4222"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--kubernetes", "Paris"], "--kubernetes: 'Paris' is no name in Kubernetes: 1-53 of a-z, 0-9 and inner"),
        (["--kubernetes", "p" * 54], "is no name in Kubernetes: 1-53 of"),
        (["--kubernetes", "p", "--namespace", "-x"], "--namespace: '-x' is no name in Kubernetes: 1-63 of"),
        (["--namespace", "count"], "--namespace: is the namespace of a release; --kubernetes RELEASE names it"),
        (["--rotate", "all", "--kubernetes", "paris"], "--rotate: changes keys only; --update changes"),
    ],
)
def test_a_wrong_name_is_told(run, folder: Path, words: list[str], why: str):
    """With what would be right, before anything is written."""
    with pytest.raises(SettingsError) as caught:
        run(*words)
    assert why in str(caught.value)
    assert not folder.exists()
