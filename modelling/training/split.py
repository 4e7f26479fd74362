"""Sets a validation part aside so that no photo has a near twin on the other side."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from modelling.training.phash import near_pairs


def clusters(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The connected parts of the graph with `count` nodes and edges `pairs`, each sorted, by their first node."""
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    grouped: dict[int, list[int]] = {}
    for node in range(count):
        grouped.setdefault(root(node), []).append(node)
    return list(grouped.values())


def validation_names(
    names: Sequence[str], hashes: Sequence[int], mirrored: Sequence[int], *, share: float, near_bits: int, seed: int
) -> set[str]:
    """Names of about `share` of the photos of each dataset (the part of a name before the first slash).

    A photo goes to the side of every photo within `near_bits` bits of it or of its mirror image. The same names and
    seed give the same split, whatever the order of the names.
    """
    groups = grouped(names, hashes, mirrored, near_bits)
    random.Random(seed).shuffle(groups)
    return _fill(groups, share)


def pinned(clusters: Iterable[Sequence[str]], names: Iterable[str]) -> set[str]:
    """These photos and all that are in a cluster with one of them."""
    wanted = set(names)
    return {name for cluster in clusters if wanted.intersection(cluster) for name in cluster}


def grouped(names: Sequence[str], hashes: Sequence[int], mirrored: Sequence[int], near_bits: int) -> list[list[str]]:
    """The photos in clusters of those within `near_bits` bits of one another, straight or mirrored, by name."""
    order = sorted(range(len(names)), key=lambda index: names[index])
    straight = [hashes[index] for index in order]
    flipped = [mirrored[index] for index in order]
    pairs = near_pairs(straight, straight, near_bits) + near_pairs(straight, flipped, near_bits)
    return [[names[order[node]] for node in group] for group in clusters(len(order), pairs)]


def _fill(groups: list[list[str]], share: float) -> set[str]:
    wanted: dict[str, float] = {}
    for name in (name for group in groups for name in group):
        wanted[_dataset(name)] = wanted.get(_dataset(name), 0.0) + share
    chosen: set[str] = set()
    for group in groups:
        if all(wanted[_dataset(name)] >= 1 for name in group):
            chosen.update(group)
            for name in group:
                wanted[_dataset(name)] -= 1
    return chosen


def _dataset(name: str) -> str:
    return name.split("/", 1)[0]
