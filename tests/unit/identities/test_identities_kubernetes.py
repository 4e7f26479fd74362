"""The section `kubernetes` of nats.yaml: Secrets with what each is and no more, values without a secret."""

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from nats_folder import HUB, NatsFolder

from chart_accounts import ACCOUNTS, text
from operate.identities import IdentityFolder, Release, secret_files, users
from operate.identities.kept import CLIENT_IDENTITIES
from services.bus.nkey import Seed

ROOT = Path(__file__).parents[3]
CERTIFICATES, TLS = "/etc/moretta/certificates", ("ca.crt", "tls.crt", "tls.key")
"""Where the toolbox has them, and what they are called in a Secret of Kubernetes."""
_SEED = re.compile(r"\bSU[A-Z2-7]{56}\b")


def release(name: str, namespace: str | None = None) -> dict[str, Any]:
    return {"kubernetes": {"release": name} | ({"namespace": namespace} if namespace else {})}


def test_the_charts_file_is_up_to_date():
    """`make contracts` writes it; names stand in the place of keys, and there is no key in it."""
    assert (ROOT / "k8s/moretta/files" / ACCOUNTS).read_text(encoding="utf-8") == text()
    assert not re.search(r"\b[SU][A-Z2-7]{50,}\b", text())


def test_each_secret_holds_what_its_identity_needs_and_no_other_seed(nats: NatsFolder):
    """Named after the release, in the namespace, as files of the folder; operator and subscriber have settings."""
    printed = nats.apply(release("paris", "count"))
    found = nats.secrets()
    inside = {identity for identity, _ in users()} - {"backup"}  # who can destroy every stream is not in the cluster
    assert set(found) == {f"paris-identity-{identity}" for identity in inside}
    for identity in inside:
        one = found[f"paris-identity-{identity}"]
        assert (one["kind"], one["type"], one["metadata"]["namespace"]) == ("Secret", "Opaque", "count")
        assert one["metadata"]["labels"]["moretta/release"] == "paris"
        assert "app.kubernetes.io/instance" not in one["metadata"]["labels"], "Argo CD before 3 would prune it"
        people = [f"{identity}.yaml", f"{identity}.json"] if identity in CLIENT_IDENTITIES else []
        assert list(one["stringData"]) == [*secret_files(identity), *people]
        as_here = {name: content for name, content in one["stringData"].items() if not name.endswith(".json")}
        assert all(content == nats.read(name) for name, content in as_here.items())
    assert set(found["paris-identity-ingest"]["stringData"]) == {
        *("ingest.nk", "ingest-frames.nk", "ingest.key", "inference.pub"),
    }
    operator = found["paris-identity-operator"]["stringData"]
    url = "nats://paris-moretta-nats.count.svc:4222"
    assert yaml.safe_load(operator["operator.yaml"])["nats"]["url"] == url
    context = json.loads(operator["operator.json"])
    assert (context["url"], context["nkey"]) == (url, "/etc/moretta/identity/operator.nk"), "as the toolbox has it"
    assert stat.S_IMODE((nats.path / "secrets.yaml").stat().st_mode) == 0o600
    assert f"kubectl apply -n count -f {nats.path}/secrets.yaml" in printed
    assert f"helm upgrade --install paris -n count k8s/moretta -f {nats.path}/values.yaml" in printed


def test_values_have_public_keys_alone(nats: NatsFolder):
    """Those of our chart and of NATS's own; fit for git."""
    nats.apply(release("moretta"))
    state = IdentityFolder.open(nats.path).server
    assert nats.values() == {"release": "moretta", "keys": state.keys}
    for name in ("values.yaml", "nats-values.yaml"):
        assert not _SEED.search(nats.read(name))
    assert state.url == "nats://moretta-nats:4222", "the chart's name is not said twice"


def test_a_rotation_writes_both_keys_then_one(nats: NatsFolder):
    """The release is remembered; Secrets have the new seed from the start, and the next steps say who goes first."""
    nats.apply(release("paris"))
    old = nats.values()["keys"]["notify"]
    printed = nats.rotate("notify")
    new = Seed(nats.secrets()["paris-identity-notify"]["stringData"]["notify.nk"]).public
    assert nats.values()["keys"]["notify"] == [new, *old]
    first, second, third = (printed.index(f"next: {word}") for word in ("helm", "kubectl apply", "kubectl rollout"))
    assert first < second < third
    nats.retire("notify")
    assert nats.values()["keys"]["notify"] == [new]


def test_the_services_url_is_the_charts_unless_the_file_names_another(nats: NatsFolder, tmp_path: Path):
    """It follows the release, its namespace, and whether TLS is spoken."""

    def url(wish: dict[str, Any]) -> str:
        nats.apply(wish)
        return IdentityFolder.open(nats.path).server.url

    (tmp_path / "x.pem").touch()
    secure = {"server": {"tls": dict.fromkeys(("cert_file", "key_file", "ca_file"), "x.pem")}}
    assert url(release("paris")) == "nats://paris-moretta-nats:4222"
    assert url(release("paris", "count")) == "nats://paris-moretta-nats.count.svc:4222"
    assert IdentityFolder.open(nats.path).server.release == Release(name="paris", namespace="count")
    assert url(release("paris", "count") | secure) == "tls://paris-moretta-nats.count.svc:4222"
    here, there = (
        json.loads(one)
        for one in (
            nats.read("operator.json"),
            nats.secrets()["paris-identity-operator"]["stringData"]["operator.json"],
        )
    )
    assert (here["ca"], here["nkey"]) == (str(tmp_path / "x.pem"), str(nats.path / "operator.nk"))
    assert [there[name] for name in ("ca", "cert", "key")] == [f"{CERTIFICATES}/{name}" for name in TLS]
    assert url(release("paris", "count") | {"server": {"url": "tls://other:4222"}}) == "tls://other:4222"
    assert url({}) == "nats://127.0.0.1:4222"


def test_files_that_were_moved_elsewhere_are_in_no_secret(nats: NatsFolder):
    """Half a Secret would take away what is there: the whole of it is left out, and said."""
    nats.apply(release("paris"))
    (nats.path / "ingest.key").unlink()
    for printed in (nats.rotate("notify"), nats.apply()):
        assert "paris-identity-ingest" not in nats.secrets()
        assert "ingest: its files are not in" in printed
        # nor that of backup, which is in none
        assert len(nats.secrets()) == len({identity for identity, _ in users()}) - 2
    assert not (nats.path / "ingest.key").exists()


def test_a_leaf_and_a_hub_have_theirs(nats: NatsFolder, tmp_path: Path):
    """The leaf's seed is in a Secret of its own, as the file that the server includes; the hub has public keys."""
    leaf = {"leaf": {"hubs": ["tls://hub.example:7422"], "sites": ["cannes", "nice"]}}
    printed = nats.apply(release("south") | leaf)
    state = IdentityFolder.open(nats.path).server
    assert nats.values()["leaf"] == {
        "hubs": ["tls://hub.example:7422"],
        "sites": ["cannes", "nice"],
        "existingSecret": "south-nats-leaf",
    }
    assert "leaf" not in nats.values()["keys"]
    [line] = nats.secrets()["south-nats-leaf"]["stringData"]["leaf.conf"].splitlines()
    assert Seed(line.removeprefix('nkey: "').removesuffix('"')).public == state.keys["leaf"][0]
    theirs = yaml.safe_load(nats.read("nats-values.yaml"))
    [remote] = theirs["config"]["merge"]["leafnodes"]["remotes"]
    assert remote["leaf$include"] == "../nats-leaf/leaf.conf"
    assert theirs["podTemplate"]["patch"][0]["value"]["secret"] == {"secretName": "south-nats-leaf"}
    [printed_leaf] = re.findall(r"hub\.leaves: (\{.*\}), and moretta nats apply", printed)
    hub = NatsFolder(tmp_path / "hub")
    hub.apply(release("hub") | {"hub": {"leaves": [yaml.safe_load(printed_leaf)]}})
    leaves = [{"sites": ["cannes", "nice"], "keys": state.keys["leaf"]}]
    assert hub.values() == {
        "release": "hub",
        "keys": hub.state(HUB)["keys"],
        "hub": {"enabled": True, "leaves": leaves, "room": 1},
    }
    assert set(hub.secrets()) == {"hub-identity-subscriber"}
    settings = yaml.safe_load(hub.read("subscriber.yaml"))
    assert settings["nats"]["url"] == "nats://hub-moretta-nats:4222"


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (release("Paris"), "release: must be a name in Kubernetes: a-z, 0-9 and inner hyphens (RFC 1123), such as mor"),
        (release("p" * 54), "release: must be a name in Kubernetes"),
        (release("p", "-x"), "namespace: must be a name in Kubernetes"),
        (release("p", "n" * 64), "namespace: must be a name in Kubernetes"),
        ({"kubernetes": {"namespace": "count"}}, "release: is missing; must be a name in Kubernetes"),
    ],
)
def test_a_wrong_name_is_reported(nats: NatsFolder, wish: dict[str, Any], why: str):
    """With what would be right, before anything is written."""
    [line] = nats.problems(wish)
    assert line.startswith(f"kubernetes.{why}")


def test_the_longest_names_are_taken(nats: NatsFolder):
    """53 characters of a release, 63 of a namespace, as Helm and Kubernetes take them."""
    nats.apply(release("p" * 53, "n" * 63))
    assert IdentityFolder.open(nats.path).server.release == Release(name="p" * 53, namespace="n" * 63)
