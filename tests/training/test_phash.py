"""Near-duplicate photos have near hashes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelling.training.phash import SIDE, near_pairs, phash

seeds = st.integers(0, 2**32 - 1)


def scene(seed):
    """A smooth random picture: random amplitudes of the lowest frequencies around grey."""
    steps = np.pi * np.arange(1, 9)[:, None] * (2 * np.arange(SIDE)[None] + 1) / (2 * SIDE)
    amplitudes = np.random.default_rng(seed).normal(0, 12, (8, 8))
    return 128 + np.cos(steps).T @ amplitudes @ np.cos(steps)


def distance(one, other):
    """How many bits differ."""
    return (one ^ other).bit_count()


@given(seeds)
def test_hash_is_64_bits(seed):
    """A hash is a 64-bit number, the same each time."""
    value = phash(scene(seed))
    assert 0 <= value < 2**64
    assert value == phash(scene(seed))


@given(seeds, st.floats(0.2, 2.0), st.floats(-50, 50))
def test_brightness_and_contrast_do_not_matter(seed, gain, offset):
    """A brighter or flatter copy has the same hash, but for a bit on the edge."""
    assert distance(phash(scene(seed)), phash(scene(seed) * gain + offset)) <= 2


def test_noise_changes_few_bits():
    """A recompressed copy stays within a few bits."""
    for seed in range(20):
        noise = np.random.default_rng(seed + 1000).normal(0, 4, (SIDE, SIDE))
        assert distance(phash(scene(seed)), phash(scene(seed) + noise)) <= 8


def test_other_photos_are_far():
    """Different pictures differ in about half of the bits."""
    hashes = [phash(scene(seed)) for seed in range(30)]
    gaps = [distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(gaps) > 8
    assert 24 < sum(gaps) / len(gaps) < 40


@pytest.mark.parametrize("shape", [(31, 32), (32, 32, 3), (64,)])
def test_other_sizes_are_refused(shape):
    """Only a picture of 32 x 32 has a hash."""
    with pytest.raises(ValueError, match="32x32"):
        phash(np.zeros(shape))


@given(st.lists(st.integers(0, 255), max_size=8), st.lists(st.integers(0, 255), max_size=8), st.integers(0, 8))
def test_near_pairs_are_all_pairs_within(hashes, others, bits):
    """Exactly the pairs at most so many bits apart are found."""
    expected = [(i, j) for i, a in enumerate(hashes) for j, b in enumerate(others) if distance(a, b) <= bits]
    assert near_pairs(hashes, others, bits) == expected
