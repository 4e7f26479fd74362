"""`moretta nats-config`: what is written, for whose eyes, and how keys are renewed without anybody being locked out."""

import errno
import json
import re
import stat
from pathlib import Path

import pytest
from in_process import invoke

from operate.identities import Identities, Kept, Server, users
from operate.orders import OperatorFile
from proto.permissions import ACCOUNTS, SERVICES, user_of
from services.bus.nkey import Seed
from services.ingest.settings import IngestFile
from services.kernel.settings import SettingsError, load

USERS = [user_of(*user) for user in users()]


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "nats"


@pytest.fixture(name="run")
def _run(folder: Path):
    """What the command prints; a user's mistake is raised as it is told."""

    def run(*words: str) -> str:
        result = invoke("nats-config", "--out", str(folder), *words)
        assert result.exit_code == 0
        return result.output

    return run


def seeds(folder: Path) -> dict[str, Seed]:
    return {user: Seed((folder / f"{user}.nk").read_text()) for user in USERS}


def admitted(folder: Path) -> list[str]:
    """The public keys that the server's configuration names."""
    accounts = json.loads((folder / "nats.conf").read_text())["accounts"]
    return [user["nkey"] for account in accounts.values() for user in account["users"]]


def test_the_servers_file_has_no_secret(folder: Path, run):
    """Public keys only, each user's once; everything is its owner's alone to read."""
    run()
    secrets = {seed.reveal() for seed in seeds(folder).values()} | {(folder / "inference.key").read_text()}
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        if path.suffix not in {".nk", ".key"}:
            assert not [secret for secret in secrets if secret in path.read_text()], path.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(admitted(folder)) == sorted(seed.public for seed in seeds(folder).values())
    assert len(secrets) == len(USERS) + 1


def test_everybody_finds_its_own(folder: Path, run, tmp_path: Path):
    """A service by its variables, a person by a settings file; nobody is told of another's seed."""
    printed = run("--url", "nats://bus.example:4222", "--listen", "0.0.0.0:4222", "--store", "/data")
    config = json.loads((folder / "nats.conf").read_text())
    assert (config["listen"], config["jetstream"]["store_dir"]) == ("0.0.0.0:4222", "/data")
    for name in SERVICES:
        named = set(re.findall(r"([\w-]+)\.nk", (folder / f"{name}.env").read_text()))
        assert named == {user_of(name, account) for account in ACCOUNTS[name]}
        assert f"{name}.env" in printed
    file = tmp_path / "site.yaml"
    file.write_text("sites: [{id: a}]")
    variables = dict(line.split("=", 1) for line in (folder / "ingest.env").read_text().splitlines())
    nats = load(file, IngestFile, variables).nats
    assert (nats.url, nats.user, nats.seed) == ("nats://bus.example:4222", "ingest", seeds(folder)["ingest"])
    assert nats.frames_seed == seeds(folder)["ingest-frames"]
    assert load(folder / "operator.yaml", OperatorFile, {}).nats.seed == seeds(folder)["operator"]


def test_a_key_is_renewed_in_two_steps(folder: Path, run):
    """Between them both keys are admitted; of everybody else nothing changes."""
    run()
    old = seeds(folder)
    printed = run("--rotate", "ingest")
    both = seeds(folder)
    changed = {user for user in USERS if both[user] != old[user]}
    assert changed == {"ingest", "ingest-frames"}
    assert set(admitted(folder)) == {seed.public for seed in (*old.values(), *both.values())}
    assert "two keys in force: ingest, ingest-frames" in printed
    assert "--retire all" in printed
    assert "--signal reload" in printed
    run("--retire", "ingest")
    assert seeds(folder) == both
    assert sorted(admitted(folder)) == sorted(seed.public for seed in both.values())


def test_an_update_keeps_the_keys_and_gives_new_users_theirs(folder: Path, run):
    """After a new version has another table; users that it doesn't know any more are out."""
    run()
    old, state = seeds(folder), json.loads((folder / "nats-config.json").read_text())
    state["keys"] = {user: keys for user, keys in state["keys"].items() if user != "notify"} | {"gone": ["UGONE"]}
    (folder / "nats-config.json").write_text(json.dumps(state))
    run("--update", "--url", "tls://bus.example")
    new = seeds(folder)
    assert {user for user in USERS if new[user] != old[user]} == {"notify"}
    assert sorted(admitted(folder)) == sorted(seed.public for seed in new.values())
    assert "tls://bus.example" in (folder / "notify.env").read_text()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "--out: {folder} has identities already; --update keeps them"),
        (["--rotate", "bob"], "--rotate: no identity 'bob'; there are ingest, inference"),
        (["--retire", "all"], "--retire: all has no old key; --rotate makes a new one"),
        (["--rotate", "all", "--retire", "all"], "--rotate --retire: does one thing at a time"),
        (["--rotate", "all", "--url", "nats://h"], "--rotate: changes keys only"),
        (["--update", "--listen", "here"], "--listen: 'here' is no HOST:PORT"),
        (["--update", "--listen", "0.0.0.0:65536"], "--listen: '0.0.0.0:65536' is no HOST:PORT"),
        (["--update", "--url", "nats://ana:hunter2@h"], "--url: must hold no user and no password"),
        (["--update", "--url", "http://h"], "--url: must be a URL such as nats://host:4222"),
    ],
)
def test_what_cannot_be_done_is_told(folder: Path, run, words: list[str], why: str):
    """In one line, and nothing is changed."""
    run()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SettingsError) as caught:
        run(*words)
    assert str(caught.value).startswith("moretta nats-config: " + why.format(folder=folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_nobody_is_locked_out(folder: Path, run):
    """A second rotation would take the key that is still in use; a folder of something else is not closed to others."""
    run()
    run("--rotate", "notify")
    with pytest.raises(SettingsError, match="notify still has an old key; --retire it first"):
        run("--rotate", "all")
    other = folder.parent / "other"
    other.mkdir(mode=0o755)
    (other / "file").touch()
    with pytest.raises(SettingsError, match="is not empty; name a folder of its own"):
        Kept.make(other, Server(listen=":1", store="/s", url="nats://h"))
    assert stat.S_IMODE(other.stat().st_mode) == 0o755


def test_a_renewal_that_a_full_disk_broke_off_locks_nobody_out(folder: Path, run, monkeypatch: pytest.MonkeyPatch):
    """The new key's seed is lost: to end the renewal ends the new key, and the old one goes on."""
    run()
    before, write = seeds(folder), Identities.write

    def full(self: Identities, name: str, text: str) -> Path:
        if name == "notify.nk":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, name, text)

    monkeypatch.setattr(Identities, "write", full)
    with pytest.raises(OSError, match="No space"):
        Kept.open(folder).rotate(["aggregate", "notify", "operator"])
    monkeypatch.undo()
    now = seeds(folder)
    assert {user for user in USERS if now[user] != before[user]} == {"aggregate"}
    run("--retire", "all")
    assert sorted(admitted(folder)) == sorted(seed.public for seed in now.values())


def test_seeds_may_be_kept_elsewhere(folder: Path, run):
    """Without the file the newest key stays; what is in it and is no seed is told."""
    run()
    run("--rotate", "notify")
    newest = Seed((folder / "notify.nk").read_text()).public
    (folder / "notify.nk").write_text("SUno")
    with pytest.raises(SettingsError, match=r"notify\.nk: must be the seed of a NATS user's nkey") as caught:
        run("--retire", "notify")
    assert "SUno" not in str(caught.value)
    (folder / "notify.nk").unlink()
    run("--retire", "notify")
    assert newest in admitted(folder)
    assert len(admitted(folder)) == len(USERS)


@pytest.mark.parametrize("option", ["--rotate", "--retire"])
def test_a_table_that_has_grown_is_told(folder: Path, run, option: str):
    """A key of somebody new is made by --update; before that there is nothing to renew."""
    run()
    state = json.loads((folder / "nats-config.json").read_text())
    del state["keys"]["notify"]
    (folder / "nats-config.json").write_text(json.dumps(state))
    with pytest.raises(SettingsError, match=r"nats-config\.json: keys: notify has no key here yet; --update makes one"):
        run(option, "all")


def test_a_damaged_or_missing_state_is_told(folder: Path, run):
    """With its path and what to do."""
    with pytest.raises(SettingsError, match=r"nats-config\.json: cannot be read: No such file or directory; make"):
        run("--update")
    run()
    (folder / "nats-config.json").write_text('{"listen": 5}')
    with pytest.raises(SettingsError, match=r"nats-config\.json: Expected `str`, got `int` - at `\$\.listen`"):
        run("--rotate", "all")


def test_the_matrix_is_shown_and_nothing_is_written(folder: Path, run):
    """Every subject with who may do what; no folder is needed."""
    result = invoke("nats-config", "--matrix", env={"COLUMNS": "240"})
    assert result.exit_code == 0
    windows = next(line for line in result.output.splitlines() if "moretta.v1.windows.*.*" in line)
    assert [cell.strip() for cell in re.split("[│|]", windows)[3:12]] == ["", "", "", "", "ps", "s", "s", "", "s"]
    assert not folder.exists()
