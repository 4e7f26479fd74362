"""`identities.make`: the rendered Job's command, with the rendered Role's rights, against an API that knows RBAC."""

import base64
import ssl

import pytest
from chart import NAMESPACE, RELEASE, container, merged, pods, refusal, render
from kubernetes_api import KubernetesApi
from reach import Place, Policies
from typer.testing import CliRunner

from moretta.nats import app
from operate.nats import in_cluster

READERS = {"nats": {"readers": ["acme"]}}
MADE = {"identities": {"make": True}, "nats": {"keys": None}}


@pytest.fixture
def objects():
    return render(merged(MADE, READERS))


@pytest.fixture
def api(tmp_path, objects, monkeypatch):
    with KubernetesApi(tmp_path, NAMESPACE, objects["Role/moretta-identities"]["rules"]) as found:
        monkeypatch.setattr(in_cluster, "ACCOUNT", found.account)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(found.port))
        yield found


def test_the_authority_of_an_old_cluster_is_good_enough(api, monkeypatch):
    """Some have no key identifier in theirs, which Python demands from 3.13 on: such as the images are."""
    real = ssl.create_default_context

    def strict(**options):
        context = real(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    assert api.account.exists()
    trusted = in_cluster.Api.of_pod().trusted
    assert not trusted.verify_flags & ssl.VERIFY_X509_STRICT
    assert (trusted.check_hostname, trusted.verify_mode) == (True, ssl.CERT_REQUIRED)


def test_what_others_put_into_a_secret_stays_as_it_is(objects, api):
    """Bytes that are no text, too."""
    hook(objects)
    theirs = base64.b64encode(b"\x82\xff\xfe").decode()
    data = api.stored[f"{RELEASE}-identity-notify"]["data"]
    del data["notify.nk"]
    data["theirs"] = theirs
    assert "completed Secret moretta-identity-notify" in hook(objects)[1]
    assert api.stored[f"{RELEASE}-identity-notify"]["data"]["theirs"] == theirs


def test_it_reaches_the_api_whatever_is_there_before(objects):
    """At an upgrade the release's policies are there already, so the Job's own has to come before it."""
    before = [one for one in render().values() if one["kind"] == "NetworkPolicy"]
    made = [one for name, one in objects.items() if name.endswith("/moretta-identities")]
    notes = {one["kind"]: one["metadata"]["annotations"] for one in made}
    pod = Place.pod(objects["Job/moretta-identities"]["spec"]["template"], NAMESPACE)
    api = Place(address="192.0.2.1")
    assert not Policies(before, NAMESPACE, {}).allow(pod, api, 16443, "TCP")
    early = [one for one in made if int(notes[one["kind"]]["helm.sh/hook-weight"]) < 0]
    own = [one for one in early if one["kind"] == "NetworkPolicy"]
    assert Policies([*before, *own], NAMESPACE, {}).allow(pod, api, 16443, "TCP")
    assert {one["helm.sh/hook"] for one in notes.values()} == {"pre-install,pre-upgrade,pre-rollback"}


def hook(objects):
    """Run the Job's container in this process; returns exit code and what it said."""
    words = container(objects["Job/moretta-identities"]["spec"]["template"])["command"]
    assert words[:2] == ["/opt/moretta/bin/moretta", "nats"]
    done = CliRunner().invoke(app, words[2:])
    return done.exit_code, done.output


def mounted(objects):
    """Every Secret of an identity that a pod of the release mounts, and NATS's keys."""
    volumes = [one for pod in pods(objects).values() for one in pod["spec"]["volumes"]]
    names = {one["secret"]["secretName"] for one in volumes if "secret" in one}
    return {name for name in names if name.startswith((f"{RELEASE}-identity-", f"{RELEASE}-nats-keys"))}


def test_every_secret_that_a_pod_wants_is_made(objects, api):
    assert hook(objects)[0] == 0
    assert mounted(objects) < set(api.files())
    assert {name for name in api.files() if "acme" in name} == {f"{RELEASE}-identity-subscriber-acme"}
    assert {status for *_, status in api.asked} == {404, 201}


def test_again_changes_nothing_and_what_is_lost_is_made(objects, api):
    hook(objects)
    before = api.files()
    assert hook(objects) == (0, "every Secret is there\n")
    assert api.files() == before
    del api.stored[f"{RELEASE}-identity-inference"]
    assert "made Secret moretta-identity-inference" in hook(objects)[1]
    after = api.files()
    assert after[f"{RELEASE}-identity-ingest"]["inference.pub"] != before[f"{RELEASE}-identity-ingest"]["inference.pub"]
    assert after[f"{RELEASE}-identity-notify"] == before[f"{RELEASE}-identity-notify"]


@pytest.mark.parametrize("verb", ["create", "get", "update"])
def test_each_right_is_needed_and_its_lack_is_said(objects, api, verb):
    if verb == "update":
        hook(objects)
        del api.stored[f"{RELEASE}-identity-inference"]
    for rule in api.rules:
        rule["verbs"] = [one for one in rule["verbs"] if one != verb]
    code, said = hook(objects)
    assert code == 1
    assert f"is forbidden: cannot {verb} in the namespace" in said


def test_the_role_has_no_other_rights(objects, api):
    """Its own Secrets by name, and no other Secret of the namespace."""
    assert not any(api.grants(verb, "somebody-elses") for verb in ("get", "update", "delete", "list", "patch"))
    assert not any(api.grants(verb, f"{RELEASE}-nats-keys") for verb in ("delete", "list", "patch", "watch"))
    kinds = {name.split("/")[0] for name, one in objects.items() if "identities" in one["metadata"]["name"]}
    assert kinds == {"ServiceAccount", "Role", "RoleBinding", "Job", "NetworkPolicy"}


def test_a_hook_that_was_cut_off_is_done_again(objects, api, monkeypatch):
    """No key is in force before its Secret is there, wherever it stops."""
    real, left = in_cluster.Api.put, iter(range(5))

    def put(self, secret, *, new):
        if next(left, None) is None:
            raise in_cluster.ApiError("cut off")
        real(self, secret, new=new)

    monkeypatch.setattr(in_cluster.Api, "put", put)
    assert hook(objects)[0] == 1
    first = api.files()
    assert f"{RELEASE}-nats-keys" not in first
    monkeypatch.setattr(in_cluster.Api, "put", real)
    assert hook(objects)[0] == 0
    assert first.items() <= api.files().items()


def test_outside_of_a_pod_it_says_what_to_run(objects, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = CliRunner().invoke(app, ["secrets", "--release", "moretta", "--url", "nats://a:4222"])
    assert "outside, `moretta nats apply DIR` makes keys" in str(done.exception)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"nats": {"keys": {"ingest": ["U" + "A" * 55]}}}, "nats.keys is given, too"),
        ({"notify": {"identitySecret": "mine"}}, "notify.identitySecret is given"),
        ({"nats": {"leaf": {"sites": ["forville"], "hubs": ["tls://hub.example:7422"]}}}, "know each other's keys"),
    ],
)
def test_what_does_not_go_with_it_is_refused(values, why):
    assert why in refusal(merged(MADE, values))
