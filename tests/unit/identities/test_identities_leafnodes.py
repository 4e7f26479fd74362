"""A site's leaf and a hub, as configuration: what crosses, what is denied, who may what; and the command."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from in_process import invoke
from nats_match import overlap, takes

from operate.identities import Tls, server, users
from operate.identities.leafnodes import CROSSING, Config, Link, copies, hub, intake, leaf, merged
from proto.subjects import ALERTS, CAMERAS, DELIVERIES, STREAMS, TABLE, WINDOWS, stream
from services.bus.nkey import Seed
from services.kernel.settings import SettingsError

ANY: dict[str, list[str]] = {"streams": ["UA"], "subscriber": ["UB"]}
IDS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


def site(link: Link, tls: Tls | None = None) -> Config:
    keys = {name if account == "MAIN" else f"{name}-frames": ["U"] for name, account in users()}
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
    """The leaf's account has no streams and no users; MAIN gives PUBLIC, and PUBLIC the leaf, what four copies need."""
    config = site(Link("cannes", ("cannes",)))
    accounts = config["accounts"]
    assert accounts["LEAF"]["users"] == []
    assert "jetstream" not in accounts["LEAF"]
    for giver, taker in (("MAIN", "PUBLIC"), ("PUBLIC", "LEAF")):
        others = {"MAIN": {"SUBSCRIBERS", "PAGE"}}.get(giver, set())  # whom a site without a hub has, too
        given = [one for one in accounts[giver]["exports"] if not set(one["accounts"]) & others]
        given_away = [one.get("service") or one["stream"] for one in given]
        assert {name for one in given for name in one["accounts"]} == {taker}
        api = [subject for subject in given_away if subject.startswith("$JS.API.")]
        assert len(api) == len(CROSSING)
        assert all(subject.startswith("$JS.API.CONSUMER.CREATE.") and ".cannes." in subject for subject in api)
        rest = [one for one in given_away if one not in api and not one.startswith("$JS.FC.")]
        assert rest == [{"PUBLIC": "_COPY.>", "LEAF": "_LEAF.cannes.>"}[taker]]
        assert all(next(iter(one.values()))["account"] == giver for one in accounts[taker]["imports"])
    assert "exports" not in accounts["FRAMES"]
    assert "imports" not in accounts["FRAMES"] | accounts["MAIN"]
    assert config["jetstream"]["domain"] == "cannes"
    assert config["jetstream"]["max_file_store"] > sum(s.max_bytes for s in STREAMS if s.storage == "file") + sum(
        stream["max_bytes"] for stream in copies(Link("cannes", ("cannes",)))
    )


def test_the_connection_denies_every_row_on_both_ways():
    """No row's subject, bucket, or JetStream order crosses the leaf, either way; it learns no other address."""
    tls = Tls("cert", "key", "ca")
    leafnodes = site(Link("cannes", ("cannes",)), tls)["leafnodes"]
    remote = leafnodes["remotes"][0]
    assert leafnodes["no_advertise"] is True
    assert (remote["account"], remote["nkey"], remote["urls"]) == ("LEAF", "SUSEED", ["tls://hub.example:7422"])
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


def test_copies_are_as_the_table_says_but_on_disk():
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


class Command:
    """`moretta nats-config` of a site and of a hub."""

    def __init__(self, folder: Path) -> None:
        self.site, self.hub = folder / "site", folder / "hub"

    def run(self, folder: Path, *words: str) -> str:
        given_words = ["nats-config", "--out", str(folder), *words]
        result = invoke(*given_words)
        assert result.exit_code == 0, result.output
        return result.output

    def conf(self, folder: Path) -> Config:
        config: Config = json.loads((folder / "nats.conf").read_text())
        return config


@pytest.fixture(name="command")
def _command(tmp_path: Path) -> Command:
    return Command(tmp_path)


LEAF = ("--leaf", "tls://hub.example:7422", "--site", "cannes")


def test_a_sites_command_says_what_the_hub_needs(command: Command):
    """The seed is in nats.conf and leaf.nk, for the owner's eyes; the hub's command is printed with the public key."""
    command.run(command.site)
    before = command.conf(command.site)
    said = command.run(command.site, "--update", *LEAF)
    seed = Seed((command.site / "leaf.nk").read_text())
    config = command.conf(command.site)
    assert f"--site cannes={seed.public}" in said
    assert "secret" in said
    assert config["leafnodes"]["remotes"][0]["nkey"] == seed.reveal()
    assert stat.S_IMODE((command.site / "nats.conf").stat().st_mode) == 0o600
    has_seed = {path.name for path in command.site.iterdir() if seed.reveal() in path.read_text()}
    assert has_seed == {"nats.conf", "leaf.nk"}
    assert config["accounts"]["MAIN"]["users"] == before["accounts"]["MAIN"]["users"]
    command.run(command.site, "--update")
    assert command.conf(command.site) == config, "an update keeps the leaf"
    said = command.run(command.site, "--rotate", "leaf")
    new = Seed((command.site / "leaf.nk").read_text())
    assert f"--site cannes={new.public},{seed.public}" in said
    assert command.conf(command.site)["leafnodes"]["remotes"][0]["nkey"] == new.reveal()


def test_a_hub_takes_sites_keys_and_leaves_them_go(command: Command):
    """Sites join, get other keys, and go; who makes the streams stays the same; no secret in nats.conf."""
    one, two, three = (Seed.new().public for _ in range(3))
    command.run(command.hub, "--hub", "0.0.0.0:7422", "--site", f"cannes={one}")
    first = command.conf(command.hub)
    assert first["leafnodes"]["listen"] == "0.0.0.0:7422"
    command.run(command.hub, "--update", "--site", f"nice+antibes={two}", "--site", f"cannes={one},{three}")
    config = command.conf(command.hub)
    assert set(config["accounts"]) == {"HUB", "SUBSCRIBERS", "SITE_cannes", "SITE_nice"}
    users_of = config["accounts"]["SITE_cannes"]["users"]
    assert [user["nkey"] for user in users_of[:2]] == [one, three]
    assert users_of[2] == first["accounts"]["SITE_cannes"]["users"][1]
    command.run(command.hub, "--update", "--site", "cannes=")
    last = command.conf(command.hub)
    assert set(last["accounts"]) == {"HUB", "SUBSCRIBERS", "SITE_nice"}
    assert last["jetstream"] == config["jetstream"], "else a running server would not reload it"
    seeds = [path.read_text() for path in command.hub.glob("*.nk")]
    assert len(seeds) == 4
    others = [path for path in command.hub.iterdir() if path.suffix != ".nk"]
    assert not [path for path in others for seed in seeds if seed in path.read_text()]


KEY = Seed.new().public
MISTAKES = {
    "a leaf without a site": (("--leaf", "tls://hub:7422"), "--site: is missing"),
    "a site without a hub": (("--site", "cannes"), "--leaf: is missing"),
    "no address": (("--leaf", "hub", "--site", "cannes"), "--leaf: 'hub' is no URL such as tls://hub.example:7422"),
    "a password in it": (("--leaf", "tls://a:b@hub:1", "--site", "cannes"), "is no URL"),
    "no site's id": (("--leaf", "tls://hub:7422", "--site", "*"), "--site: '*' is no site's id"),
    "no key": (("--hub", "0.0.0.0:7422", "--site", "cannes"), "'' is no public key"),
    "a seed": (("--hub", "0.0.0.0:7422", "--site", "cannes=SUX"), "cannes: a seed is no public key"),
    "no port": (("--hub", "here", "--site", f"cannes={KEY}"), "--hub: 'here' is no HOST:PORT"),
    "one key twice": (("--hub", ":1", "--site", f"a={KEY}", "--site", f"b={KEY}"), "belongs to two leaves"),
    "one site twice": (("--hub", ":1", "--site", f"a={KEY}", "--site", f"b+a={Seed.new().public}"), "site a belongs"),
    "a hub with a leaf": (("--hub", ":1", "--leaf", "tls://hub:7422"), "--leaf: is a site's"),
    "no certificate": ((*LEAF, "--tls", "/no/cert", "/no/key", "/no/ca"), "--tls: /no/cert is no file here"),
    "no hub to update": (("--hub", ":1", "--update"), "cannot be read"),
}


@pytest.mark.parametrize(("words", "why"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_told_and_nothing_written(command: Command, words: tuple[str, ...], why: str):
    """One clear line."""
    with pytest.raises(SettingsError) as told:
        command.run(command.site, *words)
    assert why in str(told.value)
    assert not command.site.exists()
