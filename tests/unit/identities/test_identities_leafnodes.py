"""A site's leaf and a hub, as configuration: what crosses, what is denied, who may what; and the command."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats_folder import HUB, NatsFolder, lines_of
from nats_match import overlap, takes

from operate.identities import ServerTls, server, users
from operate.identities.leafnodes import CROSSING, Config, Link, copies, hub, intake, leaf, merged
from proto.subjects import ALERTS, CAMERAS, DELIVERIES, STREAMS, TABLE, WINDOWS, stream
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

ANY: dict[str, list[str]] = {"streams": ["UA"], "subscriber": ["UB"]}
IDS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


def site(link: Link, tls: ServerTls | None = None) -> Config:
    keys = {name if account == "MORETTA" else f"{name}-frames": ["U"] for name, account in users()}
    config = server("127.0.0.1:4222", "/store", keys)
    return leaf(config, link, ["tls://hub.example:7422"], "SUSEED", ANY, tls=tls)


def hub_of(*links: Link) -> Config:
    keys = ANY | {link.maker: ["UM"] for link in links}
    return hub("127.0.0.1:4222", "0.0.0.0:7422", "/store", keys, {link: ["UL"] for link in links})


def test_four_rows_cross():
    """Those of the design, all public, stored, and of one site each; and of a stream no other row's subjects."""
    assert CROSSING == (WINDOWS, ALERTS, CAMERAS, DELIVERIES)
    for row in CROSSING:
        assert row.public
        assert row.fields[0] == "site"
    named = [source["filter_subject"] for stream in copies(Link("a", ("a", "b"))) for source in stream["sources"]]
    assert named == [row.wildcard(site=name) for row in CROSSING for name in ("a", "b")]
    others = [row for row in TABLE if row not in CROSSING]
    assert not [(subject, row) for subject in named for row in others if overlap(subject, row.wildcard())]


def test_a_hubs_common_streams_may_be_larger():
    """With room for them; the copies on the way there, and what one leaf may fill, stay as they are."""
    link, sizes = Link("a", ("a",)), {"WINDOWS": 2 << 30}
    keys = ANY | {link.maker: ["UM"]}
    large, usual = (hub(":1", ":2", "/s", keys, {link: ["UL"]}, sizes=each) for each in (sizes, None))
    more = (2 << 30) - stream("WINDOWS").max_bytes
    assert large["jetstream"].pop("max_file_store") == usual["jetstream"].pop("max_file_store") + more
    assert large == usual
    common = {one["name"]: one["max_bytes"] for one in merged([link], sizes)}
    assert common == {one["name"]: one["max_bytes"] for one in merged([link])} | sizes


def test_a_site_gives_its_hub_consumers_of_copies_and_nothing_else():
    """The leaf's account has no streams and no users.

    MORETTA gives MORETTA_PUBLIC what four copies need, and MORETTA_PUBLIC gives the leaf as much.
    """
    config = site(Link("cannes", ("cannes",)))
    accounts = config["accounts"]
    assert accounts["MORETTA_LEAF"]["users"] == []
    assert "jetstream" not in accounts["MORETTA_LEAF"]
    for giver, taker in (("MORETTA", "MORETTA_PUBLIC"), ("MORETTA_PUBLIC", "MORETTA_LEAF")):
        others = {"MORETTA": {"MORETTA_SUBSCRIBERS", "MORETTA_PAGE"}}.get(giver, set())  # as without a hub
        given = [one for one in accounts[giver]["exports"] if not set(one["accounts"]) & others]
        given_away = [one.get("service") or one["stream"] for one in given]
        assert {name for one in given for name in one["accounts"]} == {taker}
        api = [subject for subject in given_away if subject.startswith("$JS.API.")]
        assert len(api) == len(CROSSING)
        assert all(subject.startswith("$JS.API.CONSUMER.CREATE.") and ".cannes." in subject for subject in api)
        rest = [one for one in given_away if one not in api and not one.startswith("$JS.FC.")]
        assert rest == [{"MORETTA_PUBLIC": "_COPY.>", "MORETTA_LEAF": "_LEAF.cannes.>"}[taker]]
        assert all(next(iter(one.values()))["account"] == giver for one in accounts[taker]["imports"])
    assert "exports" not in accounts["MORETTA_FRAMES"]
    assert "imports" not in accounts["MORETTA_FRAMES"]
    assert {one["service"]["account"] for one in accounts["MORETTA"]["imports"]} == {"MORETTA_SUBSCRIBERS"}
    assert config["jetstream"]["domain"] == "cannes"
    assert config["jetstream"]["max_file_store"] > sum(s.max_bytes for s in STREAMS if s.storage == "file") + sum(
        stream["max_bytes"] for stream in copies(Link("cannes", ("cannes",)))
    )


def test_the_connection_denies_every_row_on_both_ways():
    """No row's subject, bucket, or JetStream order crosses the leaf, either way; it learns no other address."""
    tls = ServerTls("cert", "key", "ca")
    leafnodes = site(Link("cannes", ("cannes",)), tls)["leafnodes"]
    remote = leafnodes["remotes"][0]
    assert leafnodes["no_advertise"] is True
    assert (remote["account"], remote["nkey"], remote["urls"]) == ("MORETTA_LEAF", "SUSEED", ["tls://hub.example:7422"])
    assert remote["tls"] == tls.block()
    for side in ("deny_imports", "deny_exports"):
        for subject in (*(row.wildcard() for row in TABLE), "$JS.API.INFO", "$JS.cannes.API.STREAM.INFO.X", "$KV.A.b"):
            assert any(takes(denied, subject) for denied in remote[side]), subject


@given(st.lists(IDS, min_size=2, max_size=4, unique=True))
def test_no_leaf_may_what_another_may(names: list[str]):
    """Leaves share no subject to publish but answers to random inboxes, each in an account that only it comes into."""
    links = [Link(name, (name,)) for name in names]
    config = hub_of(*links)
    rights = [config["accounts"][link.account]["users"][0] for link in links]
    assert len({link.account for link in links}) == len(links)
    for link, one in zip(links, rights, strict=True):
        assert one["allowed_connection_types"] == ["LEAFNODE"]
        mine, heard = one["permissions"]["publish"]["allow"], one["permissions"]["subscribe"]["allow"]
        assert mine == [f"_LEAF.{link.name}.>", "$JSC.R.>"]
        assert [s for s in heard if not s.startswith("$JS.FC.")] == link.hops[1].asked(link.hops[1].api)
        assert not [(s, row) for s in (*mine, *heard) for row in TABLE if overlap(s, row.wildcard())]
        others = [other for other in links if other is not link]
        assert not [
            s for s in (*mine[:1], *heard) for o in others if s.startswith((f"_LEAF.{o.name}.", f"_ASK.{o.name}."))
        ]
    taken = [source["filter_subject"] for stream in merged(links) for source in stream["sources"]]
    assert len(taken) == len(set(taken)) == len(links) * len(CROSSING)
    assert config["leafnodes"]["no_advertise"] is True


def test_copies_are_as_in_the_table_but_on_disk():
    """A copy lives as long as its model and would lose its place in memory; only the hub's are told live."""
    link = Link("cannes", ("cannes",))
    models = {stream.name: stream for stream in STREAMS}
    for prefix, made in (("COPY_", copies(link)), ("INTAKE_", intake(link)), ("", merged([link]))):
        for one in made:
            model = models[one["name"].removeprefix(prefix)]
            assert (one["storage"], one["max_bytes"], one["max_msgs_per_subject"]) == (
                "file",
                model.max_bytes,
                model.per_subject,
            )
            assert one["max_age"] == (model.max_age_s or 0) * 1e9
            assert ("republish" in one) == (prefix == "")
            assert "subjects" not in one


LEAF = {"leaf": {"hubs": ["tls://hub.example:7422"], "sites": ["cannes"]}}


def test_a_sites_command_prints_what_the_hub_needs(nats: NatsFolder):
    """The seed is in nats.conf and leaf.nk, for the owner's eyes; what the hub's file gets has the public key."""
    nats.apply({})
    before = nats.conf()
    printed = nats.apply(LEAF)
    seed = Seed(nats.read("leaf.nk"))
    config = nats.conf()
    assert f"in its file's hub.leaves: {{sites: [cannes], keys: [{seed.public}]}}, and moretta nats apply" in printed
    assert "secret" in printed
    assert config["leafnodes"]["remotes"][0]["nkey"] == seed.reveal()
    assert stat.S_IMODE((nats.path / "nats.conf").stat().st_mode) == 0o600
    has_seed = {path.name for path in nats.path.iterdir() if seed.reveal() in path.read_text()}
    assert has_seed == {"nats.conf", "leaf.nk"}
    assert config["accounts"]["MORETTA"]["users"] == before["accounts"]["MORETTA"]["users"]
    nats.apply()
    assert nats.conf() == config, "what was applied last has the leaf"
    printed = nats.rotate("leaf")
    new = Seed(nats.read("leaf.nk"))
    assert f"{{sites: [cannes], keys: [{new.public}, {seed.public}]}}" in printed
    assert nats.conf()["leafnodes"]["remotes"][0]["nkey"] == new.reveal()
    assert "keys: " not in nats.rotate("streams"), "the hub has nothing to learn of it"


def test_a_leaf_that_is_taken_out_of_the_file_goes_with_its_keys(nats: NatsFolder):
    """And its files; everybody else's key is as before, and one that comes back is another one."""
    nats.apply({})
    without, plain = nats.state(), nats.conf()
    nats.apply(LEAF)
    both = [nats.public(user) for user in ("leaf", "streams")]
    printed = nats.apply({})
    assert {"- leaf.hubs: ['tls://hub.example:7422']", "- leaf.sites: ['cannes']"} <= {*printed.splitlines()}
    assert not [line for line in lines_of(printed, "next: ") if "hub.leaves" in line]
    assert (nats.state(), nats.conf()) == (without, plain)
    assert not [name for name in ("leaf.nk", "streams.nk") if (nats.path / name).exists()]
    assert not [name for name, content in (nats.content() or {}).items() for key in both if key.encode() in content]
    nats.apply(LEAF)
    assert not {*both} & {nats.public(user) for user in ("leaf", "streams")}


def test_a_leaf_has_files_of_its_own_for_tls(nats: NatsFolder, tmp_path: Path):
    """Beside the file, wherever the command is called."""
    (tmp_path / "x.pem").touch()
    names = ("cert_file", "key_file", "ca_file")
    nats.apply({"leaf": LEAF["leaf"] | {"tls": dict.fromkeys(names, "x.pem")}})
    tls = ServerTls(*[str(tmp_path / "x.pem")] * 3)
    assert nats.conf()["leafnodes"]["remotes"][0]["tls"] == tls.block()
    assert "tls" not in nats.conf()


def leaves(*each: tuple[str, list[Any]], **more: str) -> dict[str, Any]:
    """A hub's file, by each leaf's sites and keys."""
    return {"hub": {"leaves": [{"sites": sites.split("+"), "keys": keys} for sites, keys in each], **more}}


def test_a_hub_takes_sites_keys_and_leaves_them_go(nats: NatsFolder):
    """Sites join, get other keys, and go; who makes the streams stays the same; no secret in nats.conf."""
    one, two, three = (Seed.new().public for _ in range(3))
    nats.apply(leaves(("cannes", [one])))
    first = nats.conf()
    assert first["leafnodes"]["listen"] == "0.0.0.0:7422"
    printed = nats.apply(leaves(("cannes", [one, three]), ("nice+antibes", [two])))
    assert {"leaf cannes: sites cannes, 2 key(s)", "leaf nice: sites nice+antibes, 1 key(s)"} <= {*printed.splitlines()}
    config = nats.conf()
    assert set(config["accounts"]) == {"MORETTA_HUB", "MORETTA_SUBSCRIBERS", "MORETTA_SITE_cannes", "MORETTA_SITE_nice"}
    users_of = config["accounts"]["MORETTA_SITE_cannes"]["users"]
    assert [user["nkey"] for user in users_of[:2]] == [one, three]
    assert users_of[2] == first["accounts"]["MORETTA_SITE_cannes"]["users"][1]
    printed = nats.apply(leaves(("nice+antibes", [two])))
    assert f"- hub.leaves.cannes: ['{one}', '{three}']" in printed.splitlines()
    last = nats.conf()
    assert set(last["accounts"]) == {"MORETTA_HUB", "MORETTA_SUBSCRIBERS", "MORETTA_SITE_nice"}
    assert last["jetstream"] == config["jetstream"], "else a running server would not reload it"
    seeds = [path.read_text() for path in nats.path.glob("*.nk")]
    assert len(seeds) >= 3
    others = [path for path in nats.path.iterdir() if path.suffix != ".nk"]
    assert not [path for path in others for seed in seeds if seed in path.read_text()]


def test_a_hub_has_the_certificate_of_its_server_at_both_doors(nats: NatsFolder, tmp_path: Path):
    """Clients and leaves are shown the same one, and are asked for theirs."""
    (tmp_path / "x.pem").touch()
    names = ("cert_file", "key_file", "ca_file")
    nats.apply({"server": {"tls": dict.fromkeys(names, "x.pem")}, "hub": {"listen": ":7422"}})
    config, tls = nats.conf(), ServerTls(*[str(tmp_path / "x.pem")] * 3).block()
    assert (config["tls"], config["leafnodes"]["tls"], config["leafnodes"]["listen"]) == (tls, tls, ":7422")


def test_a_hubs_keys_are_in_its_file(nats: NatsFolder):
    """Nothing is renewed by the commands that do so at a site."""
    nats.apply({"hub": {}})
    before = nats.content()
    for command in ("rotate", "retire", "replace"):
        with pytest.raises(SettingsError, match=f"moretta nats {command}: is for a site's folder; .* hub.leaves has"):
            nats.run(command, "all")
    assert nats.content() == before
    assert [word for word in ("subscriber.yaml", HUB) if word not in nats.run("show")] == []


KEY, OTHER = Seed.new().public, Seed.new().public
MISTAKES = {
    "a leaf without a site": ({"leaf": {"hubs": ["tls://hub:7422"]}}, "leaf.sites: is missing"),
    "a leaf with no site": ({"leaf": {"hubs": ["tls://hub:7422"], "sites": []}}, "leaf.sites: must be a list of at"),
    "a site without a hub": ({"leaf": {"sites": ["cannes"]}}, "leaf.hubs: is missing"),
    "no address": (
        {"leaf": {"hubs": ["hub"], "sites": ["cannes"]}},
        "leaf.hubs[0]: must be a URL such as tls://hub.example:7422, got 'hub'",
    ),
    "a password in it": ({"leaf": {"hubs": ["tls://a:b@hub:1"], "sites": ["cannes"]}}, "leaf.hubs[0]: must be a URL"),
    "no site's id": ({"leaf": {"hubs": ["tls://hub:7422"], "sites": ["*"]}}, "leaf.sites[0]: must be 1-32 of a-z"),
    "a hub's no site's id": (leaves(("cannes+*", [KEY])), "hub.leaves[0].sites[1]: must be 1-32 of a-z"),
    "no key": ({"hub": {"leaves": [{"sites": ["cannes"]}]}}, "hub.leaves[0].keys: is missing"),
    "no keys": (leaves(("cannes", [])), "hub.leaves[0].keys: must be a list of at least 1"),
    "an empty key": (leaves(("cannes", [KEY, ""])), "hub.leaves[0].keys[1]: '' is no public key"),
    "a seed": (leaves(("cannes", ["SUXYZ"])), "hub.leaves[0].keys[0]: a seed is no public key"),
    "no port": (leaves(listen="here"), "hub.listen: must be HOST:PORT"),
    "no such port": (leaves(listen=":70000"), "hub.listen: ':70000' has no such port"),
    "one key twice": (leaves(("a", [KEY]), ("b", [KEY])), f"hub.leaves[1].keys[0]: {KEY} belongs to hub.leaves[0]"),
    "one site twice": (leaves(("a", [KEY]), ("b+a", [OTHER])), "hub.leaves[1].sites[1]: a belongs to hub.leaves[0]"),
    "a hub with a leaf": ({"hub": {}} | LEAF, "hub: goes without leaf and websocket"),
    "no certificate": (
        {"leaf": LEAF["leaf"] | {"tls": {"cert_file": "/no/cert", "key_file": "/dev/null", "ca_file": __file__}}},
        "leaf.tls.cert_file: /no/cert is no file here",
    ),
    "half a certificate": (
        {"leaf": LEAF["leaf"] | {"tls": {"cert_file": __file__, "key_file": __file__}}},
        "leaf.tls.ca_file: is missing",
    ),
}


@pytest.mark.parametrize(("wish", "why"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_reported_and_nothing_written(nats: NatsFolder, wish: dict[str, Any], why: str):
    """One clear line for each place, and no secret in it."""
    first, *more = nats.problems(wish)
    assert first.startswith(why)
    assert [line for line in more if not line.startswith("leaf.tls.")] == []
    assert not [secret for secret in ("a:b@", "SUXYZ") if secret in first]


def test_a_hubs_own_keys_are_new_in_another_folder_alone(tmp_path: Path):
    """As docs/operations.md says of a stolen one. A key's file that was deleted is not made again."""
    key = Seed.new().public
    wish = {"server": {"store": "/data"}, "hub": {"leaves": [{"sites": ["cannes"], "keys": [key]}]}}
    old, new = NatsFolder(tmp_path / "old"), NatsFolder(tmp_path / "new")
    old.apply(wish)
    keys = json.loads(old.read(HUB))["keys"]
    (old.path / "streams.nk").unlink()
    old.apply()
    assert json.loads(old.read(HUB))["keys"] == keys
    assert not (old.path / "streams.nk").exists()
    new.apply(wish)
    fresh = json.loads(new.read(HUB))
    assert keys.keys() == fresh["keys"].keys() == {"streams", "subscriber", "streams-cannes"}
    assert all(fresh["keys"][user] != keys[user] for user in keys)
    assert (fresh["store"], fresh["leaves"]) == ("/data", {"cannes": [key]})
