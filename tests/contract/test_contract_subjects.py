"""The one table: subjects, streams, and nobody who writes a subject elsewhere."""

import itertools
import re
from pathlib import Path

import pytest
from examples import examples
from golden import BY_TYPE
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from nats_match import overlap, takes

from proto.frames import FrameReplyV1
from proto.subjects import DEAD, FRAMES, SIGHTINGS, STREAMS, TABLE, WINDOWS, Subject, row_of, stream

ROOT = Path(__file__).parents[2]
IDS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
NAMES = {
    "zone": IDS | st.just("_site"),
    "name": IDS | st.just("_site"),
    "kind": st.sampled_from(["camera-down", "no-data", "channel-down", "undelivered"]),
    "service": st.sampled_from(["ingest", "inference", "aggregate", "notify"]),
}

every_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.message.__name__)


@every_row
@examples(25)  # a row
@given(data=st.data())
def test_subject_and_tokens_are_inverses(row: Subject, data):
    """of, subject, parse, row_of and wildcard agree for all legal ids, and no other row claims the subject."""
    tokens = {name: data.draw(NAMES.get(name, IDS), name) for name in row.fields}
    subject = row.of(structs.replace(BY_TYPE[row.message], **tokens))
    assert subject == row.subject(**tokens)
    assert row.parse(subject) == tokens
    assert row_of(subject) == (row, tokens)
    assert [other for other in TABLE if other.parse(subject) is not None] == [row]
    some = {name: tokens[name] for name in row.fields if data.draw(st.booleans())}
    assert takes(row.wildcard(**some), subject)
    assert row.wildcard(**tokens) == subject


@every_row
def test_another_ids_subject_is_not_taken(row: Subject):
    """A wildcard for one site takes no other site's subject."""
    if "site" in row.fields:
        tokens = {name: "notify" if name == "service" else "x" for name in row.fields}
        assert not takes(row.wildcard(site="y"), row.subject(**tokens))


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "moretta",
        "moretta.v1.windows.s",
        "moretta.v1.windows.s.z.more",
        "moretta.v2.windows.s.z",
        "x.v1.windows.s.z",
    ],
)
def test_what_belongs_to_no_row(subject: str):
    """A subject of no row, of another version or of another length is nobody's."""
    assert row_of(subject) is None
    assert WINDOWS.parse(subject) is None


def test_no_two_rows_share_a_subject():
    """A subject says what message it carries."""
    shared = [
        (a.pattern, b.pattern) for a, b in itertools.combinations(TABLE, 2) if overlap(a.wildcard(), b.wildcard())
    ]
    assert shared == []
    assert len({row.message for row in TABLE}) == len(TABLE)


@every_row
def test_a_row_is_versioned(row: Subject):
    """The version is in the subject and in the tag, and the tokens are fields of the message."""
    assert re.match(r"moretta\.v1\.|\$KV\.(LEASES_(INGEST|AGGREGATE|NOTIFY)|SILENCES)\.v1\.", row.pattern)
    assert row.message.__name__.endswith("V1")
    assert row.message.__struct_config__.tag == row.message.__name__
    assert set(row.fields) <= set(row.message.__struct_fields__)
    assert row.purpose


def test_streams_take_their_rows():
    """Each stored row is in its own stream and in no other; a row that is not stored is in none."""
    for row in TABLE:
        holding = [s.name for s in STREAMS if any(overlap(p, row.wildcard()) for p in s.subjects)]
        assert holding == ([row.stream] if row.stream else [])
        assert not row.stream or any(takes(p, row.wildcard()) for p in stream(row.stream).subjects)


def test_streams_hold_only_rows():
    """No stream without a row, and two streams never share a subject."""
    assert {s.name for s in STREAMS} == {row.stream for row in TABLE if row.stream}
    patterns = [(s.name, p) for s in STREAMS for p in s.subjects]
    assert not [1 for a, b in itertools.combinations(patterns, 2) if a[0] != b[0] and overlap(a[1], b[1])]
    with pytest.raises(KeyError):
        stream("FRAMES")


def test_pictures_are_in_no_stream():
    """What the account MORETTA_FRAMES carries is never stored; what is seen in pictures never reaches a disk."""
    assert not [row for row in TABLE if row.account == "MORETTA_FRAMES" and row.stream]
    assert stream(str(SIGHTINGS.stream)).storage == "memory"
    assert FRAMES.queue == "inference"
    assert FRAMES.reply is FrameReplyV1
    assert not FRAMES.public


def test_every_stream_is_bounded():
    """A stream that nobody reads fills no disk."""
    assert all(s.max_bytes > 0 and (s.max_age_s or s.per_subject > 0) for s in STREAMS)


def test_public_rows_are_json_and_everyone_may_read_them():
    """Other systems subscribe, and ask, in any language."""
    for row in TABLE:
        assert row.public == ("subscriber" in (*row.subscribers, *row.publishers))
        assert not row.public or row.encoding == "json"


def test_every_service_may_bury_what_it_cannot_handle():
    """The dead subject is open to all four services."""
    assert DEAD.publishers == ("ingest", "inference", "aggregate", "notify")


def test_nobody_writes_a_subject_elsewhere():
    """Subjects come from the table: no literal of one in services."""
    literal = re.compile(r"moretta\.v\d|\$JS\.API|\$SRV\.")
    found = [
        str(file)
        for folder in ("services", "operate", "testbed", "moretta")
        for file in (ROOT / folder).rglob("*.py")
        if literal.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []
