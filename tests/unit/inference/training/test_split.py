"""The validation part is a fair share, repeatable, and apart from what is learnt from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.inference.training.split import clusters, validation_names

nodes = st.integers(0, 11)
hash_lists = st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=40)


def split(names, hashes, seed=1, share=0.2, mirrored=None):
    """The validation names with usual settings; mirror images are far from everything unless given."""
    far = mirrored or [value ^ (2**64 - 1) for value in hashes]
    return validation_names(names, hashes, far, share=share, near_bits=2, seed=seed)


def names_of(count, dataset="a"):
    """Names of photos in one dataset."""
    return [f"{dataset}/images/{index:03}.jpg" for index in range(count)]


def spread(count):
    """Hashes that are pairwise far apart."""
    return [(index * 0x9E3779B97F4A7C15) % 2**64 for index in range(1, count + 1)]


def test_clusters_are_connected_parts():
    """Nodes that a chain of pairs connects are one cluster; others are alone."""
    assert clusters(6, [(0, 1), (1, 2), (5, 4)]) == [[0, 1, 2], [3], [4, 5]]


@given(st.lists(st.tuples(nodes, nodes), max_size=20))
def test_clusters_share_nothing(pairs):
    """Every node is in one cluster, and no pair crosses two."""
    groups = clusters(len(hashes), near_pairs(hashes, hashes, 2))
    assert len(chosen) <= share * len(names) + max(len(group) for group in groups)
