"""Which photos may be learnt from, and which are strangers to what was learnt."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from modelling.training.photos import Corpus, Sample  # noqa: E402
from modelling.training.split import grouped  # noqa: E402

NOTHING = torch.zeros(0)


def sample(name):
    """A photo of which only the name matters."""
    return Sample(name, NOTHING, NOTHING, NOTHING, NOTHING)


def corpus(names, *clusters):
    """Photos with these near-duplicates; everything else is alone."""
    twins = {name for cluster in clusters for name in cluster}
    return Corpus(
        [sample(name) for name in names],
        frozenset({"b/4"}),
        frozenset({"b/5"}),
        [*clusters, *([name] for name in names if name not in twins)],
    )


NAMES = ["a/1", "a/2", "b/1", "b/2", "b/3", "b/4", "b/5", "crops/1"]


def test_nothing_set_aside_is_learnt_from():
    """Validation and calibration photos are in no training set."""
    assert [one.name for one in corpus(NAMES).training(["b"])] == ["b/1", "b/2", "b/3"]


@pytest.mark.parametrize(
    ("clusters", "strangers"),
    [
        ([], {"b/1", "b/2", "b/3", "b/4", "b/5"}),
        ([["a/1", "b/1"]], {"b/2", "b/3", "b/4", "b/5"}),
        ([["a/1", "b/1", "b/2"]], {"b/3", "b/4", "b/5"}),
        ([["b/1", "crops/1"], ["b/2", "b/3"]], {"b/2", "b/3", "b/4", "b/5"}),
        ([["a/2", "b/1"]], {"b/1", "b/2", "b/3", "b/4", "b/5"}),
    ],
)
def test_twins_of_what_was_learnt_are_no_strangers(clusters, strangers):
    """Also by way of another photo, and also of single faces cut out of photos; of what was not learnt they are."""
    found = corpus(NAMES, *clusters).strangers(["b"], frozenset({"a/1", "crops/1"}))
    assert found == strangers


def test_mirrored_twins_are_grouped():
    """A photo and its mirror image are near-duplicates, and so is whoever is near either."""
    names, far = ["a/1", "a/2", "b/1", "b/2"], 2**64 - 1
    hashes, mirrored = [0b0, 0b1111 << 20, 0b1, 0b1111 << 40], [far, 0b1111 << 50, far ^ 1, far ^ 0b1111]
    mirrored[3] = 0b11
    assert sorted(grouped(names, hashes, mirrored, 2)) == [["a/1", "b/1", "b/2"], ["a/2"]]
