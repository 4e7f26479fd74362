"""`moretta nats`: what is written, for whose eyes, and how keys are renewed without anybody being locked out."""

import errno
import json
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import invoke
from nats_folder import NatsFolder, lines_of

from operate.identities import Identities, IdentityFolder, ServerEntry, users
from operate.orders import OperatorFile
from proto.permissions import ACCOUNTS, SERVICES, user_of
from services.bus.nkey import Seed
from services.frames.sealing.settings import SealingSettings
from services.ingest.settings import IngestFile
from services.kernel.settings import Secret, SettingsError, load

USERS = [user_of(*user) for user in users()]


def seeds(nats: NatsFolder) -> dict[str, Seed]:
    return {user: Seed(nats.read(f"{user}.nk")) for user in USERS}


def test_the_servers_file_has_no_secret(nats: NatsFolder):
    """Public keys only, each user's once; everything is its owner's alone to read."""
    nats.apply()
    secrets = {seed.reveal() for seed in seeds(nats).values()} | {nats.read("inference.key")}
    for path in nats.path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        if path.suffix not in {".nk", ".key"}:
            assert not [secret for secret in secrets if secret in path.read_text()], path.name
    assert stat.S_IMODE(nats.path.stat().st_mode) == 0o700
    assert sorted(nats.admitted()) == sorted(seed.public for seed in seeds(nats).values())
    assert len(secrets) == len(USERS) + 1


def test_everybody_finds_its_own(nats: NatsFolder, tmp_path: Path):
    """A service by its variables, a person by a settings file; nobody is told of another's seed."""
    printed = nats.apply({"server": {"url": "nats://bus.example:4222", "listen": "0.0.0.0:4222", "store": "/data"}})
    config = nats.conf()
    assert (config["listen"], config["jetstream"]["store_dir"]) == ("0.0.0.0:4222", "/data")
    for name in SERVICES:
        named = set(re.findall(r"([\w-]+)\.nk", nats.read(f"{name}.env")))
        assert named == {user_of(name, account) for account in ACCOUNTS[name]}
        assert f"{name}.env" in printed
    file = tmp_path / "site.yaml"
    file.write_text("sites: [{id: a}]")
    variables = dict(line.split("=", 1) for line in nats.read("ingest.env").splitlines())
    found = load(file, IngestFile, variables).nats
    assert (found.url, found.user, found.seed) == ("nats://bus.example:4222", "ingest", seeds(nats)["ingest"])
    assert found.frames_seed == seeds(nats)["ingest-frames"]
    assert load(nats.path / "operator.yaml", OperatorFile, {}).nats.seed == seeds(nats)["operator"]


def test_a_key_is_renewed_in_two_steps(nats: NatsFolder):
    """Between them both keys are admitted; of everybody else nothing changes."""
    nats.apply()
    old = seeds(nats)
    printed = nats.rotate("ingest")
    both = seeds(nats)
    changed = {user for user in USERS if both[user] != old[user]}
    assert changed == {"ingest", "ingest-frames"}
    assert set(nats.admitted()) == {seed.public for seed in (*old.values(), *both.values())}
    assert "two keys in force: ingest, ingest-frames" in printed
    assert f"next: moretta nats retire {nats.path} all" in printed
    assert "--signal reload" in printed
    nats.retire("ingest")
    assert seeds(nats) == both
    assert sorted(nats.admitted()) == sorted(seed.public for seed in both.values())


def test_two_keys_outlast_an_apply(nats: NatsFolder):
    """A renewal that is under way goes on: whoever has the old key comes in still."""
    nats.apply()
    nats.rotate("ingest")
    before = sorted(nats.admitted())
    assert "two keys in force: ingest, ingest-frames" in nats.apply({"readers": ["acme"]})
    assert sorted({*nats.admitted()} - {nats.public("subscriber-acme")}) == before


def test_an_apply_keeps_the_keys_and_gives_new_users_theirs(nats: NatsFolder):
    """After a new version has another table; users that it doesn't know any more are out."""
    nats.apply()
    old, state = seeds(nats), nats.state()
    state["keys"] = {user: keys for user, keys in state["keys"].items() if user != "notify"} | {"gone": ["UGONE"]}
    nats.forge(state)
    (nats.path / "gone.nk").touch()
    printed = nats.apply({"server": {"url": "tls://bus.example"}})
    new = seeds(nats)
    assert {user for user in USERS if new[user] != old[user]} == {"notify"}
    assert sorted(nats.admitted()) == sorted(seed.public for seed in new.values())
    assert "tls://bus.example" in nats.read("notify.env")
    assert not (nats.path / "gone.nk").exists()
    assert "+ user notify, new to this version" in printed.splitlines()


@pytest.mark.parametrize(
    "value", [None, {"listen": "127.0.0.1:1883", "passwords": {"subscriber": "$2a$04$abc"}}], ids=["off", "on"]
)
def test_a_state_from_when_readers_came_by_mqtt_is_read(nats: NatsFolder, value: object):
    """The field that was removed is left out at the next write, and no key changes; any other is refused as before."""
    nats.apply()
    state, keys = nats.state(), nats.admitted()
    nats.forge(state | {"mqtt": value})
    nats.apply()
    assert (nats.state(), nats.admitted()) == (state, keys)
    nats.forge(state | {"mqtt": value, "mqtts": None})
    assert "unknown field `mqtts`" in nats.refused()


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"listen": "here"}, "listen: must be HOST:PORT, such as 0.0.0.0:4222, got 'here'"),
        ({"listen": "127.0.0.1:-1"}, "listen: must be HOST:PORT"),
        ({"listen": "a b:4222"}, "listen: must be HOST:PORT"),
        ({"listen": "0.0.0.0:65536"}, "listen: '0.0.0.0:65536' has no such port; must be HOST:PORT"),
        ({"url": "nats://ana:hunter2@h"}, "url: must hold no user and no password"),
        ({"url": "http://h"}, "url: must be a URL such as nats://host:4222"),
    ],
)
def test_an_address_that_is_none_is_reported(nats: NatsFolder, server: dict[str, str], why: str):
    """In one line, without a password, whether or not something is there; and nothing is changed."""
    for _ in range(2):
        [line] = nats.problems({"server": server})
        assert line.startswith(f"server.{why}")
        assert "hunter2" not in line
        nats.apply({})


@pytest.mark.parametrize(
    ("command", "who", "why"),
    [
        ("rotate", "bob", "moretta nats: IDENTITY: no identity 'bob'; there are ingest, inference"),
        ("retire", "bob", "moretta nats: IDENTITY: no identity 'bob'; there are ingest, inference"),
        ("rotate", "leaf", "moretta nats: IDENTITY: no identity 'leaf'"),
        ("retire", "all", "moretta nats retire: all has no old key; `rotate` makes a new one"),
        ("retire", "notify", "moretta nats retire: notify has no old key; `rotate` makes a new one"),
    ],
)
def test_a_renewal_that_cannot_be_is_reported(nats: NatsFolder, command: str, who: str, why: str):
    """In one line, and nothing is changed."""
    nats.apply()
    before = nats.content()
    with pytest.raises(SettingsError) as caught:
        nats.run(command, who)
    assert str(caught.value).startswith(why)
    assert nats.content() == before


def test_nobody_is_locked_out(nats: NatsFolder):
    """A second rotation would take the key that is still in use; a folder of something else is not closed to others."""
    nats.apply()
    nats.rotate("notify")
    with pytest.raises(SettingsError, match="notify still has an old key; `retire` it first"):
        nats.rotate("all")
    other = NatsFolder(nats.path.parent / "other")
    other.path.mkdir(mode=0o755)
    (other.path / "file").touch()
    wishes: tuple[dict[str, Any] | None, ...] = (None, {}, {"hub": {}})
    for wish in wishes:
        message = other.refused(wish)
        assert message == f"{other.path}: is not empty; name a folder of its own, with nothing but nats.yaml in it"
    with pytest.raises(SettingsError, match="is not empty; name a folder of its own"):
        IdentityFolder.make(other.path, ServerEntry(listen=":1", store="/s", url="nats://h"))
    assert stat.S_IMODE(other.path.stat().st_mode) == 0o755


def test_a_renewal_that_a_full_disk_broke_off_locks_nobody_out(nats: NatsFolder, monkeypatch: pytest.MonkeyPatch):
    """The new key's seed is lost: to end the renewal ends the new key, and the old one goes on."""
    nats.apply()
    before, write = seeds(nats), Identities.write

    def full(self: Identities, name: str, text: str) -> Path:
        if name == "notify.nk":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, name, text)

    monkeypatch.setattr(Identities, "write", full)
    with pytest.raises(OSError, match="No space"):
        IdentityFolder.open(nats.path).rotate(["aggregate", "notify", "operator"])
    monkeypatch.undo()
    now = seeds(nats)
    assert {user for user in USERS if now[user] != before[user]} == {"aggregate"}
    nats.retire("all")
    assert sorted(nats.admitted()) == sorted(seed.public for seed in now.values())


def test_a_stolen_key_is_replaced_however_often_it_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The disk is full at any of its writes: nobody is locked out, and the next run ends the stolen key."""
    first, real, broken = NatsFolder(tmp_path / "first"), Identities.write, 0
    first.apply({"leaf": {"hubs": ["tls://h:1"], "sites": ["nice"]}, "kubernetes": {"release": "m"}})
    stolen, everybody = {*first.admitted()}, [*first.state()["keys"]]
    for at in range(1000):
        nats = NatsFolder(shutil.copytree(first.path, tmp_path / f"nats-{at}"))
        left = iter(range(at))

        def full(files: Identities, name: str, text: str, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise OSError(errno.ENOSPC, "No space left on device", name)
            return real(files, name, text)

        monkeypatch.setattr(Identities, "write", full)
        try:
            IdentityFolder.open(nats.path).replace(everybody)
        except OSError:
            broken += 1
        monkeypatch.setattr(Identities, "write", real)
        keys = nats.state()["keys"]
        assert [user for user in everybody if nats.public(user) not in keys[user]] == []
        assert {nats.public(user) for user in USERS} <= {*nats.admitted()}
        if broken == at:
            break
        IdentityFolder.open(nats.path).replace(everybody)
        assert not stolen & {*nats.admitted()}
        assert {user: [nats.public(user)] for user in everybody} == nats.state()["keys"]
    assert broken > 2 * len(USERS)
    assert not stolen & {*nats.admitted()}


@pytest.mark.parametrize(("who", "kept"), [("ingest", ["ingest"]), ("all", ["ingest", "inference"]), ("notify", [])])
def test_after_a_theft_the_key_that_stays_is_named(nats: NatsFolder, who: str, kept: list[str]):
    """The key that signs frame keys is none of NATS's: `replace` leaves it, and says where the commands are."""
    nats.apply()
    before = {name: nats.read(f"{name}.key") for name in ("ingest", "inference")}
    steps = lines_of(nats.replace(who), "next: ")
    assert {name: nats.read(f"{name}.key") for name in before} == before
    found = [step for step in steps if "An identity is replaced" in step]
    assert [step.split(" is as before")[0] for step in found] == [f"{nats.path / name}.key" for name in kept]
    restart = "restart the services of these identities, one by one, with their new .nk files"
    assert [step.startswith(restart) for step in steps].index(True) > len(found)


@pytest.mark.parametrize("change", ["rotate", "replace"])
def test_the_pod_that_holds_the_operators_seed_is_started_anew(nats: NatsFolder, change: str):
    """It read the seed at its start, so before the key of before is gone; on no other change of keys."""
    nats.apply({"kubernetes": {"release": "m", "namespace": "masks"}})
    steps = lines_of(getattr(nats, change)("operator"), "next: ")
    which = "app.kubernetes.io/instance=m,app.kubernetes.io/component=toolbox"
    anew = f"kubectl rollout restart -n masks deployment -l {which}   (where toolbox.enabled is true)"
    assert anew in steps
    assert not any("retire" in step for step in steps[: steps.index(anew)])
    assert not any("component=toolbox" in step for step in lines_of(getattr(nats, change)("page"), "next: "))


def test_of_all_keys_those_of_a_hub_are_left_out_and_named(nats: NatsFolder):
    """A leaf's key has to be put in at the hub; so `all` says that these two are replaced by their names."""
    nats.apply({"leaf": {"hubs": ["tls://hub.example:7422"], "sites": ["cannes"]}})
    before = nats.public("leaf"), nats.public("streams")
    assert "leaf and streams are replaced by themselves, each by its name" in lines_of(nats.replace("all"), "next: ")
    assert (nats.public("leaf"), nats.public("streams")) == before


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_documents_commands_make_a_pair(nats: NatsFolder):
    """Those of "An identity is replaced", as they stand there."""
    nats.apply()
    old = nats.read("ingest.key")
    text = (Path(__file__).parents[3] / "docs/operations.md").read_text("utf-8")
    found = re.search(
        r"^## An identity is replaced\n.*?```\ncd /etc/moretta/nats[^\n]*\n(.*?)```", text, re.DOTALL | re.MULTILINE
    )
    assert found
    subprocess.run(["sh", "-ec", found[1]], cwd=nats.path, check=True)
    new = SealingSettings(signing_key=Secret(nats.read("new.key")), verify_key=Secret(nats.read("new.pub")))
    assert nats.read("ingest.key") == old != nats.read("new.key")
    assert new.trusted() == (new.private().public_key(),)
    assert not (nats.path / "new.der").exists()
    assert stat.S_IMODE((nats.path / "new.key").stat().st_mode) == 0o600


def test_seeds_may_be_kept_elsewhere(nats: NatsFolder):
    """Without the file the newest key stays; what is in it and is no seed is told."""
    nats.apply()
    nats.rotate("notify")
    newest = nats.public("notify")
    (nats.path / "notify.nk").write_text("SUno")
    with pytest.raises(SettingsError, match=r"notify\.nk: must be the seed of a NATS user's nkey") as caught:
        nats.retire("notify")
    assert "SUno" not in str(caught.value)
    (nats.path / "notify.nk").unlink()
    nats.retire("notify")
    nats.apply()
    assert newest in nats.admitted()
    assert len(nats.admitted()) == len(USERS)
    assert not (nats.path / "notify.nk").exists()


@pytest.mark.parametrize("command", ["rotate", "retire", "replace"])
def test_a_table_that_has_grown_is_reported(nats: NatsFolder, command: str):
    """A key of somebody new is made by `apply`; before that there is nothing to renew."""
    nats.apply()
    state = nats.state()
    del state["keys"]["notify"]
    nats.forge(state)
    why = r"site-state\.json: keys: notify has no key here yet; `moretta nats apply` makes one"
    with pytest.raises(SettingsError, match=why):
        nats.run(command, "all")


@pytest.mark.parametrize("command", [["apply"], ["rotate", "all"], ["retire", "all"], ["show"]], ids=lambda one: one[0])
def test_a_damaged_or_missing_state_is_reported(nats: NatsFolder, command: list[str]):
    """With its path and what to do."""
    if command != ["apply"]:
        missing = r"site-state\.json: cannot be read: No such file or directory; `moretta nats apply` makes identities"
        with pytest.raises(SettingsError, match=missing):
            nats.run(*command)
        assert not nats.path.exists()
    nats.apply()
    nats.forge({"listen": 5})
    damaged = r"site-state\.json: Expected `str`, got `int` - at `\$\.listen`; `moretta nats apply` writes this file"
    with pytest.raises(SettingsError, match=damaged):
        nats.run(*command)


def test_the_rights_are_shown_and_nothing_is_written(nats: NatsFolder):
    """Every subject with who may do what; no folder is needed, and one that is named is shown, too."""
    result = invoke("nats", "show", "--rights", env={"COLUMNS": "240"})
    assert result.exit_code == 0
    windows = next(line for line in result.output.splitlines() if "moretta.v1.windows.*.*" in line)
    assert [cell.strip() for cell in re.split("[│|]", windows)[3:12]] == ["", "", "", "", "ps", "s", "s", "", "s"]
    assert not nats.path.exists()
    nats.apply()
    both = nats.run("show", "--rights")
    assert ("moretta.v1.windows.*.*" in both, "aggregate.env" in both) == (True, True)


def test_a_folder_is_shown_as_it_is(nats: NatsFolder):
    """What is where and who has two keys; nothing is written, and without a folder one is asked for."""
    nats.apply({"readers": ["acme"]})
    nats.rotate("notify")
    before = nats.content()
    printed = nats.run("show")
    assert [word for word in ("subscriber-acme.yaml", "two keys in force: notify") if word not in printed] == []
    assert "next:" not in printed
    assert nats.content() == before
    with pytest.raises(SettingsError) as error:
        invoke("nats", "show")
    assert str(error.value) == "moretta nats show: DIR: is missing; name the folder, or give --rights"


def test_the_state_is_no_secret(nats: NatsFolder):
    """Public keys of everybody, and what was asked for."""
    nats.apply({"leaf": {"hubs": ["tls://hub.example:7422"], "sites": ["cannes"]}})
    state = nats.read("site-state.json")
    assert {*json.loads(state)["keys"]} == {*USERS, "leaf", "streams"}
    assert not [path.name for path in nats.path.glob("*.nk") if path.read_text() in state]
