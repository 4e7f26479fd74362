"""How often intervals hold at a source that is left out, and that they do where sources vary as the model says."""

from math import exp

import numpy as np
import pytest

from modelling.evaluation.errors import People, PhotoCounts, estimate
from modelling.evaluation.interval_check import Draw, Scene, at_place, check, fates, held, passed, pooled, share_of
from services.statistics.rate_interval import NO_ERRORS, Judged, interval

MIXED = PhotoCounts(People(5, 4, 3), People(3, 2, 1), false_masked=1, false_others=1)
BARE = PhotoCounts(People(), People(30, 30, 30))


def drawn_place(rng, photos=6, people=100):
    """The photos of a place whose errors are drawn: logits about 3 and 2.8, recalls that differ by a tenth."""
    sensitivity, specificity = (1 / (1 + exp(-mean - 0.6 * rng.standard_normal())) for mean in (3.0, 2.8))
    recall = min(1.0, 0.75 * exp(0.1 * rng.standard_normal()))

    def kind(found, right):
        judged = rng.binomial(people, found)
        return People(people, judged, rng.binomial(judged, right))

    return [PhotoCounts(kind(recall, sensitivity), kind(0.75, specificity)) for _ in range(photos)]


def holds(scene, errors):
    """Whether the interval of a scene holds its truth."""
    low, high = interval(scene.masked, [Judged(scene.judged, errors)])
    return low <= scene.truth <= high


def test_whole_photos_with_their_false_alarms():
    """A scene of photos: people judged masked, rightly or not, false alarms too; the truth is of all who are there."""
    scene = passed([MIXED], 20, np.random.default_rng(1))
    assert scene == Scene(3 * (3 + 1 + 1), 3 * (4 + 2 + 2), 5 / 8)


def test_people_of_a_place_fare_as_those_of_the_photos():
    """Drawn one at a time: masked with the given probability, then found and judged as in the photos."""
    assert list(fates([MIXED], masked=True)) == [3 / 5, 1 / 5, 1 / 5]
    assert list(fates([MIXED], masked=False)) == [1 / 3, 1 / 3, 1 / 3]
    scene = at_place([MIXED], 0.4, 1_000_000, np.random.default_rng(1))
    assert scene.truth == 0.4
    assert scene.judged / 1_000_000 == pytest.approx(0.4 * 0.8 + 0.6 * 2 / 3, abs=0.005)
    assert scene.masked / 1_000_000 == pytest.approx(0.4 * 0.6 + 0.6 / 3, abs=0.005)
    assert at_place([BARE], 0.0, 50, np.random.default_rng(1)) == Scene(0, 50, 0.0)


def test_what_holds_is_counted():
    """Without errors both intervals are the same; a scene in which nobody was judged has none and is left out."""
    scenes = [Scene(50, 100, 0.5), Scene(50, 100, 0.9), Scene(0, 0, 0.5)]
    row = held("gate", Draw("place", 100, 0.5), scenes, NO_ERRORS)
    assert (row.held, row.held_by_chance) == (0.5, 0.5)
    assert row.width == pytest.approx(row.width_by_chance)


def test_each_source_is_left_out_in_turn():
    """Each source and kind of scenes has a row; a source with one kind of people has its own share only."""
    rng = np.random.default_rng(4)
    sources = {**{name: drawn_place(rng) for name in "abcd"}, "bare": [BARE] * 5}
    draws = [Draw("passed", 30), Draw("place", 30), Draw("place", 30, 0.5)]
    rows = list(check(sources, draws, 20, seed=7))
    assert [(row.source, row.draw) for row in rows] == [
        (name, draw) for name in sources for draw in draws if name != "bare" or draw.share is None
    ]
    assert rows == list(check(sources, draws, 20, seed=7))
    assert all(row.width >= row.width_by_chance for row in rows)
    [first, *_] = pooled(rows)
    assert (first.source, first.draw) == ("all", draws[0])
    assert first.held == pytest.approx(np.mean([row.held for row in rows if row.draw == draws[0]]))


def test_intervals_hold_as_often_as_they_say():
    """Errors from eight places, scenes of a ninth of the same law: 95 % hold, to 2 points; chance alone holds fewer."""
    rng = np.random.default_rng(8)
    inside: dict[int, list[bool]] = {30: [], 100: [], 400: []}
    by_chance: list[bool] = []
    for _ in range(800):
        errors = estimate({name: drawn_place(rng) for name in "abcdefgh"})
        place = drawn_place(rng)
        for people, found in inside.items():
            scene = at_place(place, 0.6, people, rng)
            found.append(holds(scene, errors))
            by_chance.append(holds(scene, None))
    assert 0.93 <= np.mean(list(inside.values())) <= 0.97
    assert all(0.93 <= np.mean(found) <= 0.985 for found in inside.values())
    assert np.mean(by_chance) < 0.9


def test_the_share_of_the_photos():
    """The share of masked people among all that are annotated."""
    assert share_of([MIXED, BARE]) == 5 / 38
