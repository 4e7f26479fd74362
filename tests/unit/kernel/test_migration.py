"""What becomes of a stream that is there: services.bus.streams.stream_config."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats_match import takes

from services.bus.streams.stream_config import StreamConflict, becomes, differences

LIMIT = st.sampled_from([-1, 0, 1, 60 * 10**9, 10**18])
SUBJECTS = st.lists(st.sampled_from(["a.*", "b.*", "c.*.*", "c.d.*", "c.>"]), min_size=1, unique=True).filter(
    lambda subjects: not overlapping(subjects)
)


def overlapping(subjects):
    """Whether one covers another: the server refuses such a stream (error 10052)."""
    return any(takes(one, other) for one, other in permutations(subjects, 2))


@st.composite
def configs(draw, *, fixed="file"):
    """A stream as some version, or an operator, has it."""
    return {
        "name": "WINDOWS",
        "subjects": draw(SUBJECTS),
        "storage": fixed,
        "max_age": draw(LIMIT),
        "max_bytes": draw(LIMIT),
        "max_msgs_per_subject": draw(LIMIT),
        "num_replicas": draw(st.integers(1, 5)),
        "allow_direct": draw(st.booleans()),
        "duplicate_window": draw(st.sampled_from([0, 10**9, 120 * 10**9])),
    }


def grown(have, *wants, shrink=False):
    for want in wants:
        have = becomes(have, want, differences(have, want), shrink=shrink)
    return have


def outcomes(have, want):
    return {(one.field, one.outcome) for one in differences(have, want)}


@given(configs(), configs())
def test_a_second_time_there_is_nothing_to_do(have, want):
    """What is left of the differences is what is kept."""
    once = grown(have, want)
    assert grown(once, want) == once
    assert {one.outcome for one in differences(once, want)} <= {"kept"}


@given(configs(), configs())
def test_nothing_is_taken_away(have, want):
    """No subject, no second, no byte, no copy; and the server takes it."""
    once = grown(have, want)
    for subject in (*have["subjects"], *want["subjects"]):
        assert any(takes(pattern, subject) for pattern in once["subjects"])
    assert not overlapping(once["subjects"])
    for field in ("max_age", "max_bytes", "max_msgs_per_subject"):
        assert (once[field] <= 0) or (have[field] > 0 and once[field] >= have[field])
    assert once["num_replicas"] >= have["num_replicas"]


@given(configs(), configs(), configs())
def test_two_versions_come_to_the_same_whoever_is_first(have, one, other):
    """So they don't undo each other's work for as long as both run, and neither finds anything to do afterwards."""

    def limits(config):
        return {**config, "subjects": set(config["subjects"])} | {
            name: max(0, config[name]) for name in ("max_age", "max_bytes", "max_msgs_per_subject")
        }

    ends = [limits(grown(have, *order)) for order in permutations([one, other])]
    assert ends[0] == ends[1]
    assert limits(grown(have, one, other, one, other)) == ends[0]


@given(configs(), configs())
def test_what_is_asked_for_is_taken_away(have, want):
    """With shrink a stream is as the table has it, but for what somebody else has set in it."""
    assert differences(grown(have | {"placement": {"tags": ["ssd"]}}, want, shrink=True), want) == []


def test_what_others_have_set_stays():
    """Fields of which the table says nothing, also those that this version doesn't know."""
    have = {"name": "WINDOWS", "subjects": ["a.*"], "max_age": 5, "compression": "s2", "later": {"x": [1]}}
    want = {"name": "WINDOWS", "subjects": ["a.*"], "max_age": 9, "description": "windows", "first_seq": 7}
    assert grown(have, want) == have | {"max_age": 9, "description": "windows"}
    assert grown(have, want | {"max_age": 5}) == have  # a description alone is no reason


def test_each_difference_is_a_line():
    """It names the stream, the field, both values, and what comes of it."""
    have = {"subjects": ["a", "b"], "storage": "file", "max_age": 10**9, "max_bytes": 4 << 20, "num_replicas": 3}
    want = {"subjects": ["a", "c"], "storage": "memory", "max_age": 0, "max_bytes": 1 << 20, "num_replicas": 1}
    found = differences(have, want | {"name": "S"})
    assert [str(one) for one in found] == [
        "S: subjects is a, b, becomes a, b, c",
        "S: subjects is a, b, a, c is enough here: kept, --shrink takes it away",
        "S: storage is file, must be memory: no update changes that, see Upgrade in docs/operations.md",
        "S: max_age is 1 s, becomes without limit",
        "S: max_bytes is 4 MiB, 1 MiB is enough here: kept, --shrink takes it away",
        "S: num_replicas is 3, 1 is enough here: kept, --shrink takes it away",
    ]
    assert found[-1].in_words(shrink=True) == "S: num_replicas is 3, becomes 1, no more"
    with pytest.raises(StreamConflict, match=r"stream S: storage is file, must be memory"):
        raise StreamConflict([one for one in found if one.outcome == "refused"])
