"""`moretta nats apply`: the file is the whole wish, applied again it changes nothing, and all its faults are told."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import invoke
from nats_folder import HUB, SITE, NatsFolder, lines_of

from operate.identities import Identities, users
from operate.nats.nats_yaml import NatsFile, load
from proto.permissions import user_of
from proto.subjects import STREAMS
from services.bus.nkey import Seed

Wish = dict[str, Any]
KEY, OTHER = Seed.new().public, Seed.new().public
TWO_KEYS = {"sites": ["a"], "keys": [KEY, OTHER]}
TLS = {"cert_file": "tls/cert.pem", "key_file": "tls/key.pem", "ca_file": "tls/ca.pem"}
FULL: dict[str, Wish] = {
    "nothing": {},
    "a site": {
        "server": {"listen": "0.0.0.0:4222", "url": "tls://bus.example:4222", "store": "js", "tls": TLS},
        "websocket": {"listen": "0.0.0.0:8443", "origins": ["https://a.example"], "open": True},
        "leaf": {"hubs": ["tls://hub.example:7422"], "sites": ["cannes", "nice"], "tls": TLS},
        "readers": ["acme", "city"],
        "streams": {"WINDOWS": "2GiB", "alerts": "1Gi"},
    },
    "a site on Kubernetes": {
        "leaf": {"hubs": ["tls://hub.example:7422"], "sites": ["cannes"]},
        "readers": ["acme"],
        "streams": {"SIGHTINGS": 1 << 30},
        "kubernetes": {"release": "paris", "namespace": "count"},
    },
    "a hub": {
        "server": {"tls": TLS},
        "hub": {"listen": ":7422", "leaves": [{"sites": ["cannes", "nice"], "keys": [KEY, OTHER]}]},
        "readers": ["acme"],
        "streams": {"WINDOWS": "2GiB"},
    },
    "a hub on Kubernetes": {
        "hub": {"leaves": [{"sites": ["nice"], "keys": [KEY]}, {"sites": ["cannes"], "keys": [OTHER]}]},
        "readers": ["acme"],
        "kubernetes": {"release": "hub"},
    },
}
every = pytest.mark.parametrize("wish", FULL.values(), ids=list(FULL))


@pytest.fixture(name="nats")
def _nats(tmp_path: Path) -> NatsFolder:
    (tmp_path / "tls").mkdir()
    for name in TLS.values():
        (tmp_path / name).touch()
    return NatsFolder(tmp_path / "nats")


# --- the same again --------------------------------------------------------------------------------------------------


@every
def test_applied_again_it_changes_nothing(nats: NatsFolder, wish: Wish):
    """With the file or without it; not a byte of any file."""
    assert lines_of(nats.apply(wish), "+ ")
    before = nats.content()
    for again in (wish, None):
        printed = nats.apply(again)
        assert printed.startswith("nothing changes\n")
        assert "next: " in printed
        assert nats.content() == before


@every
def test_a_plan_does_nothing_and_prints_the_same(nats: NatsFolder, wish: Wish):
    """Before there is a folder, and for one that is to be another."""

    def changes(printed: str) -> list[str]:
        return [line for line in printed.splitlines() if line.startswith(("+ ", "- ", "nothing"))]

    planned = nats.apply(wish, "--plan")
    assert nats.content() is None
    assert planned.splitlines() == changes(nats.apply(wish))
    before = nats.content()
    other = {name: part for name, part in wish.items() if name == "hub"} | {"readers": ["bus"]}
    planned = nats.apply(other, "--plan")
    assert nats.content() == before
    assert planned.splitlines() == changes(nats.apply(other))
    assert nats.apply(other, "--plan") == nats.apply(None, "--plan") == "nothing changes\n"


def test_differences_are_printed_line_by_line(nats: NatsFolder):
    """What comes and what goes, by the paths of the file; no seed is among it, and no key of those that stay."""
    nats.apply({"server": {"listen": "127.0.0.1:4222"}, "readers": ["acme"], "streams": {"WINDOWS": "1GiB"}})
    printed = nats.apply({"server": {"listen": "0.0.0.0:4222"}, "readers": ["city"], "streams": {"WINDOWS": "2GiB"}})
    assert printed.splitlines()[:6] == [
        "- server.listen: 127.0.0.1:4222",
        "+ server.listen: 0.0.0.0:4222",
        "- streams.WINDOWS: 1GiB",
        "+ streams.WINDOWS: 2GiB",
        "- reader acme, with its key and files",
        "+ reader city, of WINDOWS, ALERTS",
    ]


def test_a_first_apply_prints_how_to_start_and_a_later_one_how_to_reload(nats: NatsFolder):
    """Services need their variables once."""
    first, again = (lines_of(nats.apply({}), "next: ") for _ in range(2))
    assert first == [f"nats-server -c {nats.path}/nats.conf", "each service with the variables of its .env file"]
    assert again[0].startswith("nats-server --signal reload ")


@st.composite
def wishes(draw: st.DrawFn, *, hub: bool) -> Wish:
    """A file that can be, of a site or of a hub, with any of its sections."""
    ids = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
    names = st.lists(ids, min_size=1, max_size=3, unique=True)
    ports = st.integers(1, 65_535)
    parts: dict[str, st.SearchStrategy[Any]] = {
        "server": st.builds(lambda port, host: {"listen": f"{host}:{port}"}, ports, st.sampled_from(["", "0.0.0.0"])),
        "readers": names,
        "kubernetes": st.builds(lambda name: {"release": name}, ids),
        "leaf": st.builds(lambda sites: {"hubs": ["tls://hub.example:7422"], "sites": sites}, names),
        "websocket": st.builds(
            lambda port, is_open: {"listen": f"127.0.0.1:{port}", "origins": ["https://a.example"], "open": is_open},
            ports,
            st.booleans(),
        ),
        "streams": st.dictionaries(st.sampled_from(["WINDOWS", "alerts"]), st.integers(1 << 29, 1 << 33)),
    }
    wish = {name: draw(parts[name]) for name in parts if draw(st.booleans())}
    if hub or "kubernetes" in wish:
        wish.pop("websocket", None)
    if hub:
        wish.pop("leaf", None)
        sites = draw(st.lists(ids, max_size=3, unique=True))
        wish["hub"] = {"leaves": [{"sites": [site], "keys": [Seed.new().public]} for site in sites]}
    return wish


@settings(deadline=None, max_examples=20)
@given(st.booleans().flatmap(lambda hub: st.tuples(wishes(hub=hub), wishes(hub=hub))))
def test_any_file_is_idempotent_after_any_other(both: tuple[Wish, Wish]):
    """The folder is what the last file says, twice or once; whoever was there before has the same key."""
    with tempfile.TemporaryDirectory() as scratch:
        nats = NatsFolder(Path(scratch) / "nats")
        name = HUB if "hub" in both[0] else SITE
        nats.apply(both[0])
        old = nats.state(name)["keys"]
        nats.apply(both[1])
        new, before = nats.state(name), nats.content()
        assert nats.apply(both[1]).startswith("nothing changes\n")
        assert nats.content() == before
        assert [user for user in old if user in new["keys"] and new["keys"][user] != old[user]] == []
        fresh = NatsFolder(Path(scratch) / "other")
        fresh.apply(both[1])
        assert {*fresh.state(name)["keys"]} == {*new["keys"]}
        assert all(nats.public(user) == keys[0] for user, keys in new["keys"].items())


# --- where it is -----------------------------------------------------------------------------------------------------


def test_the_folders_own_file_is_taken(nats: NatsFolder):
    """It is there before anything else, stays as it is, and another that is named goes before it."""
    nats.path.mkdir()
    own = nats.path / "nats.yaml"
    own.write_text("readers: [acme]\n")
    nats.apply()
    assert "MORETTA_SUBSCRIBERS_acme" in nats.conf()["accounts"]
    assert nats.apply().startswith("nothing changes\n")
    nats.apply({"readers": ["city"]})
    assert not nats.conf()["accounts"]["MORETTA_SUBSCRIBERS_acme"]["users"]
    nats.apply()
    assert not nats.conf()["accounts"]["MORETTA_SUBSCRIBERS_city"]["users"]
    own.unlink()
    assert nats.apply().startswith("nothing changes\n"), "it is what was applied last"
    assert nats.conf()["accounts"]["MORETTA_SUBSCRIBERS_acme"]["users"]


def test_paths_are_from_the_files_folder(nats: NatsFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Wherever the command is called, and however the file is named; so is the store."""
    elsewhere, work = tmp_path / "wishes", tmp_path / "work"
    for folder in (elsewhere / "tls", work):
        folder.mkdir(parents=True)
    for name in TLS.values():
        (elsewhere / name).touch()
    (elsewhere / "site.yaml").write_text(yaml.safe_dump({"server": {"tls": TLS, "store": "js"}}))
    monkeypatch.chdir(elsewhere)
    nats.run("apply", "-f", "site.yaml")
    before, config = nats.content(), nats.conf()
    assert config["jetstream"]["store_dir"] == str(elsewhere / "js")
    assert [config["tls"][name] for name in TLS] == [str(elsewhere / file) for file in TLS.values()]
    assert f"MORETTA_NATS__CA_FILE={elsewhere}/tls/ca.pem\n" in nats.read("aggregate.env")
    monkeypatch.chdir(work)
    assert nats.run("apply", "-f", elsewhere / "site.yaml").startswith("nothing changes\n")
    assert nats.run("apply").startswith("nothing changes\n")
    assert nats.content() == before


def test_without_a_word_it_is_a_server_on_this_machine(nats: NatsFolder, monkeypatch: pytest.MonkeyPatch):
    """No file is needed for that; the store is in the folder, by whichever path that was named."""
    nats.apply({})
    config = nats.conf()
    assert (config["listen"], config["jetstream"]["store_dir"]) == ("127.0.0.1:4222", str(nats.path / "jetstream"))
    assert not {"tls", "websocket", "leafnodes"} & {*config}
    monkeypatch.chdir(nats.path.parent)
    assert invoke("nats", "apply", nats.path.name, "--plan").output == "nothing changes\n"
    other = NatsFolder(nats.path.with_name("other"))
    other.apply()
    assert {*other.state()["keys"]} == {user_of(*one) for one in users()}


@pytest.mark.parametrize(("first", "second"), [({}, {"hub": {}}), ({"hub": {}}, {})], ids=["site", "hub"])
def test_a_folder_of_the_other_kind_is_refused(nats: NatsFolder, first: Wish, second: Wish):
    """Its keys are of no use there; a plan says so, too, and what is there stays."""
    nats.apply(first)
    kinds = ("a hub's", "a site's") if first else ("a site's", "a hub's")
    why = f"{nats.path}: hub: the folder is {kinds[0]}, and the file {kinds[1]}; take another folder"
    assert nats.refused(second) == nats.refused(second, "--plan") == why
    assert nats.apply(first).startswith("nothing changes\n")


# --- what is wrong ---------------------------------------------------------------------------------------------------


def test_every_problem_of_a_file_is_reported_at_once(nats: NatsFolder):
    """Each with its path, in the order of the sections."""
    lines = nats.problems(
        {
            "bogus": 1,
            "server": {"listen": "here", "port": 5, "tls": {"cert_file": "x"}},
            "websocket": {"listen": "127.0.0.1"},
            "leaf": {"hubs": ["hub"], "sites": ["*"]},
            "hub": {"leaves": [{"sites": []}]},
            "readers": ["Acme"],
            "streams": ["WINDOWS"],
            "kubernetes": {"release": "Paris", "namespace": "-x"},
        }
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "bogus", "server.port", "server.listen", "server.tls.key_file", "server.tls.ca_file", "websocket.listen",
        "websocket.origins", "leaf.hubs[0]", "leaf.sites[0]", "hub.leaves[0].sites", "hub.leaves[0].keys", "readers[0]",
        "streams", "kubernetes.release", "kubernetes.namespace",
    ]  # fmt: skip
    known = "server, websocket, leaf, hub, readers, streams, kubernetes"
    assert lines[0] == f"bogus: unknown key; known here are {known}"


def test_every_problem_that_no_single_field_shows_is_reported_at_once(nats: NatsFolder):
    """Of a file in which each value by itself could be."""
    away = {name: f"/no/{name}" for name in TLS}
    lines = nats.problems(
        {
            "server": {"listen": ":70000", "url": "http://ana:hunter2@h", "tls": away},
            "websocket": {"listen": "0.0.0.0:70000", "origins": ["https://a"]},
            "leaf": {"hubs": ["tls://hub:7422"], "sites": ["a"], "tls": away},
            "hub": {"listen": ":70000", "leaves": [{"sites": ["a"], "keys": ["x"]}, {"sites": ["a"], "keys": [KEY]}]},
            "streams": {"SIGHTINGS": "2GiB", "WINDOWS": "1MiB"},
        }
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "server.listen", "websocket.listen", "hub.listen", "server.url", "server.url",
        *(f"{part}.tls.{name}" for part in ("server", "leaf") for name in TLS),
        "streams.SIGHTINGS", "streams.WINDOWS", "hub", "hub.leaves[0].keys[0]", "hub.leaves[1].sites[0]",
    ]  # fmt: skip
    assert "hunter2" not in "".join(lines)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "must hold sections such as `server:`, got an empty list"),
        ("server", "must hold sections such as `server:`, got a text"),
        ("readers: [", "is not YAML: "),
        ("readers: [a]\nreaders: [b]\n", "is not YAML: a key is there twice in line 2"),
        ("server:\n", "server: is empty; say what it is to be, or leave it out"),
        ("hub: true\n", "hub: must be a section with listen, leaves, got True"),
        (None, "cannot be read: No such file or directory; name a readable YAML file"),
    ],
)
def test_a_file_of_another_kind_is_reported(nats: NatsFolder, text: str | None, why: str):
    """In one line with the file's name."""
    if text is not None:
        nats.file.write_text(text)
    message = nats.refused(None, "-f", str(nats.file))
    assert message.removeprefix(f"{nats.file}: ").startswith(why)
    assert "\n" not in message


@every
def test_a_file_that_can_be_is_loaded_with_absolute_paths(nats: NatsFolder, wish: Wish):
    """And nothing else of it is changed."""
    nats.file.write_text(yaml.safe_dump(wish))
    found = load(nats.file)
    assert isinstance(found, NatsFile)
    for tls in (found.server.tls, found.leaf and found.leaf.tls):
        assert tls is None or [tls.cert_file, tls.key_file, tls.ca_file] == [
            str(nats.path.parent / file) for file in TLS.values()
        ]
    assert found.readers == wish.get("readers", [])
    assert {*found.sizes()} == {name.upper() for name in wish.get("streams", {})} <= {one.name for one in STREAMS}


# --- what goes, goes whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [{}, {"hub": {}}], ids=["site", "hub"])
def test_what_was_for_kubernetes_goes_with_it(nats: NatsFolder, rest: Wish):
    """A file with everybody's seeds is not left behind, where a later renewal would make it a false one."""
    nats.apply(rest)
    plain = set(nats.content())
    nats.apply(rest | {"kubernetes": {"release": "m"}})
    assert {"secrets.yaml", "values.yaml"} <= set(nats.content())
    nats.apply(rest)
    assert set(nats.content()) == plain


def test_a_leaf_that_goes_takes_the_seeds_of_its_streams_along(nats: NatsFolder):
    """At the hub who makes them, at the site who makes what the hub copies from."""
    nats.apply({"hub": {"leaves": [{"sites": ["nice"], "keys": [KEY]}]}})
    assert "streams-nice.nk" in nats.content()
    nats.apply({"hub": {}})
    assert "streams-nice.nk" not in nats.content()


def test_a_configuration_that_is_another_ones_is_reported(nats: NatsFolder):
    """Of another version, or edited: it is written anew, and said to be."""
    nats.apply({})
    (nats.path / "nats.conf").write_text("{}")
    for words in (("--plan",), ()):
        assert lines_of(nats.apply(None, *words), "+ ") == ["nats.conf, which is not what this version makes of it"]
    assert nats.apply().startswith("nothing changes")


def test_a_user_whom_nobody_knows_any_more_is_reported(nats: NatsFolder):
    """An identity that this version has not: its key and seed go."""
    nats.apply({})
    nats.forge(nats.state() | {"keys": nats.state()["keys"] | {"oracle": [KEY]}})
    (nats.path / "oracle.nk").write_text("x")
    assert "- user oracle, whom this version does not know, with its key" in nats.apply().splitlines()
    assert "oracle.nk" not in nats.content()


def test_the_order_of_readers_is_no_change(nats: NatsFolder):
    """The file is a set of them."""
    nats.apply({"readers": ["city", "acme"]})
    before = nats.content()
    assert nats.apply({"readers": ["acme", "city"]}).startswith("nothing changes")
    assert nats.content() == before


def test_a_plan_refuses_what_the_deed_would(tmp_path: Path):
    """A folder with something else in it."""
    nats = NatsFolder(tmp_path / "nats")
    nats.path.mkdir()
    (nats.path / "letter.txt").touch()
    for words in (("--plan",), ()):
        assert nats.refused({}, *words).startswith(f"{nats.path}: is not empty; name a folder of its own")


@pytest.mark.parametrize(
    ("wish", "errors"),
    [
        ({"readers": ["acme", "acme"]}, ["readers[1]: acme is there twice"]),
        ({"leaf": {"hubs": ["tls://h:1"], "sites": ["a", "a"]}}, ["leaf.sites[1]: a is there twice"]),
        ({"hub": {"leaves": [{"sites": ["a", "a"], "keys": [KEY]}]}}, ["hub.leaves[0].sites[1]: a is there twice"]),
        ({"streams": {"windows": "1GiB", "WINDOWS": "2GiB"}}, ["streams.WINDOWS: WINDOWS is there twice"]),
        ({"streams": {5: "1GiB"}}, ["streams.5: unknown stream; known are"]),
        ({"server": {"store": ""}}, ["server.store: must be a text with at least 1 characters, got ''"]),
        ({"leaf": {"hubs": ["tls://h:99999"], "sites": ["a"]}}, ["leaf.hubs[0]: 'tls://h:99999' has no such port"]),
    ],
)
def test_a_fault_is_reported_at_its_place(nats: NatsFolder, wish: Wish, errors: list[str]):
    """What no server could be."""
    found = nats.problems(wish)
    assert [line for line, start in zip(found, errors, strict=True) if not line.startswith(start)] == []


def test_a_folder_is_the_same_by_whatever_way(nats: NatsFolder, monkeypatch: pytest.MonkeyPatch):
    """`../x/../nats` is no other place for the streams."""
    monkeypatch.chdir(nats.path.parent / "tls")
    nats.apply({})
    nats.path = nats.path.parent / "tls" / ".." / "nats"
    assert nats.apply({}).startswith("nothing changes")


@pytest.mark.parametrize("text", ["", "# readers: [acme]\n", "hub:\n"])
def test_an_empty_file_takes_nothing_away(nats: NatsFolder, text: str):
    """It may have been cut off: with it everybody's keys would go."""
    nats.apply({"readers": ["acme"]})
    nats.file.write_text(text)
    assert nats.refused(None, "-f", str(nats.file)).startswith(f"{nats.file}: ")


# --- what breaks off -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"readers": ["acme"], "leaf": {"hubs": ["tls://h:1"], "sites": ["nice"]}}),
        ({"readers": ["acme"], "kubernetes": {"release": "m"}}, {}),
        ({"hub": {}}, {"hub": {"leaves": [{"sites": ["nice"], "keys": [KEY]}]}, "readers": ["acme"]}),
        ({"hub": {"leaves": [{"sites": ["nice"], "keys": [KEY]}]}, "readers": ["acme"]}, {"hub": {}}),
    ],
    ids=["more", "less", "more at a hub", "less at a hub"],
)
def test_what_broke_off_is_done_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: Wish, after: Wish
):
    """The disk is full at any of its writes: then every seed is there whose key is, and nobody's who is gone."""
    real, broken = Identities.write, 0
    for at in range(100):
        nats = NatsFolder(tmp_path / f"nats-{at}")
        nats.apply(before)
        left = iter(range(at))

        def write(files: Identities, name: str, text: str, left: Iterator[int] = left) -> Path:
            if next(left, None) is None:
                raise OSError(28, "No space left on device", name)
            return real(files, name, text)

        monkeypatch.setattr(Identities, "write", write)
        try:
            nats.file.write_text(yaml.safe_dump(after))
            result = invoke("nats", "apply", str(nats.path), "-f", str(nats.file))
        except OSError:
            broken += 1
        else:
            assert result.exit_code == 0
            break
        finally:
            monkeypatch.setattr(Identities, "write", real)
        nats.apply(after)
        fresh = NatsFolder(tmp_path / f"fresh-{at}")
        fresh.apply(after)
        assert {*nats.content()} == {*fresh.content()}
        state = nats.state(HUB if "hub" in after else SITE)
        assert all(nats.public(user) in keys for user, keys in state["keys"].items())
    assert broken > 2


def test_a_folder_that_was_left_half_made_is_reported(nats: NatsFolder):
    """Its keys are nobody's, so they may be removed."""
    nats.path.mkdir()
    (nats.path / "ingest.nk").touch()
    assert nats.refused({}).startswith(
        f"{nats.path}: has keys and neither site-state.json nor hub-state.json: it was left half made"
    )


def test_a_leafs_seed_that_is_not_here_is_reported(nats: NatsFolder):
    """nats.conf has it in it; another one is made by its own command."""
    nats.apply({"leaf": {"hubs": ["tls://h:1"], "sites": ["nice"]}})
    (nats.path / "leaf.nk").unlink()
    assert nats.refused().startswith(f"{nats.path}/leaf.nk: cannot be read: ")
    nats.rotate("leaf")
    nats.apply()


# --- what comes next -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "starts"),
    [
        ({}, {"server": {"listen": "127.0.0.1:4333"}}, True),
        ({}, {"server": {"store": "elsewhere"}}, True),
        ({}, {"server": {"url": "nats://bus:4222"}}, False),
        ({}, {"streams": {"WINDOWS": "2GiB"}}, False),
        ({"streams": {"WINDOWS": "2GiB"}}, {}, True),
        ({}, {"readers": ["acme"]}, False),
        ({"hub": {}}, {"hub": {"listen": ":7433"}}, True),
        ({"hub": {}}, {"hub": {"leaves": [{"sites": ["a"], "keys": [KEY]}]}}, False),
        ({"hub": {"leaves": [{"sites": ["a"], "keys": [KEY]}]}}, {"hub": {}}, True),
        ({"hub": {"leaves": [TWO_KEYS]}}, {"hub": {"leaves": [{"sites": ["a"], "keys": [KEY]}]}}, True),
        ({"hub": {"leaves": [{"sites": ["a"], "keys": [KEY]}]}}, {"hub": {"leaves": [TWO_KEYS]}}, False),
    ],
)
def test_a_start_is_asked_for_where_no_reload_does(nats: NatsFolder, before: Wish, after: Wish, starts: bool):
    """nats-server refuses the whole file then, and who was taken out of it still comes in."""
    nats.apply(before)
    steps = lines_of(nats.apply(after), "next: ")
    assert any(step.startswith("restart nats-server") for step in steps) is starts
    assert any(step.startswith("nats-server --signal reload") for step in steps) is not starts


def test_a_leafs_key_is_renewed_at_the_hub(nats: NatsFolder):
    """Both keys there first, then the site's server anew, then one key there: at no moment is the site shut out."""
    nats.apply({"leaf": {"hubs": ["tls://h:1"], "sites": ["nice"]}})
    hub, start, retire = lines_of(nats.rotate("leaf"), "next: ")
    assert hub.count("U") >= 2
    assert ", ".join(nats.state()["keys"]["leaf"]) in hub
    assert start.startswith("restart nats-server")
    assert retire == f"moretta nats retire {nats.path} leaf"
    [last] = lines_of(nats.retire("leaf"), "next: ")
    assert f"keys: [{nats.public('leaf')}]" in last
    assert lines_of(nats.rotate("streams"), "next: ")[-1] == f"moretta nats retire {nats.path} streams"
    assert "leaf and streams are renewed by themselves, each by its name" in lines_of(nats.rotate("all"), "next: ")


def test_a_stolen_leafs_key_is_replaced_by_one_command(nats: NatsFolder):
    """The hub's line has the new key alone, also while a rotation was on its way; the hub comes first."""
    nats.apply({"leaf": {"hubs": ["tls://h:1"], "sites": ["nice"]}})
    nats.rotate("leaf")
    before = nats.state()["keys"]["leaf"]
    hub, start = lines_of(nats.replace("leaf"), "next: ")
    assert f"{{sites: [nice], keys: [{nats.public('leaf')}]}}" in hub
    assert not [key for key in before if key in hub]
    assert "restart its nats-server" in hub
    assert start.startswith("restart nats-server")
    assert nats.state()["keys"]["leaf"] == [nats.public("leaf")]
    assert nats.conf()["leafnodes"]["remotes"][0]["nkey"] == nats.read("leaf.nk")


@pytest.mark.parametrize("who", ["ingest", "operator", "subscriber-acme", "streams", "all"])
def test_a_stolen_key_is_replaced_by_one_command(nats: NatsFolder, who: str):
    """Whoever it is: the server admits the new keys alone after the first step, which says so."""
    nats.apply({"leaf": {"hubs": ["tls://h:1"], "sites": ["nice"]}, "readers": ["acme"]})
    nats.rotate(who)
    before, own = {*nats.admitted()}, {**nats.state()["keys"]}
    reload, *_ = lines_of(nats.replace(who), "next: ")
    after = nats.state()["keys"]
    changed = [user for user, keys in after.items() if keys != own[user]]
    assert changed
    assert all(len(after[user]) == 1 and after[user][0] not in before for user in changed)
    assert all(nats.public(user) == after[user][0] for user in changed)
    assert not {key for user in changed for key in own[user]} & {*nats.admitted()}
    assert reload.startswith("nats-server --signal reload")
    assert "is thrown out" in reload


def test_a_hub_in_a_cluster_starts_anew_when_a_leafs_key_goes(nats: NatsFolder):
    """The chart reloads it, which leaves connected who came with that key."""
    place = {"kubernetes": {"release": "hub", "namespace": "masks"}}
    nats.apply(place | {"hub": {"leaves": [TWO_KEYS]}})
    steps = lines_of(nats.apply(place | {"hub": {"leaves": [{"sites": ["a"], "keys": [OTHER]}]}}), "next: ")
    [anew] = [step for step in steps if step.startswith("kubectl rollout restart -n masks statefulset")]
    assert "app.kubernetes.io/instance=hub,app.kubernetes.io/component=nats" in anew


def test_a_reader_that_goes_has_a_secret_in_the_cluster(nats: NatsFolder):
    """Which only who has the cluster can delete."""
    place = {"kubernetes": {"release": "paris", "namespace": "count"}}
    nats.apply(place | {"readers": ["acme"]})
    gone = "kubectl delete secret -n count paris-identity-subscriber-acme"
    assert gone in lines_of(nats.apply(place), "next: ")


def test_the_files_that_it_names_may_be_beside_it(tmp_path: Path):
    """As in the documents: certificates in the folder that has nats.yaml; anything else is refused."""
    nats = NatsFolder(tmp_path / "nats")
    nats.path.mkdir()
    for name in ("hub.pem", "hub.key", "ca.pem"):
        (nats.path / name).touch()
    tls = {"cert_file": "hub.pem", "key_file": "hub.key", "ca_file": "ca.pem"}
    (nats.path / "nats.yaml").write_text(yaml.safe_dump({"server": {"tls": tls}, "hub": {}}))
    nats.run("apply")
    assert nats.state(HUB)["tls"]["cert_file"] == str(nats.path / "hub.pem")
