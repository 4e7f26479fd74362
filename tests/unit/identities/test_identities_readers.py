"""`moretta nats-config --reader`: readers with a name, each with a key, settings and an account of its own."""

import json
from pathlib import Path

import pytest
import yaml
from in_process import invoke

from operate.identities import Kept, KeptHub
from operate.orders import OperatorFile
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError, load

PLACES = ([], ["--hub", "127.0.0.1:7422"])
both = pytest.mark.parametrize("place", PLACES, ids=["site", "hub"])


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "nats"


@pytest.fixture(name="run")
def _run(folder: Path):
    """What the command prints; a user's mistake is raised as it is told."""

    def run(*words: str) -> str:
        command = ["nats-config", "--out", str(folder), *words]
        result = invoke(*command, env={"COLUMNS": "200"})
        assert result.exit_code == 0
        return result.output

    return run


def accounts(folder: Path) -> dict[str, list[str]]:
    """The public keys that the server's configuration admits, by account."""
    found = json.loads((folder / "nats.conf").read_text())["accounts"]
    return {name: [user["nkey"] for user in account["users"]] for name, account in found.items()}


def public(folder: Path, user: str) -> str:
    return Seed((folder / f"{user}.nk").read_text()).public


@both
def test_a_reader_comes_stays_and_goes(folder: Path, run, place: list[str]):
    """With its files; the others' keys are as before, and a name that is there already keeps its key."""
    printed = run(*place, "--reader", "acme", "--reader", "city")
    assert "subscriber-acme.yaml" in printed
    before = accounts(folder)
    for name in ("acme", "city"):
        assert before[f"SUBSCRIBERS_{name}"] == [public(folder, f"subscriber-{name}")]
        nats = load(folder / f"subscriber-{name}.yaml", OperatorFile, {}).nats
        assert nats.seed is not None
        assert (nats.user, nats.seed.public) == ("subscriber", public(folder, f"subscriber-{name}"))
    run("--update")
    run("--update", "--reader", "acme")
    assert accounts(folder) == before
    run("--update", "--reader", "bus", "--remove-reader", "acme")
    after = accounts(folder)
    assert set(before) - set(after) == {"SUBSCRIBERS_acme"}
    assert set(after) - set(before) == {"SUBSCRIBERS_bus"}
    assert {name: after[name] for name in before if name in after} == {
        name: keys for name, keys in before.items() if name in after
    }
    assert not list(folder.glob("*acme*"))
    assert before["SUBSCRIBERS_acme"][0] not in "".join(file.read_text() for file in folder.iterdir() if file.is_file())


def test_a_readers_key_is_renewed_as_an_identitys(folder: Path, run):
    """By the user's name, or with everybody's."""
    run("--reader", "acme")
    [old] = accounts(folder)["SUBSCRIBERS_acme"]
    run("--rotate", "subscriber-acme")
    new = public(folder, "subscriber-acme")
    assert accounts(folder)["SUBSCRIBERS_acme"] == [new, old]
    assert len(accounts(folder)["SUBSCRIBERS"]) == 1
    run("--retire", "subscriber-acme")
    assert accounts(folder)["SUBSCRIBERS_acme"] == [new]
    run("--rotate", "all")
    assert {len(keys) for keys in accounts(folder)["SUBSCRIBERS_acme"]} == {56}
    assert len(accounts(folder)["SUBSCRIBERS_acme"]) == 2


@both
def test_kubernetes_has_a_secret_and_a_key_for_each(folder: Path, run, place: list[str]):
    """Who was moved to a secret store, or has gone, is in no Secret that is written."""

    def secrets() -> dict[str, list[str]]:
        text = (folder / "secrets.yaml").read_text()
        found = {one["metadata"]["name"]: sorted(one["stringData"]) for one in yaml.safe_load_all(text)}
        return {name: files for name, files in found.items() if "subscriber" in name}

    def values() -> dict:
        return yaml.safe_load((folder / "values.yaml").read_text())["nats"]

    run(*place, "--kubernetes", "m", "--reader", "acme", "--reader", "city")
    assert secrets() == {
        "m-identity-subscriber": ["subscriber.nk", "subscriber.yaml"],
        "m-identity-subscriber-acme": ["subscriber-acme.nk", "subscriber-acme.yaml"],
        "m-identity-subscriber-city": ["subscriber-city.nk", "subscriber-city.yaml"],
    }
    assert values()["readers"] == ["acme", "city"]
    assert values()["keys"]["subscriber-acme"] == [public(folder, "subscriber-acme")]
    (folder / "subscriber-city.nk").unlink()
    run("--update", "--remove-reader", "acme")
    assert list(secrets()) == ["m-identity-subscriber"]
    assert values()["readers"] == ["city"]
    assert "subscriber-acme" not in values()["keys"]


@both
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--reader", "Acme"], "--reader: 'Acme' is no name of a reader: 1-32 of a-z, 0-9 and inner hyphens"),
        (["--remove-reader", "a.b"], "--remove-reader: 'a.b' is no name of a reader"),
        (["--reader", "a", "--remove-reader", "a"], "--remove-reader: 'a' is given to --reader, too"),
        (
            ["--remove-reader", "acme"],
            "--remove-reader: takes a reader from a folder that is there; it goes with --update",
        ),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(run, folder: Path, place: list[str], words: list[str], why):
    """With what would be right."""
    with pytest.raises(SettingsError) as told:
        run(*place, *words)
    assert str(told.value).startswith(f"moretta nats-config: {why}")
    assert not folder.exists()


@both
def test_an_update_says_to_reload_twice(run, place: list[str]):
    """nats-server answers a new account nothing before the second reload; the chart's script does it by itself."""
    run(*place)
    assert "next: the same a few seconds later if a reader or the page is new" in run("--update", "--reader", "acme")
    with pytest.raises(SettingsError, match="no reader 'x' in this folder; there are acme"):
        run("--update", "--remove-reader", "x")


@pytest.mark.parametrize("who", ["subscriber-acme", "subscriber", "page", "operator"])
@pytest.mark.parametrize("more", [[], ["--kubernetes", "m"]], ids=["here", "kubernetes"])
def test_a_new_seed_is_handed_over_before_the_old_one_goes(run, folder: Path, who: str, more: list[str]):
    """Of whoever is no service; nobody is told to start services, or to retire everybody's key."""
    run("--reader", "acme", *more)
    *_, hands, retires = [line for line in run("--rotate", who).splitlines() if line.startswith("next: ")]
    assert hands == f"next: hand over {folder}/{who}.nk: the seed of before is good until the next step"
    assert retires == f"next: moretta nats-config --out {folder} --retire {who}"


@both
def test_an_unknown_reader_is_told_who_there_is(run, folder: Path, place: list[str]):
    """And nothing has changed."""
    run(*place, "--reader", "acme", "--reader", "city")
    before = (folder / "nats.conf").read_bytes()
    with pytest.raises(SettingsError, match="no reader 'x' in this folder; there are acme, city"):
        run("--update", "--reader", "new", "--remove-reader", "x")
    assert (folder / "nats.conf").read_bytes() == before
    kept = KeptHub.open(folder) if place else Kept.open(folder)
    assert kept.readers == ["acme", "city"]


@pytest.mark.parametrize("option", ["--rotate", "--retire"])
def test_keys_alone_are_renewed(run, option: str):
    """Readers come and go by --update; a name that is no identity is told beside those that are."""
    run("--reader", "acme")
    with pytest.raises(SettingsError, match=r"changes keys only; --update changes .*--reader"):
        run(option, "all", "--reader", "city")
    with pytest.raises(SettingsError, match=r"no identity 'acme'; there are .*, page, subscriber-acme, or all"):
        run(option, "acme")


def test_a_folder_of_before_gets_the_pages_key(run, folder: Path):
    """`--update` by a version that has it: everybody's key stays."""
    run("--websocket", "127.0.0.1:8443", "--origin", "https://a.example", "--page-open")
    state = json.loads((folder / "nats-config.json").read_text())
    before = {user: keys for user, keys in state["keys"].items() if user != "page"}
    (folder / "nats-config.json").write_text(json.dumps(state | {"keys": before}))
    (folder / "page.nk").unlink()
    run("--update")
    after = json.loads((folder / "nats-config.json").read_text())["keys"]
    assert {user: keys for user, keys in after.items() if user != "page"} == before
    assert after["page"] == [public(folder, "page")]
    assert json.loads((folder / "nats.conf").read_text())["websocket"]["no_auth_user"] == after["page"][0]
