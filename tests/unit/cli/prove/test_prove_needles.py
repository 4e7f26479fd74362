"""The search finds every needle at any offset, and nothing else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from testbed.proof.core.needles import MAX_FOUND, SIZE, Needles, cut, one_of

RNG = np.random.default_rng(3)
MANY = [RNG.bytes(SIZE) for _ in range(2_000)]
NEEDLES = Needles({needle: index for index, needle in enumerate(MANY)})


@given(
    st.lists(st.tuples(st.binary(max_size=60), st.integers(0, len(MANY) - 1)), max_size=8),
    st.binary(max_size=80),
    st.sampled_from([bytes, bytearray, memoryview]),
)
def test_what_lies_among_other_bytes_is_found_with_its_label(parts, end, kind):
    """Wherever each lies, and whatever lies between them, offsets and labels are those of a plain search."""
    data, expected = b"", []
    for between, index in parts:
        data += between
        expected.append((len(data), index))
        data += MANY[index]
    assert NEEDLES.found(kind(data + end)) == expected
    assert NEEDLES.within(data[:-1] if parts else end) == [at for at, _ in expected[:-1]]


def test_needles_that_share_words_are_told_apart():
    """Candidates are compared whole: the same first 31 bytes are another needle, or none."""
    needle = bytes(range(SIZE))
    other = needle[:-1] + b"x"
    assert Needles([needle]).within(b"ab" + other) == []
    assert Needles({needle: 1, other: 2}).found(b"abc" + other + needle) == [(3, 2), (3 + SIZE, 1)]


def test_overlapping_needles_are_all_found():
    """A needle may begin within another."""
    row = RNG.bytes(100)
    inside = Needles([row[i : i + SIZE] for i in range(0, 60, 5)])
    assert inside.within(b"x" + row) == [1 + i for i in range(0, 60, 5)]


def test_a_flood_is_cut_off():
    """Where all is a leak, the first hits say enough."""
    assert len(NEEDLES.within(b"".join(MANY))) == MAX_FOUND


def test_one_of_a_row_takes_turns_and_skips_what_is_flat():
    """Another part of each row; of a flat row none."""
    row = bytes(SIZE) + bytes(range(SIZE)) + bytes(range(100, 100 + SIZE))
    assert [one_of(row, turn)[0] for turn in range(3)] == [0, 0, 100]
    assert one_of(bytes(320), 5) is None
    assert one_of(b"short", 0) is None


def test_the_search_finds_a_needle_anywhere():
    """At any offset, at the very end, among others: otherwise the proof would prove nothing."""
    rng = np.random.default_rng(1)
    secret, noise = rng.bytes(32 * 500), rng.bytes(10_000)
    needles = Needles(cut(secret))
    assert len(needles) == 500
    assert needles.within(noise) == []
    for offset in (0, 1, 7, 8, 9, 4_321, len(noise)):
        place = noise[:offset] + secret[32 * 17 : 32 * 18] + noise[offset:]
        assert needles.within(place) == [offset]
    assert needles.within(noise + secret[50:113]) == [len(noise) + 14], "63 bytes hold a whole needle, wherever cut"
    for short in (b"", b"x", secret[:31], secret[1:32]):
        assert needles.within(short) == []


def test_what_could_be_anywhere_is_no_needle():
    """32 equal bytes are in many payloads: they would find what is no leak."""
    assert cut(bytes(320)) == []
    assert cut(bytes(range(8)) * 4) == [bytes(range(8)) * 4]
    assert {len(needle) for needle in cut(bytes(range(256)) * 3)} == {SIZE}
