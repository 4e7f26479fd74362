"""The validation part is a fair share, repeatable, and apart from what is learnt from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelling.training.phash import near_pairs
from modelling.training.split import clusters, validation_names

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
    groups = clusters(12, pairs)
    assert sorted(node for group in groups for node in group) == list(range(12))
    place = {node: index for index, group in enumerate(groups) for node in group}
    assert all(place[a] == place[b] for a, b in pairs)


@given(hash_lists, st.integers(0, 99))
def test_no_near_photo_on_the_other_side(hashes, seed):
    """Two photos within the limit are on the same side."""
    names = names_of(len(hashes))
    chosen = split(names, hashes, seed)
    for name, value in zip(names, hashes, strict=True):
        for other, twin in zip(names, hashes, strict=True):
            if (value ^ twin).bit_count() <= 2:
                assert (name in chosen) == (other in chosen)


def test_mirror_image_counts_as_near():
    """A photo and the mirror image of another are kept together."""
    hashes = spread(40)
    mirrored = [value ^ (2**64 - 1) for value in hashes]
    hashes[1] = mirrored[0]
    names = names_of(40)
    for seed in range(10):
        chosen = split(names, hashes, seed, share=0.5, mirrored=mirrored)
        assert (names[0] in chosen) == (names[1] in chosen)


@given(hash_lists, st.randoms(use_true_random=False))
def test_order_does_not_matter(hashes, dice):
    """The same photos in another order give the same split."""
    pairs = list(zip(names_of(len(hashes)), hashes, strict=True))
    shuffled = pairs.copy()
    dice.shuffle(shuffled)
    assert split(*map(list, zip(*pairs, strict=True))) == split(*map(list, zip(*shuffled, strict=True)))


def test_seed_matters():
    """Another seed chooses other photos."""
    names, hashes = names_of(60), spread(60)
    assert len({frozenset(split(names, hashes, seed)) for seed in range(5)}) > 1


def test_share_holds_in_every_dataset():
    """Each dataset gives its share, whatever its size, but for one photo of rounding."""
    names = names_of(100, "large") + names_of(20, "small")
    chosen = split(names, spread(120), share=0.2)
    assert sum(name.startswith("large/") for name in chosen) in (19, 20)
    assert sum(name.startswith("small/") for name in chosen) in (3, 4)


@given(hash_lists, st.floats(0, 0.9))
def test_share_is_not_much_exceeded(hashes, share):
    """The validation part exceeds its share by no more than its largest cluster."""
    chosen = split(names_of(len(hashes)), hashes, share=share)
    groups = clusters(len(hashes), near_pairs(hashes, hashes, 2))
    assert len(chosen) <= share * len(hashes) + max(len(group) for group in groups)
