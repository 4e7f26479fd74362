"""Whether a person is missed as often as a face."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.passages import MIN_HITS, SIZES, Person, bias, people, shares, sides, table
from modelling.evaluation.outcomes import Outcome

BOX = (0.0, 0.0, 20.0, 20.0)
PEOPLE = st.lists(
    st.builds(Person, label=st.sampled_from(["mask", "no_mask", "incorrect"]), hits=st.integers(0, len(SIZES))),
    max_size=40,
)


def seen(truth, *, found):
    """What became of one face, or a false alarm, in one view."""
    return Outcome(0, BOX, truth, "mask" if found or truth is None else None, "mask", 0.9, None if truth is None else 0)


def test_a_person_is_followed_through_the_views():
    """The faces of a photo are the same people in every view, false alarms left out."""
    views = [
        [seen("mask", found=True), seen("no_mask", found=False)],
        [seen("mask", found=False), seen("no_mask", found=False), seen(None, found=True)],
        [seen("mask", found=True), seen("no_mask", found=True)],
    ]
    assert people(views) == [Person("mask", 2), Person("no_mask", 1)]


def test_who_is_found_often_enough_is_a_passage():
    """A person found in as many pictures as confirm a track is a passage, one found less often is not."""
    counted = shares([Person("mask", MIN_HITS), Person("mask", MIN_HITS - 1), Person("mask", 0)], 9)
    assert (counted.people, counted.pictures, counted.found, counted.passages) == (3, 27, 2 * MIN_HITS - 1, 1)


def test_seldom_missed_people_bias_pictures_but_not_passages():
    """Bare faces missed in every third picture bias the rate per picture; all of them are passages."""
    values = bias([Person("mask", 9)] * 50 + [Person("no_mask", 6)] * 50, 9)
    assert values["picture"]["difference"] == pytest.approx(100 / 3)
    assert values["rate_error_picture"] == pytest.approx(10.0)
    assert values["passage"]["difference"] == 0
    assert values["rate_error_passage"] == 0


def test_people_who_are_never_found_bias_both():
    """Where misses are people rather than pictures, a passage is as biased as a picture."""
    values = bias([Person("mask", 9)] * 50 + [Person("no_mask", 9)] * 40 + [Person("no_mask", 0)] * 10, 9)
    assert values["rate_error_picture"] == pytest.approx(values["rate_error_passage"])
    assert values["passage"]["interval"][0] < 20 < values["passage"]["interval"][1]


@given(PEOPLE)
def test_differences_lie_in_their_intervals(everybody):
    """Whatever was found, the interval of the passages' difference holds it, and recalls are shares."""
    values = bias(everybody, len(SIZES))
    for kind in ("picture", "passage"):
        assert all(0 <= share <= 1 for share in values[kind]["recall"])
    interval = values["passage"]["interval"]
    if interval is not None:
        assert interval[0] - 1e-9 <= values["passage"]["difference"] <= interval[1] + 1e-9


def test_every_size_can_be_analysed():
    """The sizes are multiples of 4 around the model's own, which is among them."""
    assert sides(640) == sorted(sides(640))
    assert all(side % 4 == 0 for side in sides(640))
    assert sides(640)[4] == 640


def test_the_table_says_both():
    """The table has a row for pictures and one for passages, with the differences."""
    console = Console(width=110, record=True)
    console.print(table("photos", bias([Person("mask", 9)] * 5 + [Person("no_mask", 0)] * 5, 9)))
    text = console.export_text()
    assert "5 masked people, 5 others" in text
    assert text.count("+100.0 (") == 2
    assert text.count("+50.0 points") == 2
