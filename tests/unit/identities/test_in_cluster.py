"""Secrets that a release's hook makes: what is there stays, and both sides of each key fit together."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from operate.identities.cluster_secrets import OPEN, PUBLIC, WantedRelease, completed
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

URL, READERS = "nats://moretta-nats.masks.svc:4222", ("acme",)
WANTED = WantedRelease("moretta", URL, READERS)
WHOLE = completed({}, WANTED)
CERTIFICATES = ("certificates/ca.crt", "certificates/tls.crt", "certificates/tls.key")


def conf(user: str) -> str:
    return f"nkey: {Seed(seeds(WHOLE)[user]).public}\n"


def seeds(secrets) -> dict[str, str]:
    return {
        file.removesuffix(".nk"): text
        for files in secrets.values()
        for file, text in files.items()
        if file.endswith(".nk")
    }


def test_a_first_time_everything_is_made():
    assert set(WHOLE) == set(WANTED.names())
    public = WHOLE[PUBLIC]
    assert public == {f"{user}.conf": conf(user) for user in seeds(WHOLE)} | {
        OPEN: conf("page").replace("nkey", "no_auth_user")
    }
    assert "subscriber-acme" in seeds(WHOLE)
    assert URL in WHOLE["identity-operator"]["operator.yaml"]


@given(st.sets(st.sampled_from(sorted(WHOLE))))
def test_what_is_missing_is_made_and_what_is_there_stays(there):
    before = {name: WHOLE[name] for name in there}
    after = before | {name: before.get(name, {}) | files for name, files in completed(before, WANTED).items()}
    assert completed(after, WANTED) == {}, "a second time there is nothing to do"
    for name in there - {PUBLIC}:
        kept = {file: text for file, text in before[name].items() if not file.endswith(".pub")}
        assert kept.items() <= after[name].items()
    for user, seed in seeds(after).items():
        assert after[PUBLIC][f"{user}.conf"] == f"nkey: {Seed(seed).public}\n"
    for name, peer in (("ingest", "inference"), ("inference", "ingest")):
        own = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(after[f"identity-{name}"][f"{name}.key"]))
        assert after[f"identity-{peer}"][f"{name}.pub"] == own.public_key().public_bytes_raw().hex()


@pytest.mark.parametrize("name", sorted(set(WHOLE) - {PUBLIC}))
def test_a_secret_that_is_deleted_has_a_new_key_that_is_in_force(name):
    """The way to shut out who has stolen it; the others keep theirs."""
    there = {one: files for one, files in WHOLE.items() if one != name}
    after = there | {one: there.get(one, {}) | files for one, files in completed(there, WANTED).items()}
    gone = {file.removesuffix(".nk") for file in WHOLE[name] if file.endswith(".nk")}
    changed = {user for user in seeds(WHOLE) if WHOLE[PUBLIC][f"{user}.conf"] != after[PUBLIC][f"{user}.conf"]}
    assert changed == gone


def test_settings_files_of_people_stay_and_name_the_authority_where_there_is_tls():
    """What somebody wrote into them is not written over."""
    theirs = WHOLE["identity-operator"] | {"operator.yaml": "mine", "operator.json": "{}"}
    assert completed(WHOLE | {"identity-operator": theirs}, WANTED) == {}
    made = completed({}, WantedRelease("moretta", "tls://moretta-nats.masks.svc:4222", READERS))
    for name in ("operator", "backup", "subscriber", "subscriber-acme"):
        assert "ca_file: ca.crt" in made[f"identity-{name}"][f"{name}.yaml"]
        context = json.loads(made[f"identity-{name}"][f"{name}.json"])
        paths = [context[file] for file in ("nkey", "ca", "cert", "key")]
        assert paths == [f"/etc/moretta/{file}" for file in (f"identity/{name}.nk", *CERTIFICATES)], "as the toolbox"


def test_files_of_somebody_else_stay():
    there = WHOLE | {"identity-notify": {"theirs": "x"}}
    assert completed(there, WANTED)["identity-notify"].keys() == {"notify.nk"}


@pytest.mark.parametrize(("name", "file"), [("notify", "notify.nk"), ("ingest", "ingest.key")])
def test_what_is_no_key_is_refused_by_its_name(name, file):
    there = WHOLE | {f"identity-{name}": WHOLE[f"identity-{name}"] | {file: "nonsense"}}
    with pytest.raises(SettingsError, match=rf"Secret moretta-identity-{name}: {file}: is no key; delete this Secret"):
        completed(there, WANTED)
