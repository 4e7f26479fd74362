"""`readers` of nats.yaml: readers with a name, each with a key, settings and an account of its own."""

from typing import Any

import pytest
from nats_folder import NatsFolder, lines_of

from operate.identities import IdentityFolder, KeptHub
from operate.orders import OperatorFile
from services.kernel.settings import SettingsError, load

Wish = dict[str, Any]
PLACES: tuple[Wish, ...] = ({}, {"hub": {"listen": "127.0.0.1:7422"}})
RELEASE = {"kubernetes": {"release": "m"}}
both = pytest.mark.parametrize("place", PLACES, ids=["site", "hub"])


@both
def test_a_reader_comes_stays_and_goes(nats: NatsFolder, place: Wish):
    """With its files; the others' keys are as before, and a name that is there already keeps its key."""
    printed = nats.apply(place | {"readers": ["acme", "city"]})
    assert "subscriber-acme.yaml" in printed
    assert lines_of(printed, "+ ")[-2:] == ["reader acme, of WINDOWS, ALERTS", "reader city, of WINDOWS, ALERTS"]
    before = nats.accounts()
    for name in ("acme", "city"):
        assert before[f"MORETTA_SUBSCRIBERS_{name}"] == [nats.public(f"subscriber-{name}")]
        found = load(nats.path / f"subscriber-{name}.yaml", OperatorFile, {}).nats
        assert found.seed is not None
        assert (found.user, found.seed.public) == ("subscriber", nats.public(f"subscriber-{name}"))
    nats.apply()
    nats.apply(place | {"readers": ["acme", "city"]})
    assert nats.accounts() == before
    printed = nats.apply(place | {"readers": ["city", "bus"]})
    assert printed.startswith("- reader acme, with its key and files\n+ reader bus, of WINDOWS, ALERTS\n")
    after = nats.accounts()
    assert set(after) - set(before) == {"MORETTA_SUBSCRIBERS_bus"}
    assert {name: after[name] for name in before} == before | {"MORETTA_SUBSCRIBERS_acme": []}
    assert not list(nats.path.glob("*acme*"))
    assert before["MORETTA_SUBSCRIBERS_acme"][0].encode() not in b"".join((nats.content() or {}).values())
    assert nats.apply(place | {"readers": ["city", "bus"]}).startswith("nothing changes")
    assert lines_of(nats.apply(place | {"readers": ["acme", "city", "bus"]}), "+ ")[0].startswith("reader acme, of")
    assert (
        nats.accounts()["MORETTA_SUBSCRIBERS_acme"]
        == [nats.public("subscriber-acme")]
        != before["MORETTA_SUBSCRIBERS_acme"]
    )


@both
def test_the_account_of_a_reader_that_was_removed_can_only_be_emptied(nats: NatsFolder, place: Wish):
    """Its streams may be listed and deleted by who made them; nobody connects, and nothing comes in."""
    nats.apply(place | {"readers": ["acme"]})
    nats.apply(place)
    accounts = nats.conf()["accounts"]
    giver = accounts["MORETTA_HUB" if place else "MORETTA"]
    gone, asked = accounts["MORETTA_SUBSCRIBERS_acme"], ("$JS.API.STREAM.DELETE.*", "$JS.API.STREAM.NAMES")
    assert (gone["users"], gone["imports"]) == ([], [])
    assert [one["service"] for one in gone["exports"]] == [*asked]
    rights = {subject for user in giver["users"] for subject in user["permissions"]["publish"]["allow"]}
    mine = {one for one in rights if one.startswith("_READER.MORETTA_SUBSCRIBERS_acme.")}
    assert mine == {f"_READER.MORETTA_SUBSCRIBERS_acme.{one.removeprefix('$JS.API.')}" for one in asked}
    assert not [one for one in giver["exports"] if "MORETTA_SUBSCRIBERS_acme" in str(one)]


@both
def test_a_reader_has_the_streams_that_it_is_given(nats: NatsFolder, place: Wish):
    """In its account, and in the values for the chart; changed, it keeps its key; a name alone has two."""

    def heard(name: str) -> set[str]:
        imports = nats.conf()["accounts"][f"MORETTA_SUBSCRIBERS_{name}"]["imports"]
        subjects = [one["stream"]["subject"] for one in imports if "stream" in one]
        return {one.split(".")[2] for one in subjects if one.startswith("moretta.")}

    more = {"name": "city", "streams": ["cameras", "WINDOWS"]}
    nats.apply(place | RELEASE | {"readers": ["acme", more]})
    assert (heard("acme"), heard("city")) == ({"windows", "alerts"}, {"windows", "cameras"})
    assert nats.values()["readers"] == ["acme", {"name": "city", "streams": ["WINDOWS", "CAMERAS"]}]
    before = nats.accounts()
    assert nats.apply(place | RELEASE | {"readers": [more, {"name": "acme"}]}).startswith("nothing changes")
    nats.apply()
    assert heard("city") == {"windows", "cameras"}
    printed = nats.apply(place | RELEASE | {"readers": ["acme", "city"]})
    assert printed.startswith("- reader city: WINDOWS, CAMERAS\n+ reader city: WINDOWS, ALERTS\n")
    assert heard("city") == {"windows", "alerts"}
    assert nats.accounts() == before


@both
@pytest.mark.parametrize(
    ("reader", "error"),
    [
        ({"name": "a", "streams": ["WINDOWS", "AUDIT"]}, "readers[0].streams[1]: 'AUDIT' is no stream that readers"),
        ({"name": "a", "streams": ["WINDOWS", "windows"]}, "readers[0].streams[1]: WINDOWS is there twice"),
        ({"name": "a", "streams": []}, "readers[0].streams: must be a list of text, got an empty list"),
        ({"streams": ["WINDOWS"]}, "readers[0].name: is missing"),
        (
            {"name": "a", "stream": ["WINDOWS"]},
            "readers[0].stream: unknown key; known here are name, streams; did you",
        ),
        ({"name": "A"}, "readers[0].name: must be 1-32 of a-z"),
        (["acme"], "readers[0]: must be 1-32 of a-z"),
    ],
)
def test_a_wrong_reader_is_reported(nats: NatsFolder, place: Wish, reader: object, error: str):
    """By its place in the file, with what would be right."""
    [line] = nats.problems(place | {"readers": [reader]})
    assert line.startswith(error), line


def test_a_hubs_readers_have_what_comes_to_a_hub(nats: NatsFolder):
    """Other streams stay at the sites."""
    [line] = nats.problems(PLACES[1] | {"readers": [{"name": "a", "streams": ["RULES"]}]})
    assert line.endswith(
        "'RULES' is no stream that readers of a hub have; there are WINDOWS, ALERTS, CAMERAS, DELIVERIES"
    )


def test_a_reader_of_before_keeps_its_streams_until_a_file_takes_them(nats: NatsFolder):
    """The state of an earlier version says nothing of streams: there were all. The file's two are told."""
    nats.apply({"readers": [{"name": "acme", "streams": ["CAMERAS"]}]})
    state = nats.state()
    nats.forge({name: value for name, value in state.items() if name != "readers"})
    every = ["WINDOWS", "ALERTS", "RULES", "OPERATIONS", "CAMERAS", "DELIVERIES"]
    assert IdentityFolder.open(nats.path).server.readers == {"acme": every}
    nats.rotate("notify")
    assert IdentityFolder.open(nats.path).server.readers == {"acme": every}
    printed = nats.apply({"readers": ["acme"]})
    assert lines_of(printed, "- ") == [f"reader acme: {', '.join(every)}"]
    assert lines_of(printed, "+ ")[0] == "reader acme: WINDOWS, ALERTS"


def test_a_readers_key_is_renewed_as_an_identitys(nats: NatsFolder):
    """By the user's name, or with everybody's."""
    nats.apply({"readers": ["acme"]})
    [old] = nats.accounts()["MORETTA_SUBSCRIBERS_acme"]
    nats.rotate("subscriber-acme")
    new = nats.public("subscriber-acme")
    assert nats.accounts()["MORETTA_SUBSCRIBERS_acme"] == [new, old]
    assert len(nats.accounts()["MORETTA_SUBSCRIBERS"]) == 1
    nats.retire("subscriber-acme")
    assert nats.accounts()["MORETTA_SUBSCRIBERS_acme"] == [new]
    nats.rotate("all")
    assert {len(keys) for keys in nats.accounts()["MORETTA_SUBSCRIBERS_acme"]} == {56}
    assert len(nats.accounts()["MORETTA_SUBSCRIBERS_acme"]) == 2


@both
def test_kubernetes_has_a_secret_and_a_key_for_each(nats: NatsFolder, place: Wish):
    """Who was moved to a secret store, or has gone, is in no Secret that is written."""

    def secrets() -> dict[str, list[str]]:
        return {name: sorted(one["stringData"]) for name, one in nats.secrets().items() if "subscriber" in name}

    nats.apply(place | RELEASE | {"readers": ["acme", "city"]})
    assert secrets() == {
        f"m-identity-{user}": [f"{user}.json", f"{user}.nk", f"{user}.yaml"]
        for user in ("subscriber", "subscriber-acme", "subscriber-city")
    }
    assert nats.values()["readers"] == ["acme", "city"]
    assert nats.values()["keys"]["subscriber-acme"] == [nats.public("subscriber-acme")]
    (nats.path / "subscriber-city.nk").unlink()
    nats.apply(place | RELEASE | {"readers": ["city"]})
    assert list(secrets()) == ["m-identity-subscriber"]
    assert nats.values()["readers"] == ["city", {"name": "acme", "streams": []}], "whose copies are deleted"
    assert "subscriber-acme" not in nats.values()["keys"]


@both
@pytest.mark.parametrize("name", ["Acme", "a.b", "", "a" * 33, "-a", 5])
def test_a_name_that_is_none_is_reported_before_anything_is_written(nats: NatsFolder, place: Wish, name: object):
    """With what would be right."""
    [line] = nats.problems(place | {"readers": [name]})
    assert line.startswith(f"readers[0]: must be 1-32 of a-z, 0-9 and inner hyphens, got {name!r}"[:75])


@both
def test_an_apply_prints_to_reload_twice(nats: NatsFolder, place: Wish):
    """nats-server answers a new account nothing before the second reload; the chart's script does it by itself."""
    nats.apply(place)
    printed = nats.apply(place | {"readers": ["acme"]})
    assert "next: the same a few seconds later if a reader or the page is new" in printed


@pytest.mark.parametrize("who", ["subscriber-acme", "subscriber", "page", "operator"])
@pytest.mark.parametrize("more", [{}, RELEASE], ids=["here", "kubernetes"])
def test_a_new_seed_is_handed_over_before_the_old_one_goes(nats: NatsFolder, who: str, more: Wish):
    """Of whoever is no service; nobody is told to start services, or to retire everybody's key."""
    nats.apply({"readers": ["acme"]} | more)
    *_, hands, retires = lines_of(nats.rotate(who), "next: ")
    assert hands == f"hand over {nats.path}/{who}.nk: the seed of before is good until the next step"
    assert retires == f"moretta nats retire {nats.path} {who}"


@pytest.mark.parametrize("more", [{}, RELEASE], ids=["here", "kubernetes"])
def test_after_a_theft_the_consumers_of_the_old_key_are_ended(nats: NatsFolder, more: Wish):
    """Durable consumers outlast a key; the last step removes them."""
    nats.apply({"readers": ["acme"]} | more)
    ends = lines_of(nats.run("replace", "subscriber-acme"), "next: ")[-1]
    assert ends.startswith(f"moretta nats streams {nats.path} --end-consumers acme   (")


@both
def test_a_wrong_name_beside_new_ones_changes_nothing(nats: NatsFolder, place: Wish):
    """Neither does who would go, go, nor who is new, come."""
    nats.apply(place | {"readers": ["acme", "city"]})
    [line] = nats.problems(place | {"readers": ["new", "X"]})
    assert line.startswith("readers[1]: ")
    kept = KeptHub.open(nats.path) if place else IdentityFolder.open(nats.path)
    assert kept.readers == ["acme", "city"]


@pytest.mark.parametrize("command", ["rotate", "retire", "replace"])
def test_a_reader_is_renewed_by_its_users_name(nats: NatsFolder, command: str):
    """A name that is no identity is told beside those that are."""
    nats.apply({"readers": ["acme"]})
    with pytest.raises(SettingsError, match=r"no identity 'acme'; there are .*, page, subscriber-acme, or all"):
        nats.run(command, "acme")


def test_a_folder_of_before_gets_the_pages_key(nats: NatsFolder):
    """By a version that has it: everybody's key stays."""
    nats.apply({"websocket": {"listen": "127.0.0.1:8443", "origins": ["https://a.example"], "open": True}})
    state = nats.state()
    before = {user: keys for user, keys in state["keys"].items() if user != "page"}
    nats.forge(state | {"keys": before})
    (nats.path / "page.nk").unlink()
    assert nats.apply().startswith("+ user page, new to this version\n")
    after = nats.state()["keys"]
    assert {user: keys for user, keys in after.items() if user != "page"} == before
    assert after["page"] == [nats.public("page")]
    assert nats.conf()["websocket"]["no_auth_user"] == after["page"][0]
