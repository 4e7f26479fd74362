"""Readers' streams as configuration: what is copied, where it goes, and who the readers are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate.identities.readers import apart, made
from proto.permissions import heard_by, mirrored
from proto.subjects import CAMERAS, DELIVERIES, WINDOWS, stream
from services.aggregate.mirrors.configuration import is_old, made_for, mirror, no_longer, readers_of, room, wanted

READER = heard_by("subscriber")


def test_a_mirror_has_no_subject_and_is_smaller_than_its_original():
    """With subjects of its own it would store live messages a second time."""
    for original in (stream("WINDOWS"), stream("CAMERAS"), stream("DELIVERIES")):
        made = mirror(original, "MORETTA_SUBSCRIBERS_acme", 3)
        assert "subjects" not in made
        external = {"api": "_ORIGIN", "deliver": "_MIRROR.MORETTA_SUBSCRIBERS_acme"}
        assert made["mirror"] == {"name": original.name, "external": external}
        assert (made["name"], made["storage"], made["num_replicas"]) == (original.name, original.storage, 3)
        assert made["max_bytes"] < original.max_bytes
        assert (made["deny_delete"], made["deny_purge"], made["allow_direct"], made["mirror_direct"]) == (True,) * 4


def test_a_hubs_reader_has_what_crosses():
    """Its mirrors, on disk all of them."""
    api, made = made_for("MORETTA_SUBSCRIBERS", (WINDOWS, CAMERAS))
    assert api == "_READER.MORETTA_SUBSCRIBERS."
    assert [one["name"] for one in made] == ["WINDOWS", "CAMERAS"]
    assert {one["storage"] for one in made} == {"file"}, "a hub that starts anew has them still"


def test_all_that_a_reader_hears_is_kept():
    """Each row's stream is mirrored, and the room for it is what the streams take."""
    made = wanted("MORETTA_SUBSCRIBERS", READER, 1)
    assert {one["name"] for one in made} == {str(row.stream) for row in READER}
    on_disk, in_memory = room()
    assert on_disk == sum(one["max_bytes"] for one in made)
    assert in_memory == sum(one["max_bytes"] for one in made if one["storage"] == "memory")


def state(first: int, last: int, *deleted: int) -> dict[str, object]:
    return {"first_seq": first, "last_seq": last, "deleted": list(deleted)}


@pytest.mark.parametrize(
    ("ours", "theirs", "old"),
    [
        (state(1, 5), state(1, 5), False),
        (state(3, 5), state(1, 9), False),  # smaller, and behind
        (state(1, 5), state(1, 2), True),  # the original began anew
        (state(1, 0), state(1, 0), False),
        (state(1, 5), state(1, 5, 3), True),  # something was removed there
        (state(1, 5, 3), state(1, 5, 3), False),
        (state(4, 5), state(1, 5, 3), False),  # which the mirror has no more anyway
        (state(1, 5, 2), state(1, 9, 7), False),  # which it has not yet
        (state(0, 0), state(0, 0, 0), False),  # as the server tells of some empty streams
    ],
)
def test_a_mirror_out_of_step_is_known(ours: dict, theirs: dict, old: bool):
    """By the states that the server tells."""
    assert is_old(ours, theirs) == old


NAMES = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
STREAMS = [stream.name for stream in mirrored(READER)]


@given(st.dictionaries(NAMES, st.lists(st.sampled_from(STREAMS), unique=True, min_size=1), max_size=5))
def test_readers_and_their_streams_are_known_by_our_own_rights(readers: dict[str, list[str]]):
    """As `made` gives them and the server tells them; other rights are nobody's account."""
    given_to = apart([f"subscriber-{name}" for name in readers], readers)
    rights = ["$JS.API.STREAM.CREATE.WINDOWS", *made(given_to)]
    answer = {"data": {"permissions": {"publish": {"allow": rights}, "subscribe": {}}}}
    found = readers_of(json.dumps(answer).encode())
    streams = {account: {str(row.stream) for row in rows} for account, rows in found.items()}
    assert streams == {f"MORETTA_SUBSCRIBERS_{name}": {*mine} for name, mine in readers.items()}


def test_a_configuration_of_before_gives_each_reader_all():
    """`_READER.<account>.>`: a new aggregate serves them as the one before did."""
    answer = {"data": {"permissions": {"publish": {"allow": ["_READER.MORETTA_SUBSCRIBERS_acme.>"]}}}}
    assert readers_of(json.dumps(answer).encode()) == {"MORETTA_SUBSCRIBERS_acme": READER}


def test_what_a_reader_is_to_have_no_more():
    """With an earlier version's bucket; a stream that this version does not know is nobody's to remove."""
    there = ["WINDOWS", "CAMERAS", "DELIVERIES", "KV_moretta_latest", "FUTURE"]
    assert no_longer(there, wanted("MORETTA_SUBSCRIBERS", (WINDOWS, DELIVERIES), 1)) == ["CAMERAS", "KV_moretta_latest"]
    assert no_longer(there, wanted("MORETTA_SUBSCRIBERS", READER, 1)) == ["KV_moretta_latest"]
    assert no_longer(["WINDOWS"], wanted("MORETTA_SUBSCRIBERS", READER, 1)) == []


@pytest.mark.parametrize("data", [None, {}, {"permissions": None}, {"permissions": {"publish": {}}}])
def test_an_open_server_has_no_readers(data: object):
    """There nobody has rights."""
    assert readers_of(json.dumps({"data": data}).encode()) == {}
